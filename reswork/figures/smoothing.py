"""Fewer and calmer points for drawing; the record itself keeps every step."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from reswork.history import Means

Floats = NDArray[np.float32]

_NOTHING = 1e-12  # what a value that long ago still counts


def moving_average(values: ArrayLike, window: float) -> Floats:
    """The exponential moving average over about ``window`` values, right from the first value on.

    Early values are divided by the weight seen so far, so the curve starts at the data and not at zero;
    NaN stays a gap and does not spoil what follows.

    Args:
        values: (n,).
        window: number of values that count; the weight of the newest is ``2 / (window + 1)``.

    Returns:
        (n,) float32.
    """
    keep = 1.0 - 2.0 / (max(window, 1.0) + 1.0)
    array = np.asarray(values, np.float64)
    valid = np.isfinite(array)
    sums = array[valid]
    weights = (1.0 - keep ** np.arange(1, len(sums) + 1)) / (1.0 - keep)
    reach = 1  # each sum is over so many values, the older ones counting less; twice as many in each round
    while reach < len(sums) and keep**reach > _NOTHING:
        sums[reach:] += keep**reach * sums[:-reach]
        reach *= 2
    found = np.full(len(array), np.nan, np.float32)
    found[valid] = sums / weights
    return found


def smoothed(means: "Means", *, most_steps: float = 50) -> tuple[Floats, Floats]:
    """A calm curve through a noisy series: a moving average over its means of neighbours.

    The average reaches over a fifteenth of the series and never over more than ``most_steps``: a young curve
    falls fast, and a long average would lag behind it.
    """
    per_point = means.recorded / len(means) if len(means) else 1.0
    window = min(means.recorded / 15, most_steps) / per_point
    return means.steps.astype(np.float32), moving_average(means.values, window)


def finite(values: ArrayLike) -> Floats:
    """The values as float32 with NaN, a gap in the drawing, for Inf."""
    array = np.asarray(values, np.float64)
    return np.where(np.isfinite(array), array, np.nan).astype(np.float32)
