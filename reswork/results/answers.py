"""What a model says about some images, as plain arrays."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class ClassAnswers:
    """One class for each image.

    Attributes:
        probabilities: (N, K) float32, of each class, 0 to 1.
    """

    probabilities: np.ndarray

    @property
    def classes(self) -> np.ndarray:
        """(N,) int64, the class that is named for each image."""
        found: np.ndarray = self.probabilities.argmax(axis=1)
        return found

    @property
    def sure(self) -> np.ndarray:
        """(N,) float32, the probability of that class."""
        found: np.ndarray = self.probabilities.max(axis=1)
        return found

    def told(self, row: int, names: Sequence[str]) -> str:
        """The answer for one image in a word."""
        return _name(int(self.classes[row]), names)

    def differs(self, other: "ClassAnswers", row: int) -> bool:
        """Whether another model says something else about an image."""
        return bool(self.classes[row] != other.classes[row])


Answers = ClassAnswers


def _name(index: int, names: Sequence[str]) -> str:
    return str(names[index]) if index < len(names) else str(index)
