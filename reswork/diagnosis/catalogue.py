"""All rules, causes before what they bring about: the order in which findings are told."""

from reswork.diagnosis import answer_rules, data_rules, layer_rules, rate_rules, signal_rules
from reswork.diagnosis.facts import Facts
from reswork.diagnosis.finding import Diagnosis, Finding
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
_LAST = ("underfitting",)  # told only where nothing else explains it


def judged(facts: Facts) -> Diagnosis:
    """What the rules say of the facts.

    A finding that another one brings about is not told beside it, but named in its ``explains``.
    """
    reasons = {rule.kind: why for rule in RULES if (why := rule.missing(facts))}
    asked = [rule for rule in RULES if rule.kind not in reasons]
    found = {rule.kind: finding for rule in asked if (finding := rule.finding(facts)) is not None}
    brings = {rule.kind: set(rule.brings) for rule in RULES}
    told: dict[str, Finding] = {}
    symptoms = {rule.kind for rule in SYMPTOMS} | set(_LAST)
    for kind in found:
        by = [
            other
            for other in found
            if other != kind and kind in brings[other] and other not in _before(kind, brings, found)
        ]
        weak = kind in symptoms and any(other not in symptoms for other in found)
        if not by and not weak:
            told[kind] = found[kind]
    for kind, finding in told.items():
        explained = tuple(
            other for other in found if other in brings[kind] or (other in symptoms and other != kind)
        )
        object.__setattr__(finding, "explains", explained)
    return Diagnosis(tuple(told.values()), tuple(rule.kind for rule in asked), reasons)


def _before(kind: str, brings: dict[str, set[str]], found: dict[str, Finding]) -> set[str]:
    """Those that this one brings about too: of two that bring each other the first one stays."""
    order = list(found)
    return {other for other in brings[kind] if other in found and order.index(other) > order.index(kind)}
