"""How activations are distributed, layer by layer."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class ActivationHistograms:
    """Histograms of L layers' outputs over the same B bins.

    Attributes:
        layers: (L,) names, in the order in which they were asked for.
        edges: (B + 1,) float64, borders of the bins; what lies outside is counted in the first or last bin.
        counts: (L, B) int64.
        zeros: (L,) float64, fraction of values that are exactly zero, 0 to 1.
        dead: (L,) float64, fraction of channels that are zero everywhere on all images, 0 to 1.
        means: (L,) float64.
        deviations: (L,) float64.
        not_finite: (L,) int64, how many values are Inf or NaN; they are in no bin.
    """

    layers: tuple[str, ...]
    edges: np.ndarray
    counts: np.ndarray
    zeros: np.ndarray
    dead: np.ndarray
    means: np.ndarray
    deviations: np.ndarray
    not_finite: np.ndarray
