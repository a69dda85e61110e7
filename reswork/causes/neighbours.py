"""The training images that are most like an image, stage by stage."""

import numpy as np

from reswork.causes.case import Case
from reswork.results.causes import Neighbours

NEAREST = 20
_TEMPERATURE = 0.07  # of the votes, arXiv 1805.01978, section 3.4


def neighbours(case: Case) -> Neighbours:
    """The nearest of a sample of training images after each stage, and what their labels speak for.

    Nearness is the cosine of pooled features from which the sample's mean was taken away: behind a ReLU all features
    point into the same corner, and without that all images would be alike.

    Args:
        case: what is explained.

    Returns:
        Images, votes, and how often such votes are right for the sample itself, each image being left out of its own.

    Reference:
        Wu et al. 2018, arXiv 1805.01978, section 3.4, for the votes.
    """
    features, _ = case.sample
    classes, count = len(case.data.classes), min(NEAREST, len(case.rows) - 1)
    found: dict[str, list[np.ndarray]] = {"images": [], "similarity": [], "labels": [], "votes": []}
    accuracy = []
    for name in case.stages:
        mean = features[name].mean(axis=0)
        sample, own = _directions(features[name] - mean), _directions(case.own[name][None] - mean)
        likeness = (own @ sample.T)[0]
        nearest = np.argsort(-likeness, kind="stable")[:count]
        found["images"].append(case.rows[nearest])
        found["similarity"].append(likeness[nearest].astype(np.float32))
        found["labels"].append(case.labels[nearest])
        found["votes"].append(_votes(likeness[None, nearest], case.labels[None, nearest], classes)[0])
        accuracy.append(_accuracy(sample, case.labels, classes, count))
        case.check()
    stacked = {key: np.stack(values) for key, values in found.items()}
    return Neighbours(
        case.stages, **stacked, accuracy=np.array(accuracy), chance=case.chance, sample=len(case.rows)
    )


def _directions(features: np.ndarray) -> np.ndarray:
    """Rows of length 1; those of length 0 stay."""
    length = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.where(length > 0, length, 1)


def _votes(likeness: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """(N, k) similarities and labels to (N, classes) float32 whose rows sum to 1."""
    weights = np.exp((likeness - likeness.max(axis=1, keepdims=True)) / _TEMPERATURE)
    votes = np.zeros((len(likeness), classes), np.float32)
    np.add.at(votes, (np.arange(len(likeness))[:, None], labels), weights)
    return votes / votes.sum(axis=1, keepdims=True)


def _accuracy(sample: np.ndarray, labels: np.ndarray, classes: int, count: int) -> float:
    """Share of the sample that the others name right."""
    likeness = sample @ sample.T
    np.fill_diagonal(likeness, -np.inf)
    nearest = np.argpartition(-likeness, count - 1, axis=1)[:, :count]
    votes = _votes(np.take_along_axis(likeness, nearest, axis=1), labels[nearest], classes)
    return float((votes.argmax(axis=1) == labels).mean())
