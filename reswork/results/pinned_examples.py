"""A few pictures followed through a training: what the network answered, and where it looked."""

from dataclasses import dataclass

import numpy as np

from reswork.results.answers import Answers


@dataclass(frozen=True, eq=False)
class Frame:
    """The pinned pictures at one moment.

    Attributes:
        step: updates so far.
        maps: (M, H, W) float32, where the network looked for its own answer (Grad-CAM); None for
            answers that are masks.
        answers: what it said.
    """

    step: int
    maps: np.ndarray | None
    answers: Answers
