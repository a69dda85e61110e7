"""`Slice`: images that have something in common and are named worse than others."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Slice:
    """A part of the images where more is wrong than elsewhere.

    Attributes:
        name: what they have in common, such as ``brightness: darkest fifth``.
        parts: what the name is made of: one, or two for what only both together make worse.
        images: (M,) int64, their numbers.
        errors: how many are wrong.
        rate: share that is wrong.
        low: lower end of its interval of 95 %.
        high: upper end.
        elsewhere: share that is wrong among all other images; of a pair, among the better of the other halves.
        p_value: chance to see as much or more without a cause, corrected for all slices that were looked at; NaN
            for one that a person chose, as nobody knows how many that person looked at.
    """

    name: str
    parts: tuple[str, ...]
    images: np.ndarray
    errors: int
    rate: float
    low: float
    high: float
    elsewhere: float
    p_value: float


@dataclass(frozen=True, eq=False)
class Slices:
    """What was found, the worst first, and what it was found among.

    Attributes:
        found: the slices.
        looked_at: how many were tested; the p values are corrected for that many.
        rate: share of all images that is wrong.
    """

    found: tuple[Slice, ...]
    looked_at: int
    rate: float

    def __len__(self) -> int:
        return len(self.found)
