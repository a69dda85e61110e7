"""Which parts of a text spoke for an answer, in numbers."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class TextEvidence:
    """How much each part of a text spoke for a class.

    Attributes:
        parts: (P,) words, or the signs of a text of few words.
        values: (P,) by how much the logarithm of the class's odds falls without the part; below 0 it spoke against it.
        target: the class.
        probability: of that class, with the whole text.
    """

    parts: tuple[str, ...]
    values: np.ndarray
    target: int
    probability: float
