"""Classes that could be one: the model cannot tell them apart."""

import numpy as np
import scipy

from reswork.reporting.predictions import Predictions
from reswork.results.data_findings import AlikeClasses

THRESHOLD = 0.75  # of the upper end of the AUROC's interval
_LEAST = 10  # images of each class
_NORMAL = 1.959964  # of 95 %
_CONFUSED = 0.05  # of the images of either class that are called the other, below which nobody need look


def alike_classes(predictions: Predictions, *, threshold: float = THRESHOLD) -> AlikeClasses:
    """Pairs whose images are hardly told apart by the probabilities of the two.

    Args:
        predictions: with labels.
        threshold: a pair counts when its AUROC is surely below this.

    Raises:
        InvalidSetting: labels are not known.

    Reference:
        Hanley and McNeil 1982 for the interval of the area under the ROC curve.
    """
    labels, probabilities = predictions.known_labels, predictions.probabilities
    wide = probabilities.shape[1]
    rows = [np.flatnonzero(labels == k) for k in range(wide)]
    called = np.zeros((wide, wide), np.int64)
    np.add.at(called, (labels, predictions.predicted), 1)
    found = []
    for i in range(wide):
        for j in range(i + 1, wide):
            confused = int(called[i, j] + called[j, i])
            few = min(len(rows[i]), len(rows[j]))
            if few < _LEAST or confused < _CONFUSED * few:
                continue
            area = separation(_share(probabilities, rows[i], i, j), _share(probabilities, rows[j], i, j))
            high = area + _NORMAL * area_error(area, len(rows[i]), len(rows[j]))
            if high < threshold:
                found.append((i, j, area, high, confused))
    found.sort(key=lambda pair: pair[2])
    columns = [np.array([pair[k] for pair in found]) for k in range(5)]
    return AlikeClasses(
        columns[0].astype(np.int64), columns[1].astype(np.int64), columns[2].astype(float),
        columns[3].astype(float), columns[4].astype(np.int64),
    )  # fmt: skip


def separation(positive: np.ndarray, negative: np.ndarray) -> float:
    """Chance that one of the first is larger than one of the second, ties half (AUROC)."""
    ranks = scipy.stats.rankdata(np.concatenate([positive, negative]))
    n = len(positive)
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * len(negative)))


def area_error(area: float, positive: int, negative: int) -> float:
    """Standard error of an AUROC of so many images."""
    first, second = area / (2 - area), 2 * area**2 / (1 + area)
    variance = area * (1 - area) + (positive - 1) * (first - area**2) + (negative - 1) * (second - area**2)
    return float(np.sqrt(variance / (positive * negative)))


def _share(probabilities: np.ndarray, rows: np.ndarray, i: int, j: int) -> np.ndarray:
    """Of the two classes' probability, the part of the first; in double precision, as ties count half."""
    pair = probabilities[rows][:, [i, j]].astype(np.float64)
    share: np.ndarray = pair[:, 0] / np.maximum(pair.sum(axis=1), np.finfo(np.float64).tiny)
    return share
