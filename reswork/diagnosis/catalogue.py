"""All rules, causes before what they bring about: the order in which findings are told."""

from dataclasses import replace

from reswork.diagnosis import answer_rules, data_rules, layer_rules, rate_rules, signal_rules
from reswork.diagnosis.facts import Facts
from reswork.diagnosis.finding import Diagnosis
from reswork.diagnosis.rule import Rule

CAUSES: tuple[Rule, ...] = (
    *data_rules.INPUTS,
    *data_rules.LABELS,
    *answer_rules.OUTPUTS[:1],
    *layer_rules.RULES,
    *signal_rules.RULES,
    *answer_rules.FIT[:2],
    *answer_rules.OUTPUTS[2:],
    *rate_rules.RULES,
    *answer_rules.OUTPUTS[1:2],
    *answer_rules.FIT[2:],
)
SYMPTOMS: tuple[Rule, ...] = (*rate_rules.SYMPTOMS, *answer_rules.SYMPTOMS)  # told where no cause was found
RULES: tuple[Rule, ...] = CAUSES + SYMPTOMS
_SEEN_LAST = {rule.kind for rule in SYMPTOMS}
_WEAK = {
    "underfitting",
    *_SEEN_LAST,
}  # told only where nothing else explains them, symptoms where nothing does


def judged(facts: Facts) -> Diagnosis:
    """What the rules say of the facts.

    A finding that another one brings about is not told beside it, but named in its ``explains``.
    """
    reasons = {rule.kind: why for rule in RULES if (why := rule.missing(facts))}
    asked = [rule for rule in RULES if rule.kind not in reasons]
    found = {rule.kind: finding for rule in asked if (finding := rule.finding(facts)) is not None}
    sure = {kind for kind, finding in found.items() if not finding.doubted}
    # the first of these that has any is told: symptoms last, and what is doubted after everything that is not
    levels = (sure - _WEAK, sure - _SEEN_LAST, found.keys() - _SEEN_LAST, found.keys())
    causes = [kind for kind in found if kind in next((each for each in levels if each), ())]
    weak = [kind for kind in found if kind not in causes and kind in sure]
    told = []
    for kind in _told(causes):
        explained = tuple(each for each in causes if each in _reached([kind], causes) and each != kind)
        told.append(replace(found[kind], explains=(*explained, *weak)))
    return Diagnosis(tuple(told), tuple(rule.kind for rule in asked), reasons)


def _told(causes: list[str]) -> list[str]:
    """Those that no other one brings about; of two or more that bring each other about the first."""

    def is_brought(kind: str, by: str) -> bool:
        return kind in _BRINGS[by] and not (by in _BRINGS[kind] and causes.index(kind) < causes.index(by))

    told = [kind for kind in causes if not any(is_brought(kind, by) for by in causes if by != kind)]
    for kind in causes:
        if kind not in _reached(told, causes):
            told.append(kind)
    return sorted(told, key=causes.index)


def _reached(kinds: list[str], among: list[str]) -> set[str]:
    """These, and what they bring about, and what that brings about."""
    reached, new = set(kinds), set(kinds)
    while new:
        new = {each for kind in new for each in _BRINGS[kind] if each in among} - reached
        reached |= new
    return reached


_BRINGS = {rule.kind: rule.brings for rule in RULES}
