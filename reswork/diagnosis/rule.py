"""`Rule`: one question of the doctor, and `Measured`, what it measures to answer it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from reswork.diagnosis.facts import Facts, Part
from reswork.diagnosis.finding import Finding, Fix
from reswork.results import Evidence


@dataclass(frozen=True, eq=False)
class Measured:
    """The answer to a rule's question, before it is held against the limit.

    Attributes:
        value: the measure; from the limit on it is a finding.
        sentence: the finding in plain words.
        fix: what to try.
        title: what ``values`` are.
        labels: (n,) names, or steps.
        values: (n,) one for each label, for the figure.
        numbers: further numbers.
        doubted: told only where nothing else was found.
    """

    value: float
    sentence: str
    fix: Fix | None = None
    title: str = ""
    labels: tuple[str, ...] | tuple[float, ...] = ()
    values: object = ()
    numbers: dict[str, float] | None = None
    doubted: bool = False


@dataclass(frozen=True, eq=False)
class Rule:
    """One kind of trouble.

    Attributes:
        kind: its name.
        question: what it asks, for a person.
        needs: the parts of `Facts` without which it cannot be asked.
        measure: pure; None: it does not apply here, such as a question about batch norms where there are none.
        unit: what the measure is, in a few words.
        limit: a finding is made from this value on.
        source: where the rule, and the limit, are from.
        cost: what it costs if a finding is wrong and is believed.
        brings: kinds that follow from it, and are not told beside it.
        blind: why its measure says nothing of facts of which all parts that it needs are known; ``""`` where it does.
    """

    kind: str
    question: str
    needs: tuple[Part, ...]
    measure: Callable[[Facts], Measured | None]
    unit: str
    limit: float
    source: str
    cost: str
    brings: tuple[str, ...] = ()
    blind: Callable[[Facts], str] = lambda _facts: ""

    def missing(self, facts: Facts) -> str:
        """Why it cannot be asked; ``""`` where it can."""
        absent = [part for part in self.needs if getattr(facts, part) is None]
        return facts.missing.get(absent[0], "it is not known") if absent else self.blind(facts)

    def finding(self, facts: Facts) -> Finding | None:
        """What is wrong, or None."""
        with np.errstate(all="ignore"):  # of trainings that broke: infinite weights
            measured = self.measure(facts)
        if measured is None or not measured.value >= self.limit:
            return None
        steps = bool(measured.labels) and not isinstance(measured.labels[0], str)
        evidence = Evidence(
            self.unit,
            measured.value,
            self.limit,
            measured.numbers or {},
            measured.title,
            measured.labels,
            measured.values,  # type: ignore[arg-type]
            "steps" if steps else "names",
        )
        return Finding(
            self.kind,
            measured.sentence,
            evidence,
            measured.fix,
            self.cost,
            self.source,
            doubted=measured.doubted,
        )
