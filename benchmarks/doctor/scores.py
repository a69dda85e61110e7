"""How good the findings are: recall and precision by kind and in all, and what is taken for what."""

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np

from benchmarks.doctor.faults import FAULTS
from reswork.diagnosis.catalogue import RULES, judged
from reswork.diagnosis.facts import Facts

ALSO = {fault.kind: {fault.kind, *fault.also} for fault in FAULTS}


def planted_in(case: str) -> str:
    """The kind that a case has; ``""`` for a healthy one."""
    return "" if case.startswith("healthy") else case.split("/")[0]


@dataclass
class Scores:
    """Counts over many trainings.

    Attributes:
        planted: trainings by kind.
        found: of these, those in which the kind was told.
        wrong: findings of a kind in trainings where it is neither planted nor a consequence.
        others: findings of consequences, which count neither way.
        first: planted kind, kind that was told first -> trainings.
        healthy: healthy trainings; ``disturbed`` of them have a finding.
    """

    planted: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)
    first: Counter[tuple[str, str]] = field(default_factory=Counter)
    healthy: int = 0
    disturbed: int = 0

    @property
    def recall(self) -> float:
        """Share of planted faults that were told."""
        return sum(self.found.values()) / max(1, sum(self.planted.values()))

    @property
    def precision(self) -> float:
        """Share of findings that are right; consequences count neither way."""
        right = sum(self.found.values())
        return right / max(1, right + sum(self.wrong.values()))

    @property
    def strict_precision(self) -> float:
        """The same with consequences counted as wrong."""
        right = sum(self.found.values())
        return right / max(1, right + sum(self.wrong.values()) + sum(self.others.values()))


def scores(records: Mapping[str, Facts]) -> Scores:
    """Judge the records with the rules as they are."""
    found = Scores()
    for case, facts in records.items():
        kind, told = planted_in(case), [finding.kind for finding in judged(facts)]
        found.first[kind or "healthy", told[0] if told else "nothing"] += 1
        if not kind:
            found.healthy += 1
            found.disturbed += bool(told)
        else:
            found.planted[kind] += 1
            found.found[kind] += kind in told
        for each in told:
            if each not in ALSO.get(kind, ()):
                found.wrong[each] += 1
            elif each != kind:
                found.others[each] += 1
    return found


def put_together(one: Scores, other: Scores, of_other: Collection[str]) -> Scores:
    """Of some kinds the second scores, of all others the first; no healthy ones, as both have some."""
    found = Scores()
    for scored, kinds in ((one, {*ALSO} - {*of_other}), (other, {*of_other})):
        for name in ("planted", "found", "wrong"):
            getattr(found, name).update(
                {kind: count for kind, count in getattr(scored, name).items() if kind in kinds}
            )
    return found


def measures(records: Mapping[str, Facts], but: Collection[str]) -> str:
    """A hash of what all rules but some measure of the records, with their limits and what they bring about."""
    digest = hashlib.sha256()
    for rule in RULES:
        if rule.kind in but:
            continue
        digest.update(f"{rule.kind} {rule.limit:.5g} {rule.brings}".encode())
        for case, facts in records.items():
            with np.errstate(all="ignore"):
                measured = None if rule.missing(facts) else rule.measure(facts)
            digest.update(f"{case} {'' if measured is None else f'{measured.value:.5g}'}".encode())
    return digest.hexdigest()[:16]
