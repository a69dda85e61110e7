"""docs/doctor.md: the rules and how good they are, written from the records."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.doctor.faults import FAULTS
from benchmarks.doctor.fixes import is_mended
from benchmarks.doctor.scores import Scores, planted_in, scores
from benchmarks.doctor.trainings import halves
from reswork.diagnosis.catalogue import RULES, SYMPTOMS
from reswork.diagnosis.facts import Facts

_RULES = Path(__file__).parents[2] / "reswork" / "diagnosis"


def page(
    choosing: Mapping[str, Facts], judging: Mapping[str, Facts], tried: Sequence[Mapping[str, Any]]
) -> str:
    """The page as Markdown.

    Args:
        choosing: records of the half from which limits were chosen.
        judging: records of the other half.
        tried: what `try_fixes` found.
    """
    seen, judged = scores(choosing), scores(judging)
    parts = [_ABOUT, *_rules(), "", _proof(seen, judged), *_by_kind(judged), "", *_taken_for(judged), ""]
    return "\n".join([*parts, *_fixes(tried), "", _LEFT, ""])


def fingerprint() -> str:
    """Of everything that decides a finding: the code of the rules."""
    digest = hashlib.sha256()
    for path in sorted([*_RULES.glob("*_rules.py"), _RULES / "catalogue.py", _RULES / "rule.py"]):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _rules() -> list[str]:
    symptoms = {rule.kind for rule in SYMPTOMS}
    rows = [
        f"| `{rule.kind}`{' (symptom)' if rule.kind in symptoms else ''} | {rule.question} | {rule.unit} "
        f"| {rule.limit:.3g} | {', '.join(rule.needs)} | {rule.source} | {rule.cost} |"
        for rule in RULES
    ]
    return [
        "| kind | question | measure | limit | needs | source | if wrong |",
        "|---|---|---|---|---|---|---|",
        *rows,
    ]


def _proof(seen: Scores, judged: Scores) -> str:
    known = halves()
    total = Counter(known.values())
    healthy = sum(name.startswith("healthy") for name in known)
    trained = {
        half: sum(each.planted.values()) + each.healthy
        for half, each in (("choose", seen), ("judge", judged))
    }
    rows = (
        ("faults planted", sum(seen.planted.values()), sum(judged.planted.values())),
        ("recall: the planted kind is among the findings", f"{seen.recall:.2f}", f"**{judged.recall:.2f}**"),
        ("precision; consequences count neither way", f"{seen.precision:.2f}", f"**{judged.precision:.2f}**"),
        (
            "precision; consequences count as wrong",
            f"{seen.strict_precision:.2f}",
            f"{judged.strict_precision:.2f}",
        ),
        ("healthy trainings", seen.healthy, judged.healthy),
        ("of these with a finding, which is a false one", seen.disturbed, judged.disturbed),
    )
    table = "\n".join(f"| {words} | {first} | {second} |" for words, first, second in rows)
    return f"""## How good it is

{len(FAULTS)} kinds of faults, each planted weakly and strongly in two networks (ResNet-8 and a pre-activation
ResNet-14, 8 channels wide) on two data sets (digits of 8x8, and 1,500 images of Fashion-MNIST at 14x14), and {healthy}
healthy trainings of all sorts: {len(known)} trainings of 120 to 240 steps. Half of the cases of each kind, and of the
healthy ones, were for choosing limits, the others for judging; the hash of a case's name decides which.
Trained and counted: {trained["choose"]} of {total["choose"]} of the choosing half, {trained["judge"]} of
{total["judge"]} of the judging half. The rules that were judged: `{fingerprint()}`.

| | choosing half | **judging half** |
|---|---|---|
{table}

Which consequences a fault truly has stands in `benchmarks/doctor/faults.py`; that list was written before the first
training and was not changed afterwards. For comparison: an independent study of earlier tools (Humbatova et al. 2025,
Empirical Software Engineering 30:124) found a recall of at most 0.55 and a precision of 0.37, on real faults. Planted
ones in networks as small as these are easier, and the numbers above say nothing about real ones.

### By kind, judging half
"""


def _by_kind(judged: Scores) -> list[str]:
    rows = []
    for kind in sorted({*judged.planted, *judged.wrong}):
        planted, found, wrong = judged.planted[kind], judged.found[kind], judged.wrong[kind]
        recall = f"{found / planted:.2f}" if planted else ""
        precision = f"{found / (found + wrong):.2f}" if found + wrong else ""
        rows.append(f"| `{kind}` | {planted} | {found} | {wrong} | {recall} | {precision} |")
    low = [kind for kind in sorted(judged.planted) if judged.found[kind] < 0.9 * judged.planted[kind]]
    doubted = [
        kind
        for kind in sorted(judged.wrong)
        if judged.wrong[kind] > 0.1 * (judged.found[kind] + judged.wrong[kind])
    ]
    return [
        f"Recall is below 0.9 for {_names(low)}; precision is below 0.9 for {_names(doubted)}.",
        "",
        "| kind | planted | found | found wrongly elsewhere | recall | precision |",
        "|---|---|---|---|---|---|",
        *rows,
    ]


def _names(kinds: list[str]) -> str:
    return ", ".join(f"`{kind}`" for kind in kinds) or "none"


def _taken_for(judged: Scores) -> list[str]:
    rows = [
        f"| {planted} | {told} | {count} |"
        for (planted, told), count in sorted(judged.first.items())
        if planted != told and (planted, told) != ("healthy", "nothing")
    ]
    return [
        "### What is taken for what, judging half",
        "",
        "Trainings whose first finding is of another kind than the one planted.",
        "",
        "| planted | first finding | trainings |",
        "|---|---|---|",
        *(rows or ["| | none | |"]),
    ]


def _fixes(tried: Sequence[Mapping[str, Any]]) -> list[str]:
    if not tried:
        return []
    by_kind: dict[str, list[Mapping[str, Any]]] = {}
    for row in tried:
        by_kind.setdefault(planted_in(row["case"]), []).append(row)
    mended = sum(is_mended(row) for row in tried)
    rows = [
        f"| `{kind}` | {len(of_kind)} | {sum(map(is_mended, of_kind))} | {_mean(of_kind, 'before')} "
        f"| {_mean(of_kind, 'after')} | {_mean(of_kind, 'healthy')} |"
        for kind, of_kind in sorted(by_kind.items())
    ]
    return [
        "## Whether the fixes help",
        "",
        f"{len(tried)} faults of the choosing half that were found, and whose fix is a change of recipe, network or",
        "data, were trained again with that change, from the first step on, with the fault still planted.",
        f"{mended} of them ({mended / len(tried):.0%}) end within three points of the test accuracy of the",
        "healthy twin, the same network and data without a fault, or above; 80 % was the aim.",
        "",
        "| kind | tried | within three points | mean accuracy before | with the fix | healthy twin |",
        "|---|---|---|---|---|---|",
        *rows,
    ]


def _mean(rows: Sequence[Mapping[str, Any]], name: str) -> str:
    return f"{np.mean([row[name] for row in rows]):.2f}"


_ABOUT = """# The doctor

`rw.diagnose(run)`, `rw.diagnose(model, data)` or `rw.diagnose(model)` says what is wrong with a training or a network:

```python
for finding in rw.diagnose(run):
    print(finding.kind, finding.sentence)  # in plain words, with the numbers
    finding.evidence  # what was measured, beside the limit
    finding.figure()  # the same, drawn
    finding.fix  # what to try; finding.fix.branch(run) tries it in a new run
```

It is a list of rules over numbers that are collected once (`reswork/diagnosis/facts.py`) from the run's record, the
network's weights, one batch in training mode, the answers to 400 images of each split, and the data. Nothing is
changed. A rule whose numbers cannot be had is not asked, and `.not_asked` says why. A finding that another one brings
about is not told beside it, but stands in its `.explains`; a *symptom* is told only where no cause was found. What is
missing, and what a rule costs that is wrong, stands in the table.

## The rules

This page is written by `python -m benchmarks.doctor write`.
"""
_LEFT = """## How the judged half was kept out of sight

The order was: faults, their consequences and both halves fixed; the choosing half trained, and rules and limits worked
out on it; the rules committed (their limits stand in the history since then); only then the judging half trained,
judged once, and this page written. `look` and `judge` of `python -m benchmarks.doctor` read the choosing half only.
While the judging half was being trained, and before anybody looked at it, the rules got guards against records full of
NaN; afterwards the fixes of three rules were changed. Neither changed a finding: those of the rules as they were
committed first, and as they are, were compared in all trainings of both halves, and are the same. The records of both
halves lie in `benchmarks/doctor/records/`, so that rules can be judged again in seconds, without a training. Whoever
changes a limit now has seen the judging half, and needs a new one.

What this does not show: both halves have the same networks, data sets and kinds of faults, in other combinations.
Within a kind, weak and strong cases are not shared out evenly (all weak cases of `rate_too_high` are in the judging
half, for instance), and 4 cases of a kind are few. Larger networks, other optimizers with a fault, and faults that
people made by themselves were not tried."""
