"""How well a classifier names images, in all and by class: plain numbers."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class ClassScores:
    """Scores of K classes; those of a class that never occurs are NaN.

    Attributes:
        metrics: of all images, by name: ``loss`` and the metrics of the task.
        precision: (K,) float64, of what is called the class, the share that is right.
        recall: (K,) float64, of the images of the class, the share that is found.
        f1: (K,) float64, harmonic mean of both.
        support: (K,) int64, images of the class.
        confusion: (K, K) int64, row: the true class, column: the predicted one.
        order: (K,) int64, the classes so that those that are confused stand together.
    """

    metrics: Mapping[str, float]
    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    support: np.ndarray
    confusion: np.ndarray
    order: np.ndarray


@dataclass(frozen=True, eq=False)
class Mistakes:
    """Wrong answers, the most confident one first.

    Attributes:
        images: (M,) int64, their numbers.
        true: (M,) int64, classes.
        predicted: (M,) int64, classes.
        confidence: (M,) float32, probability of the predicted class.
    """

    images: np.ndarray
    true: np.ndarray
    predicted: np.ndarray
    confidence: np.ndarray
