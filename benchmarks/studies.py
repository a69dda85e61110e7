"""All studies as toys, and docs/studies.md from what they found: ``python -m benchmarks.studies``.

What was computed before is not computed again. With names (``python -m benchmarks.studies lesions``) only these are
computed; the page has all that are complete here, and of the others what it had before.
"""

import argparse
from pathlib import Path

import reswork as rw
from reswork.studies.study import Study, StudyResult

PAGE = Path(__file__).parents[1] / "docs" / "studies.md"
HEAD = """# Studies

Published findings about residual networks, computed again as toys that take seconds to minutes: mostly 8x8 digits and
networks of 8 channels. So the pattern is what can be repeated, not the number. Nothing was tuned until it agreed; where
a finding does not show, it says so. `rw.studies.degradation()` computes one, with the paper's own settings it is
`rw.studies.degradation(rw.studies.degradation.paper)`, and `rw.studies.gallery()` shows all of them on the page.

This page is written by `python -m benchmarks.studies` from the results in `.studies` of the folder of runs. Seconds are
those of the clock on a machine that did other things besides; processor time is that of all threads of the process.

The column *published* was compared with the texts of the papers, as far as they could be had; where not, it says "not
checked against the paper".
"""


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("names", nargs="*", help="studies; none: all")
    asked.add_argument("--folder", help="of results; by default .studies in the folder of runs")
    asked.add_argument("--again", action="store_true", help="forget what was computed before")
    given = asked.parse_args()
    studies = rw.studies.catalogue()
    for name in given.names or studies:
        for result in studies[name].results(folder=given.folder, again=given.again):
            print(f"\r{name}: {result.share:6.1%} {result.doing:60.60}", end="", flush=True)
        print(f"\n{result.verdict}")
    before = _sections(PAGE.read_text(encoding="utf-8")) if PAGE.exists() else {}
    sections = []
    for study in studies.values():
        kept = study.kept(folder=given.folder)
        known = before.get(study.title, f"{_head(study)}Not computed yet.\n")
        sections.append(_section(study, kept) if kept is not None and kept.is_complete else known)
    PAGE.write_text(HEAD + "".join(sections), encoding="utf-8")


def _sections(page: str) -> dict[str, str]:
    """The sections of a page, by title, from the empty line before each on."""
    parts = page.split("\n## ")[1:]
    return {part.partition("\n")[0]: f"\n## {part.rstrip()}\n" for part in parts}


def _head(study: Study) -> str:
    return f"\n## {study.title}\n\n{study.question} {study.source}.\n\n"


def _section(study: Study, result: StudyResult) -> str:
    cells = [(row.what, row.published, row.where, row.ours) for row in result.compared]
    rows = "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |\n" for row in cells)
    table = f"| | published | where | here |\n|---|---|---|---|\n{rows}\n" if rows else ""
    verdict, changed = result.verdict, result.settings.to_dict()
    settings = ", ".join(f"{name} {value}" for name, value in changed.items())
    told = f"**{verdict.state.capitalize()}**: {verdict.sentence}.\n\nThe rule for {verdict.tolerance}.\n\n"
    cost = f"{result.seconds:.0f} s, {result.processor_seconds:.0f} s of processor, on {result.machine}"
    return f"{_head(study)}{told}{table}`rw.studies.{study.name}()`: {settings}; {cost}.\n"


if __name__ == "__main__":
    main()
