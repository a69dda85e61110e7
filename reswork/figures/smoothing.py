"""Fewer and calmer points for drawing; the record itself keeps every step."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float32]


def bucket_means(steps: ArrayLike, values: ArrayLike, max_points: int) -> tuple[Floats, Floats]:
    """At most ``max_points`` means of neighbours, each at its last step.

    The number of neighbours is a power of two, so points drawn once stay where they are while a series grows.

    Args:
        steps: (n,) in rising order.
        values: (n,); NaN and Inf count as missing.
        max_points: upper limit of the result's length.

    Returns:
        Steps and means, float32; NaN where a bucket holds nothing finite.

    Example:
        >>> bucket_means([1, 2, 3, 4], [1.0, 3.0, 5.0, 7.0], 2)[1].tolist()
        [2.0, 6.0]
    """
    steps, values = np.asarray(steps, np.float64), np.asarray(values, np.float64)
    width = 1
    while len(values) > width * max_points:
        width *= 2
    if width == 1:
        return steps.astype(np.float32), finite(values)
    starts = np.arange(0, len(values), width)
    valid = np.isfinite(values)
    counts = np.add.reduceat(valid, starts, dtype=np.float64)
    sums = np.add.reduceat(np.where(valid, values, 0.0), starts)
    with np.errstate(invalid="ignore"):
        means = sums / counts
    ends = np.minimum(starts + width, len(values)) - 1
    return steps[ends].astype(np.float32), means.astype(np.float32)


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
    total = weight = 0.0
    found = []
    for value in np.asarray(values, np.float64).tolist():
        if value == value and abs(value) != float("inf"):
            total = keep * total + (1.0 - keep) * value
            weight = keep * weight + (1.0 - keep)
            found.append(total / weight)
        else:
            found.append(float("nan"))
    return np.array(found, np.float32)


def smoothed(
    steps: ArrayLike, values: ArrayLike, *, max_points: int, most_steps: float = 50
) -> tuple[Floats, Floats]:
    """A calm curve through a noisy series: means of neighbours, then a moving average over them.

    The average reaches over a fifteenth of the series and never over more than ``most_steps``: a young curve
    falls fast, and a long average would lag behind it.
    """
    count = np.size(values)
    thin_steps, means = bucket_means(steps, values, max_points)
    per_point = count / len(means) if len(means) else 1.0
    return thin_steps, moving_average(means, min(count / 15, most_steps) / per_point)


def finite(values: ArrayLike) -> Floats:
    """The values as float32 with NaN, a gap in the drawing, for Inf."""
    array = np.asarray(values, np.float64)
    return np.where(np.isfinite(array), array, np.nan).astype(np.float32)
