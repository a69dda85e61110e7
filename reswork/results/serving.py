"""What a server did and how it is, as plain numbers."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class ServerLoad:
    """What a server did between looks at it.

    Attributes:
        seconds: (N,) float64, ends of the times between two looks, since the first look.
        answered: (N,) requests a second that got an answer.
        refused: (N,) likewise, that were refused for what they asked, or because too much waited.
        failed: (N,) likewise, that the server did not answer, or not in time.
        p50_ms: (N,) milliseconds, half of the requests took less; NaN where there were none.
        p95_ms: (N,) likewise 19 of 20.
        waiting: (N,) images that waited or were answered at the look.
    """

    seconds: np.ndarray
    answered: np.ndarray
    refused: np.ndarray
    failed: np.ndarray
    p50_ms: np.ndarray
    p95_ms: np.ndarray
    waiting: np.ndarray


@dataclass(frozen=True, eq=False)
class ServerState:
    """How a server is.

    Attributes:
        version: of what answers.
        uptime_s: seconds since its start.
        requests: for answers, in all.
        answers: images answered.
        refused: requests.
        failed: requests.
        p95_ms: milliseconds that 19 of 20 requests took less than, in the last minute; NaN where there were none.
        restarts: engines that died and were started again.
        deployed: versions that took over, the first included.
        tried: versions that were asked to.
        error: share of the test images that this version answers wrong; NaN where that is not known.
        error_before: of the version before, on the same images.
        drift: for brightness, contrast and confidence the population stability index, and what it stays below in 95 of
            100 cases where nothing changed; NaN until 100 images have come.
    """

    version: str
    uptime_s: float
    requests: int
    answers: int
    refused: int
    failed: int
    p95_ms: float
    restarts: int
    deployed: int
    tried: int
    error: float
    error_before: float
    drift: Mapping[str, tuple[float, float]]

    @property
    def error_reduction(self) -> float:
        """By what share the errors on test images are fewer than those of the version before; NaN if not known."""
        if not self.error_before > 0:
            return math.nan
        return 1 - self.error / self.error_before


def bucket_quantile(q: float, bounds: np.ndarray, counts: np.ndarray) -> float:
    """A quantile of what was only counted in buckets, straight lines within each; NaN where nothing was.

    Args:
        q: 0 to 1.
        bounds: (B,) upper ends, the last one infinite.
        counts: (B,) values up to each of them.

    Reference:
        ``histogram_quantile`` of Prometheus.

    Example:
        >>> bucket_quantile(0.5, np.array([1.0, 2.0, np.inf]), np.array([2, 4, 4]))
        1.0
    """
    if not len(counts) or not counts[-1] > 0:
        return math.nan
    rank = q * counts[-1]
    k = int(np.searchsorted(counts, rank))
    if k >= len(bounds) - 1:
        return float(bounds[-2])  # beyond the last end nothing is known
    low, before = (bounds[k - 1], counts[k - 1]) if k else (0.0, 0.0)
    return float(low + (bounds[k] - low) * (rank - before) / (counts[k] - before))
