"""How well images are named, in all and by class; wrong answers by confidence."""

import warnings

import numpy as np
import scipy
import torch

from reswork.reporting.predictions import Predictions
from reswork.results.scores import ClassScores, Mistakes
from reswork.tasks.classification import ClassMeter

_CHUNK = 8192


def class_scores(predictions: Predictions) -> ClassScores:
    """Loss, accuracy, precision, recall, F1 and confusion.

    The metrics of all images are counted by the task's own meter (torchmetrics), those of each class by scikit-learn.

    Raises:
        InvalidSetting: labels are not known.

    Example:
        >>> from reswork.reporting.predictions import checked_predictions
        >>> class_scores(checked_predictions([[0.9, 0.1], [0.2, 0.8]], [0, 0])).metrics["top1"]
        0.5
    """
    from sklearn.metrics import precision_recall_fscore_support  # takes a second to import

    labels, wide = predictions.known_labels, len(predictions.classes)
    meter = ClassMeter(wide, torch.device("cpu"))
    for start in range(0, len(labels), _CHUNK):
        meter.update(
            torch.from_numpy(log_probabilities(predictions.probabilities[start : start + _CHUNK])),
            torch.from_numpy(labels[start : start + _CHUNK]),
        )
    evaluation = meter.compute()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a class that never occurs is NaN, and that says it
        precision, recall, f1, support = precision_recall_fscore_support(
            labels, predictions.predicted, labels=range(wide), zero_division=np.nan
        )
    confusion = evaluation.tables["confusion"]
    return ClassScores(
        evaluation.metrics,
        precision,
        recall,
        f1,
        support.astype(np.int64),
        confusion,
        confusion_order(confusion),
    )


def log_probabilities(probabilities: np.ndarray) -> np.ndarray:
    """Logits that give these probabilities, float64; a probability of 0 counts as the smallest of single precision."""
    found: np.ndarray = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny, dtype=np.float64))
    return found


def confusion_order(confusion: np.ndarray) -> np.ndarray:
    """Classes so that those that are often taken for each other stand together.

    Classes are joined by how often they are confused, as a share of their images, and the leaves of that tree laid out
    so that neighbours are as alike as the tree allows.

    Args:
        confusion: (K, K) counts, row: the true class.

    Returns:
        (K,) int64; 0 to K - 1 where nothing is confused.

    Reference:
        Bar-Joseph et al. 2001, Fast optimal leaf ordering for hierarchical clustering.

    Example:
        >>> order = confusion_order(np.array([[5, 0, 4], [0, 9, 0], [3, 0, 6]])).tolist()
        >>> abs(order.index(0) - order.index(2))
        1
    """
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    both = (shares + shares.T) / 2
    np.fill_diagonal(both, 0)
    if len(both) < 3 or not both.any():
        return np.arange(len(both))
    distances = 1 - both / both.max()
    np.fill_diagonal(distances, 0)
    tree = scipy.cluster.hierarchy.linkage(
        scipy.spatial.distance.squareform(distances, checks=False),
        "average",
        optimal_ordering=len(both) <= 300,
    )
    return scipy.cluster.hierarchy.leaves_list(tree).astype(np.int64)


def mistakes(predictions: Predictions) -> Mistakes:
    """All wrong answers, the most confident one first.

    Raises:
        InvalidSetting: labels are not known.
    """
    wrong = np.flatnonzero(~predictions.right)
    rows = wrong[np.argsort(-predictions.confidence[wrong], kind="stable")]
    return Mistakes(
        rows, predictions.known_labels[rows], predictions.predicted[rows], predictions.confidence[rows]
    )
