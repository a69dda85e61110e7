"""What a model says about some inputs, as plain arrays."""

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

    def differs(self, other: "Answers", row: int) -> bool:
        """Whether another model says something else about an image."""
        return not isinstance(other, ClassAnswers) or bool(self.classes[row] != other.classes[row])


@dataclass(frozen=True, eq=False)
class MaskAnswers:
    """One class for each pixel of each image.

    Attributes:
        masks: (N, H, W) uint8, classes.
        sure: (N,) float32, the probability of the chosen class, mean over the pixels.
    """

    masks: np.ndarray
    sure: np.ndarray

    def told(self, row: int, names: Sequence[str]) -> str:
        """The classes of one image in words, the first class, which is mostly the ground, only where it is alone."""
        counts = np.bincount(self.masks[row].reshape(-1))
        shown = sorted(np.flatnonzero(counts[1:]) + 1, key=lambda k: -counts[k])
        return ", ".join(_name(int(k), names) for k in shown[:2]) or _name(0, names)

    def differs(self, other: "Answers", row: int) -> bool:
        """Whether another model gives more than a tenth of an image's pixels another class."""
        if not isinstance(other, MaskAnswers):
            return True
        return float((self.masks[row] != other.masks[row]).mean()) > _ANOTHER


@dataclass(frozen=True, eq=False)
class ValueAnswers:
    """One or several values for each input.

    Attributes:
        values: (N, T) float32, in standard deviations of the training values from their mean.
    """

    values: np.ndarray

    def told(self, row: int, names: Sequence[str]) -> str:
        """The first values of one input, with their names."""
        shown = self.values[row][:2]
        more = " ..." if self.values.shape[1] > 2 else ""
        return ", ".join(f"{_name(index, names)} {value:.2f}" for index, value in enumerate(shown)) + more

    def differs(self, other: "Answers", row: int) -> bool:
        """Whether another model's values are more than a tenth of a standard deviation away."""
        if not isinstance(other, ValueAnswers):
            return True
        return float(np.abs(self.values[row] - other.values[row]).max()) > _ANOTHER


@dataclass(frozen=True, eq=False)
class ImageAnswers:
    """Another image for each image.

    Attributes:
        images: (N, C, H, W) uint8.
    """

    images: np.ndarray

    def told(self, row: int, names: Sequence[str]) -> str:
        """Its size."""
        return "x".join(map(str, self.images[row].shape[1:]))

    def differs(self, other: "Answers", row: int) -> bool:
        """Whether another model gives an image that is off by more than two bytes on average."""
        if not isinstance(other, ImageAnswers):
            return True
        off = self.images[row].astype(np.int16) - other.images[row].astype(np.int16)
        return float(np.abs(off).mean()) > _OFF


@dataclass(frozen=True, eq=False)
class IdentityAnswers:
    """Where each image lies among others: the nearer two lie, the more likely they show the same.

    Attributes:
        embeddings: (N, E) float32, of length 1.
        similarities: (N, K) float32, the cosine to each identity that was learned, -1 to 1.
    """

    embeddings: np.ndarray
    similarities: np.ndarray

    @property
    def classes(self) -> np.ndarray:
        """(N,) int64, the most alike identity that was learned, which need not be the one that is shown."""
        found: np.ndarray = self.similarities.argmax(axis=1)
        return found

    @property
    def sure(self) -> np.ndarray:
        """(N,) float32, how alike that one is, from 0 to 1."""
        found: np.ndarray = self.similarities.max(axis=1).clip(0, 1)
        return found

    def told(self, row: int, names: Sequence[str]) -> str:
        """The most alike identity that was learned."""
        return f"like {_name(int(self.classes[row]), names)}"

    def differs(self, other: "Answers", row: int) -> bool:
        """Whether another model finds another identity most alike."""
        return not isinstance(other, IdentityAnswers) or bool(self.classes[row] != other.classes[row])


@dataclass(frozen=True, eq=False)
class AnomalyAnswers:
    """Where each image is unlike the good ones, and how much.

    Attributes:
        maps: (N, H, W) float32, from 0.
        scores: (N,) float32, from 0.
        restored: (N, C, H, W) float32, what an autoencoder gave back, in the unit of what went in.
    """

    maps: np.ndarray
    scores: np.ndarray
    restored: np.ndarray

    def told(self, row: int, names: Sequence[str]) -> str:
        """The score."""
        return f"score {float(self.scores[row]):.3g}"

    def differs(self, other: "Answers", row: int) -> bool:
        """Whether another model's score is more than a tenth higher or lower."""
        if not isinstance(other, AnomalyAnswers):
            return True
        return abs(float(self.scores[row] / max(float(other.scores[row]), 1e-12)) - 1) > _ANOTHER


@dataclass(frozen=True, eq=False)
class BoxAnswers:
    """Boxes around the things in each image.

    Attributes:
        boxes: of each image (D, 6) float32: left, top, right, bottom in pixels, class, score from 0 to 1; the best
            first.
    """

    boxes: tuple[np.ndarray, ...]

    @property
    def sure(self) -> np.ndarray:
        """(N,) float32, the score of the best box of each image, 0 where there is none."""
        return np.array([each[:, 5].max(initial=0) for each in self.boxes], np.float32)

    def told(self, row: int, names: Sequence[str]) -> str:
        """Which things are in one image, and how many of each."""
        labels, counts = np.unique(self.boxes[row][:, 4].astype(int), return_counts=True)
        return (
            ", ".join(f"{n} {_name(int(k), names)}" for k, n in zip(labels, counts, strict=True)) or "nothing"
        )

    def differs(self, other: "Answers", row: int) -> bool:
        """Whether another model finds other things in an image."""
        if not isinstance(other, BoxAnswers):
            return True
        own, others = (np.sort(each.boxes[row][:, 4]) for each in (self, other))
        return not np.array_equal(own, others)


Answers = (
    ClassAnswers | MaskAnswers | ValueAnswers | ImageAnswers | IdentityAnswers | AnomalyAnswers | BoxAnswers
)


@dataclass(frozen=True, eq=False)
class Frame:
    """Pictures that are followed through a training, at one moment: what the network answered, and where it looked.

    Attributes:
        step: updates so far.
        maps: (M, H, W) float32, where the network looked for its own answer (Grad-CAM); None for
            answers that are masks, images or boxes.
        answers: what it said.
    """

    step: int
    maps: np.ndarray | None
    answers: Answers


_OFF = 2.0  # bytes
_ANOTHER = 0.1  # of the pixels of an image, or standard deviations of a value: less is no other answer


def _name(index: int, names: Sequence[str]) -> str:
    return str(names[index]) if index < len(names) else str(index)
