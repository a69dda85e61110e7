"""The teacher's sheets: ``python -m benchmarks.teaching`` writes docs/teaching.md from the studies' own texts.

Nothing is computed: answers are the sentences of docs/studies.md, which ``python -m benchmarks.studies`` writes.
"""

from pathlib import Path

import reswork as rw
from reswork.studies.study import Study

DOCS = Path(__file__).parents[1] / "docs"
HEAD = """# Teacher's sheets

For each study: how long it takes, what to say, what goes wrong, the question to ask beforehand and its answer, and
what came of it here. Let people guess first (`rw.studies.gallery()` keeps the score), then run it, then ask them why.
Print the page, or one section of it. It is written by `python -m benchmarks.teaching` from the studies' own texts and
[what they found](studies.md).
"""


def main() -> None:
    found = _verdicts((DOCS / "studies.md").read_text(encoding="utf-8"))
    sheets = [_sheet(study, found.get(study.title, "")) for study in rw.studies.catalogue().values()]
    (DOCS / "teaching.md").write_text(HEAD + "".join(sheets), encoding="utf-8")


def _verdicts(page: str) -> dict[str, str]:
    """The paragraph with the verdict of each section, by title."""
    sections = [part.split("\n\n") for part in page.split("\n## ")[1:]]
    return {
        parts[0].strip(): next((part for part in parts if part.startswith("**")), "") for parts in sections
    }


def _shown(study: Study) -> str:
    """What the card lets people draw or point at."""
    return (
        f"**To be shown.** {study.shown.question} ({study.shown.rule})\n\n" if study.shown is not None else ""
    )


def _sheet(study: Study, found: str) -> str:
    choices = "\n".join(f"- {choice}" for choice in study.guess.choices)
    return (
        f"\n## {study.title}\n\n*{study.question}* {study.source}.\n\n"
        f"**Minutes, what to say, what goes wrong.** {study.texts.teacher}\n\n"
        f"**In plain words.** {study.texts.beginner}\n\n"
        f"**Ask first.** {study.guess.question}\n\n{choices}\n\n"
        f"**Answer.** {study.guess.explained}\n\n"
        f"{_shown(study)}"
        f"**What came of it here.** {found or 'Not computed yet.'}\n\n"
        f"`rw.studies.{study.name}()`\n"
    )


if __name__ == "__main__":
    main()
