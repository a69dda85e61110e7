"""What part of the image one position of a layer sees."""

from dataclasses import dataclass

import numpy as np

Box = tuple[int, int, int, int]  # top, left, bottom, right; the last two not included


@dataclass(frozen=True, eq=False)
class ReceptiveField:
    """The field that a position could see, and how much each pixel really counts.

    Attributes:
        layer: its name.
        position: row and column in the layer's map.
        influence: (H, W) float64, mean absolute gradient, divided by its sum.
        box: all that the position can see, cut at the image's edge.
        size: height and width of that field before it is cut; None: the whole image.
        images: how many the mean is over.
    """

    layer: str
    position: tuple[int, int]
    influence: np.ndarray
    box: Box
    size: tuple[int, int] | None
    images: int

    @property
    def effective_size(self) -> float:
        """Side in pixels of a square with as many pixels as count at least 4.55 % of the strongest one.

        Reference:
            Luo et al. 2016, arXiv 1701.04128, section 3: two deviations of a Gaussian.
        """
        return float(np.sqrt((self.influence > (1 - 0.9545) * self.influence.max()).sum()))

    @property
    def width_holding_half(self) -> int:
        """Side in pixels of the smallest centred square that holds half of all influence."""
        rows, columns = np.indices(self.influence.shape)
        top, left, bottom, right = self.box
        middle = ((top + bottom - 1) / 2, (left + right - 1) / 2)
        distance = np.maximum(np.abs(rows - middle[0]), np.abs(columns - middle[1]))
        order = np.argsort(distance, axis=None, kind="stable")
        reached = np.searchsorted(np.cumsum(self.influence.ravel()[order]), 0.5 * self.influence.sum())
        return int(2 * distance.ravel()[order][min(reached, len(order) - 1)] + 1)
