"""How well masks are answered: plain numbers."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

SIZES = ("small", "medium", "large")


@dataclass(frozen=True, eq=False)
class MaskScores:
    """Scores of K classes of pixels over N images; what never occurs is NaN.

    Attributes:
        metrics: of all images, by name: ``loss`` and the metrics of the task.
        iou: (K,) float64, of each class, from one count over all images.
        iou_by_size: (K, 3) float64, of images where the class takes a small, medium or large area: thirds of those
            that show it.
        area_borders: (K, 2) float64, share of the image that parts them.
        boundary: share of the pixels near a border between classes that are named right.
        inside: share of the others.
        boundary_width: pixels that count as near, on each side.
        boundary_share: share of pixels that are near.
        image_iou: (N,) float64, mean IoU of each image over the classes that it shows or is answered with.
        right: (N,) bool, whether the task calls the answer right.
        worst: (W,) int64, numbers of the images with the lowest mean IoU, the worst first.
        worst_answers: (W, H, W) uint8, what was answered for them.
        confusion: (K, K) int64 pixels, row: the true class.
        embeddings: layer name -> (N, D) float32, what the model made of each image; may be empty.
    """

    metrics: Mapping[str, float]
    iou: np.ndarray
    iou_by_size: np.ndarray
    area_borders: np.ndarray
    boundary: float
    inside: float
    boundary_width: int
    boundary_share: float
    image_iou: np.ndarray
    right: np.ndarray
    worst: np.ndarray
    worst_answers: np.ndarray
    confusion: np.ndarray
    embeddings: Mapping[str, np.ndarray] = field(default_factory=dict)
