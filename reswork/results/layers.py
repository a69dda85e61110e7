"""What probes found layer by layer: how activations are distributed, how alike layers are, what can be read there."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

Classifier = Literal["ridge", "logistic"]


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


@dataclass(frozen=True, eq=False)
class Similarity:
    """CKA between every layer of one network and every layer of another, or of itself.

    Attributes:
        rows: (R,) names of layers of the first network.
        columns: (C,) names of layers of the second.
        values: (R, C) float64; 1: the same up to rotation and scale, about 0: unrelated. NaN where a layer
            does not change from image to image.
        samples: how many images it is over.
        same_network: whether both are the same.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: np.ndarray
    samples: int
    same_network: bool


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
