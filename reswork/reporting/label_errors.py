"""Labels that are probably wrong, by confident learning."""

import numpy as np

from reswork.reporting.predictions import Predictions
from reswork.results.data_findings import LabelIssues

_SLACK = 1e-6  # below a threshold that still counts as reaching it


def label_issues(predictions: Predictions) -> LabelIssues:
    """Images that the model surely calls something else than their label, the least probable label first.

    A class's threshold is the mean probability that its own images are given for it. An image belongs surely to the
    class with the largest probability among those whose threshold it reaches; where that is not its label, the label
    is an issue. Probabilities must be of images that the model was not trained on: what it has learned by heart it
    finds right.

    Args:
        predictions: with labels.

    Raises:
        InvalidSetting: labels are not known.

    Reference:
        Northcutt et al. 2021, arXiv 1911.00068; the same as cleanlab's ``find_label_issues`` with
        ``filter_by="confident_learning"``, ranked by its self-confidence.
    """
    labels, probabilities = predictions.known_labels, predictions.probabilities
    count, wide = probabilities.shape
    rows = np.arange(count)
    own = probabilities[rows, labels].astype(np.float64)
    images = np.bincount(labels, minlength=wide)
    with np.errstate(invalid="ignore"):
        thresholds = np.bincount(labels, own, wide) / images
    reached = probabilities >= np.where(images > 0, thresholds, np.inf) - _SLACK  # (N, K)
    several = reached.sum(axis=1) > 1
    sure = np.where(several, predictions.predicted, reached.argmax(axis=1))
    found = reached.any(axis=1) & (sure != labels) & (predictions.predicted != labels)
    issues = np.flatnonzero(found)
    issues = issues[np.argsort(own[issues], kind="stable")]
    return LabelIssues(issues, labels[issues], sure[issues], own[issues], thresholds)
