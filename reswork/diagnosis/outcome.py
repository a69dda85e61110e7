"""`outcome`: what a fix brought, the run before it against the run with it."""

from dataclasses import dataclass

from reswork.diagnosis.catalogue import judged
from reswork.diagnosis.collection import facts_of_run
from reswork.diagnosis.finding import Finding
from reswork.store.saved_run import AnyRun


@dataclass(frozen=True)
class Outcome:
    """Before against after.

    Attributes:
        kind: of the finding whose fix was tried.
        before: the headline metric on the test split at the end of the old run; None: it was never evaluated.
        after: the same of the new run.
        gone: whether the doctor no longer finds it in the new run.
        others: kinds that it finds there instead.
        sentence: all this in words.
    """

    kind: str
    before: float | None
    after: float | None
    gone: bool
    others: tuple[str, ...]
    sentence: str


def outcome(finding: Finding, run: AnyRun, new: AnyRun) -> Outcome:
    """What the fix of a finding brought.

    Args:
        finding: whose fix was taken.
        run: that it is about.
        new: from ``finding.fix.branch(run)``, when it is done.

    Example:
        >>> better = finding.fix.branch(run)                # doctest: +SKIP
        >>> better.wait()                                   # doctest: +SKIP
        >>> outcome(finding, run, better).sentence          # doctest: +SKIP
        'With learning_rate 1e-05 → 0.1 test accuracy is 95.2 %, before 12.4 %; rate_too_low is not found any more.'
    """
    kinds = [each.kind for each in judged(facts_of_run(new))]
    others = tuple(kind for kind in kinds if kind != finding.kind)
    before, after = _score(run), _score(new)
    metric = new.headline
    told = [
        "is not known" if score is None or metric is None else f"is {metric.told(score)}"
        for score in (after, before)
    ]
    with_what = "the fix" if finding.fix is None else finding.fix.told_changes or "the fix"
    label = "the score" if metric is None else f"test {metric.label}"
    still = f"{finding.kind} is {'still found' if finding.kind in kinds else 'not found any more'}"
    instead = f", but {', '.join(others)}" if others else ""
    sentence = f"With {with_what}, {label} {told[0]}; before it {told[1].replace('is ', 'was ', 1)}. {still}{instead}."
    return Outcome(finding.kind, before, after, finding.kind not in kinds, others, sentence)


def _score(run: AnyRun) -> float | None:
    return None if run.headline is None else run.history.last(run.headline.test)
