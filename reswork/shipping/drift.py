"""Whether what a server is asked looks like what its network learned from: the population stability index.

Images are told by two numbers each, how bright and how rich in contrast they are, answers by their confidence.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

BINS = 10  # of equal counts
WINDOW = 1000  # images that are looked at, the latest
LEAST = 100  # fewer say nothing
_RISK = 0.05


def traits(pixels: np.ndarray) -> dict[str, np.ndarray]:
    """How bright images are, and how rich in contrast.

    Args:
        pixels: (N, C, H, W) uint8.

    Returns:
        ``brightness``, (N,) mean of the pixels, and ``contrast``, (N,) their standard deviation, 0 to 255.
    """
    flat = pixels.reshape(len(pixels), -1)
    return {"brightness": flat.mean(axis=1), "contrast": flat.std(axis=1)}


def reference(values: np.ndarray) -> dict[str, list[float]]:
    """Bins of about equal counts, as JSON keeps them: ``edges`` between them and ``counts`` in them.

    Args:
        values: (N,) of the images that are compared with.
    """
    edges = np.unique(np.quantile(values.astype(np.float64), np.linspace(0, 1, BINS + 1)[1:-1]))
    return {"edges": edges.tolist(), "counts": _counts(edges, values).tolist()}


def stability_index(expected: Sequence[float] | np.ndarray, found: Sequence[float] | np.ndarray) -> float:
    """How far two histograms over the same bins are apart: sum of (q - p) ln(q / p) over their shares p and q.

    Half a count is added to each bin, so that an empty one does not make it infinite. 0: they are alike; a usual rule
    of thumb takes 0.1 for a change and 0.25 for a large one, but small samples get there by chance: `by_chance`.

    Reference:
        N. Siddiqi, Credit Risk Scorecards, Wiley 2006, chapter 8.

    Example:
        >>> stability_index([50, 50], [50, 50]), round(stability_index([5000, 5000], [9000, 1000]), 2)
        (0.0, 0.88)
    """
    p, q = (np.asarray(each, np.float64) + 0.5 for each in (expected, found))
    p, q = p / p.sum(), q / q.sum()
    return float(((q - p) * np.log(q / p)).sum())


def by_chance(expected: int, found: int, bins: int) -> float:
    """What the index stays below in 95 of 100 cases where nothing changed.

    Args:
        expected: images that are compared with.
        found: images that are looked at.
        bins: of both.

    Reference:
        B. Yurdakul and J. Naranjo, Statistical properties of the population stability index, Journal of Risk Model
        Validation 14(4), 2020: about (1/n + 1/m) times a chi-square with bins - 1 degrees of freedom.
    """
    from scipy.special import chdtri

    return float((1 / expected + 1 / found) * chdtri(bins - 1, _RISK)) if bins > 1 else 0.0


class Drift:
    """The latest images that a server was asked about, compared with a reference.

    Args:
        references: name of a quantity -> what `reference` gave.
    """

    def __init__(self, references: Mapping[str, Mapping[str, Any]]) -> None:
        self._references = {
            name: (np.asarray(each["edges"], np.float64), np.asarray(each["counts"], np.float64))
            for name, each in references.items()
        }
        self._seen: dict[str, deque[float]] = {name: deque(maxlen=WINDOW) for name in references}

    def see(self, name: str, values: Sequence[float] | np.ndarray) -> None:
        """Take note of some images."""
        if name in self._seen:
            self._seen[name].extend(map(float, values))

    def index(self, name: str) -> float:
        """The index of a quantity; NaN where it is not known, or fewer than 100 images have come."""
        if name not in self._seen or len(self._seen[name]) < LEAST:
            return float("nan")
        edges, counts = self._references[name]
        return stability_index(counts, _counts(edges, np.array(self._seen[name])))

    def chance(self, name: str) -> float:
        """What it stays below in 95 of 100 cases where nothing changed; NaN as for `index`."""
        if name not in self._seen or len(self._seen[name]) < LEAST:
            return float("nan")
        counts = self._references[name][1]
        return by_chance(int(counts.sum()), len(self._seen[name]), len(counts))


def _counts(edges: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
