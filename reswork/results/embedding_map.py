"""`EmbeddingMap`: where a model puts each image, in two dimensions."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

Projection = Literal["pca", "tsne"]


@dataclass(frozen=True, eq=False)
class EmbeddingMap:
    """Two coordinates for each image.

    Attributes:
        layer: whose output it is.
        method: ``pca`` or ``tsne``.
        points: (M, 2) float32.
        images: (M,) int64, their numbers.
        explained: (2,) float64, share of the variance that each axis holds; NaN for t-SNE.
    """

    layer: str
    method: Projection
    points: np.ndarray
    images: np.ndarray
    explained: np.ndarray
