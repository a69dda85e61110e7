"""Arms that take turns: what else the machine does then hits all of them alike."""

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """The middle and the ends of some numbers."""

    middle: float
    least: float
    most: float

    @classmethod
    def of(cls, numbers: Iterable[float]) -> "Spread":
        """Median, smallest and largest."""
        found = sorted(numbers)
        return cls(statistics.median(found), found[0], found[-1])

    def __format__(self, form: str) -> str:
        return f"{self.middle:{form}} ({self.least:{form}} to {self.most:{form}})"


def take_turns(arms: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Each arm's numbers, one a round; every second round goes the other way round."""
    numbers: dict[str, list[float]] = {name: [] for name in arms}
    for round_ in range(rounds):
        for name in list(arms) if round_ % 2 == 0 else reversed(list(arms)):
            numbers[name].append(arms[name]())
    return numbers


def ratio(numbers: Sequence[float], others: Sequence[float]) -> Spread:
    """How many times the others: each number over its neighbour of the same round."""
    return Spread.of(mine / other for mine, other in zip(numbers, others, strict=True))


def percentile(numbers: Sequence[float], share: float) -> float:
    """The smallest of the numbers that such a share of them does not exceed.

    >>> percentile([4, 1, 3, 2], 0.5)
    2
    """
    found = sorted(numbers)
    return found[max(0, -int(-share * len(found) // 1) - 1)]
