"""Thresholds of findings, moved without asking the model again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from reswork.reporting.duplicates import THRESHOLD, WEAKEST


@dataclass(frozen=True)
class Threshold:
    """How a section's findings are cut.

    Attributes:
        label: what the number is.
        usual: of all candidates, where it stands at first.
        span: the smallest and the largest number that make a difference.
        at: the findings at another one.
    """

    label: str
    usual: Callable[[Any], float]
    span: Callable[[Any], tuple[float, float]]
    at: Callable[[Any, float], Any]


THRESHOLDS: Mapping[str, Threshold] = {
    "label_issues": Threshold(
        "Probability of the label below", lambda found: 1.0, lambda found: (0.0, 1.0),
        lambda found, value: found.below(value),
    ),
    "outliers": Threshold(
        "Distance beyond", lambda found: found.threshold,
        lambda found: (float(found.all_distances.min()), float(max(found.all_distances.max(), found.threshold))),
        lambda found, value: found.beyond(value),
    ),
    "duplicates": Threshold(
        "Likeness from", lambda found: THRESHOLD, lambda found: (WEAKEST, 1.0),
        lambda found, value: found.above(value),
    ),
}  # fmt: skip
