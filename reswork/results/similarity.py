"""How alike layers are."""

from dataclasses import dataclass

import numpy as np


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
