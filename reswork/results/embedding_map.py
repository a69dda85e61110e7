"""`EmbeddingMap`: where a model puts each image, in two dimensions."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

Projection = Literal["pca", "tsne", "umap"]
METHODS: dict[Projection, str] = {"pca": "PCA", "tsne": "t-SNE", "umap": "UMAP"}


@dataclass(frozen=True, eq=False)
class EmbeddingMap:
    """Two coordinates for each image.

    Attributes:
        layer: whose output it is.
        method: ``pca``, ``tsne`` or ``umap``.
        points: (M, 2) float32.
        images: (M,) int64, their numbers.
        explained: (2,) float64, share of the variance that each axis holds; NaN but for PCA.
        training: (R, 2) float32, training images laid out together with them; none where that was not asked.
        training_images: (R,) int64, their numbers in the training split.
    """

    layer: str
    method: Projection
    points: np.ndarray
    images: np.ndarray
    explained: np.ndarray
    training: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), np.float32))
    training_images: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))

    def inside(self, x: Sequence[float], y: Sequence[float]) -> np.ndarray:
        """Numbers of the images whose points lie inside of a polygon.

        Args:
            x: (C,) of its corners, C >= 3.
            y: (C,) likewise.

        Returns:
            (M,) int64; a point that the outline goes around an even number of times is outside.

        Example:
            >>> points = np.array([[0.5, 0.5], [2, 2]], np.float32)
            >>> found = EmbeddingMap("fc", "pca", points, np.array([4, 7]), np.zeros(2))
            >>> found.inside([0, 1, 1, 0], [0, 0, 1, 1])
            array([4])
        """
        corners = np.column_stack([np.asarray(x, np.float64), np.asarray(y, np.float64)])
        across, up = self.points[:, 0].astype(np.float64), self.points[:, 1].astype(np.float64)
        odd = np.zeros(len(across), bool)
        for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            if y0 != y1:
                crossed = (up < y0) != (up < y1)
                odd ^= crossed & (across < x0 + (up - y0) * (x1 - x0) / (y1 - y0))
        return self.images[odd]
