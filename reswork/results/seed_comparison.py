"""Whether two groups of runs differ by more than their seeds make them differ."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SeedComparison:
    """Mean and spread of one number in two groups of runs, and what the difference between them is worth.

    Attributes:
        names: of the two groups.
        series: what is compared, such as ``"loss/test"``.
        values: the last value of each run, of both groups.
        means: of each group.
        deviations: standard deviation in each group (divided by n - 1); None for a single run.
        difference: second mean minus first.
        interval: 95 % confidence interval of the difference; None where there is none.
        p_value: of Welch's t test: how often equal groups would differ at least so much; None where there is none.
        larger_than_spread: whether the difference is larger than the spread explains (p below 0.05); None where
            nothing can be said.
        sentence: all of it in words.
    """

    names: tuple[str, str]
    series: str
    values: tuple[tuple[float, ...], tuple[float, ...]]
    means: tuple[float, float]
    deviations: tuple[float | None, float | None]
    difference: float
    interval: tuple[float, float] | None
    p_value: float | None
    larger_than_spread: bool | None
    sentence: str

    def __str__(self) -> str:
        return self.sentence
