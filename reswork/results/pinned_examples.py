"""A few pictures followed through a training: what the network answered, and where it looked."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Frame:
    """The pinned pictures at one moment.

    Attributes:
        step: updates so far.
        maps: (M, H, W) float32, where the network looked for its own answer (Grad-CAM).
        answers: (M,) int64, the class that it named.
        probabilities: (M,) float32, how sure it was, 0 to 1.
    """

    step: int
    maps: np.ndarray
    answers: np.ndarray
    probabilities: np.ndarray
