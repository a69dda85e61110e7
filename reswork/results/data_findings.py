"""What is odd about the images and labels that a model is judged by: plain numbers, the worst first."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class LabelIssues:
    """Images whose label is probably wrong, the most probable one first.

    Attributes:
        images: (M,) int64, their numbers.
        given: (M,) int64, the class that they have.
        suggested: (M,) int64, the class that they probably are.
        score: (M,) float64, the probability of the given label, 0 to 1.
        thresholds: (K,) float64, mean probability of each class over its own images; NaN for one without images.
    """

    images: np.ndarray
    given: np.ndarray
    suggested: np.ndarray
    score: np.ndarray
    thresholds: np.ndarray

    def __len__(self) -> int:
        return len(self.images)

    def below(self, score: float) -> "LabelIssues":
        """Only those whose label has a smaller probability."""
        kept = self.score < score
        return LabelIssues(
            self.images[kept], self.given[kept], self.suggested[kept], self.score[kept], self.thresholds
        )


@dataclass(frozen=True, eq=False)
class Duplicates:
    """Pairs of images that are the same but for how they were stored or shown, the surest first.

    Attributes:
        first: (M,) int64, number of one image.
        second: (M,) int64, number of the other.
        other_split: (M,) bool, whether the second one is in the other split: a leak.
        score: (M,) float64, how alike they are, up to 1.
        kind: (M,) ``exact``, ``mirrored``, ``brightness``, ``resized`` or ``compressed``.
    """

    first: np.ndarray
    second: np.ndarray
    other_split: np.ndarray
    score: np.ndarray
    kind: np.ndarray

    def __len__(self) -> int:
        return len(self.first)

    @property
    def leaks(self) -> "Duplicates":
        """Only those between the splits."""
        return self._kept(self.other_split)

    def above(self, score: float) -> "Duplicates":
        """Only those that are at least as alike."""
        return self._kept(self.score >= score)

    def _kept(self, kept: np.ndarray) -> "Duplicates":
        parts = (self.first, self.second, self.other_split, self.score, self.kind)
        return Duplicates(*(part[kept] for part in parts))


@dataclass(frozen=True, eq=False)
class Outliers:
    """Images far from all others, the farthest first.

    Attributes:
        images: (M,) int64, numbers of those beyond the threshold.
        distance: (M,) float64, theirs.
        all_distances: (N,) float64, of every image: how much farther its nearest neighbours are than usual, in
            widths of the middle half, summed over the layers; below 0: nearer.
        threshold: from which an image counts as far.
    """

    images: np.ndarray
    distance: np.ndarray
    all_distances: np.ndarray
    threshold: float

    def __len__(self) -> int:
        return len(self.images)

    def beyond(self, threshold: float) -> "Outliers":
        """The same with another threshold."""
        order = np.argsort(-self.all_distances, kind="stable")
        rows = order[self.all_distances[order] > threshold]
        return Outliers(rows, self.all_distances[rows], self.all_distances, threshold)


@dataclass(frozen=True, eq=False)
class AlikeClasses:
    """Pairs of classes that the model can hardly tell apart, the least first.

    Attributes:
        first: (M,) int64, a class.
        second: (M,) int64, another.
        separation: (M,) float64, chance that an image of the first looks more like it than one of the second (AUROC);
            0.5: they cannot be told apart.
        high: (M,) float64, upper end of its interval of 95 %.
        confused: (M,) int64, images of one that are called the other.
    """

    first: np.ndarray
    second: np.ndarray
    separation: np.ndarray
    high: np.ndarray
    confused: np.ndarray

    def __len__(self) -> int:
        return len(self.first)
