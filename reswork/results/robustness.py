"""How a model's score falls as images get worse: plain numbers."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Robustness:
    """The headline metric under C corruptions of S strengths, on a sample of the images.

    Attributes:
        corruptions: (C,) names.
        strengths: (C, S) float64, in the unit of each corruption.
        units: (C,) what a strength means.
        scores: (C, S) float64; NaN where it was stopped before.
        low: (C, S) float64, lower end of the interval of 95 %.
        high: (C, S) float64, upper end.
        clean: the metric on the same images as they are.
        images: (N,) int64, which ones.
        metric: its label.
    """

    corruptions: tuple[str, ...]
    strengths: np.ndarray
    units: tuple[str, ...]
    scores: np.ndarray
    low: np.ndarray
    high: np.ndarray
    clean: float
    images: np.ndarray
    metric: str
