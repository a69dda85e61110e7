"""How much of the answer is there at each depth."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

Classifier = Literal["ridge", "logistic"]


@dataclass(frozen=True, eq=False)
class LinearProbe:
    """Accuracy of a linear classifier on each layer's features.

    Attributes:
        layers: (L,) names, from input to output.
        train: (L,) float64, accuracy on the images it was fitted to, 0 to 1.
        test: (L,) float64, accuracy on others, 0 to 1.
        features: (L,) int64, how many numbers of each image it was given.
        network: the network's own accuracy on the same test images; NaN where its output is no class scores.
        chance: accuracy of always naming the most frequent class of the test images.
        train_images: how many.
        test_images: how many.
        classifier: ``"ridge"`` or ``"logistic"``.
    """

    layers: tuple[str, ...]
    train: np.ndarray
    test: np.ndarray
    features: np.ndarray
    network: float
    chance: float
    train_images: int
    test_images: int
    classifier: Classifier
