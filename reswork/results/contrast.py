"""What two networks answer and are, beside each other."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np


@dataclass(frozen=True, eq=False)
class ChangedAnswers:
    """What two networks answer to the same M images.

    Attributes:
        images: (M,) int64, which test images.
        first_right: (M,) bool, whether the first network is right.
        second_right: (M,) bool, whether the second is.
        different: (M,) bool, whether the answers differ; of masks in any pixel.
        first_answers: (M,) int64, classes that the first names; empty for masks.
        second_answers: (M,) int64, likewise of the second.
        metrics: what judges both: name -> (value of the first, value of the second); ``loss`` is one of them.
        p_value: McNemar's exact test: how probable it is that right answers turn wrong and wrong ones right as
            unevenly as here, if both networks were equally good.
        total: how many test images there are.
    """

    images: np.ndarray
    first_right: np.ndarray
    second_right: np.ndarray
    different: np.ndarray
    first_answers: np.ndarray
    second_answers: np.ndarray
    metrics: dict[str, tuple[float, float]]
    p_value: float
    total: int

    @cached_property
    def became_wrong(self) -> np.ndarray:
        """(k,) int64: test images that the first names right and the second does not."""
        return self._chosen(self.first_right & ~self.second_right)

    @cached_property
    def became_right(self) -> np.ndarray:
        """(k,) int64: the other way round."""
        return self._chosen(~self.first_right & self.second_right)

    @cached_property
    def wrong_otherwise(self) -> np.ndarray:
        """(k,) int64: both are wrong, and say different things."""
        return self._chosen(~self.first_right & ~self.second_right & self.different)

    @property
    def changed(self) -> np.ndarray:
        """(k,) int64: all of which the answers differ, those that became wrong first."""
        return np.concatenate([self.became_wrong, self.became_right, self.wrong_otherwise])

    def __len__(self) -> int:
        return len(self.images)

    @property
    def sentence(self) -> str:
        """The counts, and whether they can be chance."""
        worse, better = len(self.became_wrong), len(self.became_right)
        if not self.different.any():
            return f"Both answer all {len(self):,} images alike."
        chance = (
            "which chance may make of two equally good networks"
            if self.p_value >= 0.05
            else "too uneven for chance"
        )
        tested = f" (McNemar's exact test: p = {self.p_value:.2g}, {chance})" if worse + better else ""
        return (
            f"Of {len(self):,} images {worse:,} became wrong, {better:,} became right{tested}; "
            f"{len(self.wrong_otherwise):,} are wrong in another way."
        )

    def _chosen(self, rows: np.ndarray) -> np.ndarray:
        chosen: np.ndarray = self.images[rows]
        return chosen


@dataclass(frozen=True, eq=False)
class Distances:
    """How far two networks are apart, block by block.

    Attributes:
        of: ``"weights"`` or ``"features"``.
        names: (B,) of the blocks that both have, from input to output.
        values: (B,) float64: norm of the difference over the norm of the first; 0: equal.
        missing: sentences about blocks that could not be compared.
    """

    of: str
    names: tuple[str, ...]
    values: np.ndarray
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Parting:
    """Where two networks part on one image.

    Attributes:
        image: which test image.
        distances: of their features on it.
        limit: from which distance on they count as apart.
        block: the first block beyond the limit; None where there is none.
        first_answer: what the first says.
        second_answer: what the second says.
    """

    image: int
    distances: Distances
    limit: float
    block: str | None
    first_answer: str
    second_answer: str

    @property
    def sentence(self) -> str:
        """The finding in words."""
        told = f"The first answers {self.first_answer}, the second {self.second_answer}"
        if self.block is None:
            return f"{told}; nowhere do their features differ by more than {100 * self.limit:.0f} %."
        place = self.distances.names.index(self.block)
        value = 100 * float(self.distances.values[place])
        if place == 0:
            return f"{told}; their features differ from the first block on ({self.block}, by {value:.0f} %)."
        return (
            f"{told}; up to {self.distances.names[place - 1]} their features differ by at most "
            f"{100 * float(self.distances.values[:place].max()):.1f} %, at {self.block} by {value:.0f} %: there they "
            "part."
        )


@dataclass(frozen=True, eq=False)
class FeaturePairs:
    """The same channels of two networks on one image, at the end of each stage.

    Attributes:
        image: which test image.
        names: what the two networks are called.
        layers: (L,) names of blocks that both have, from input to output.
        channels: (L,) the numbers of the channels that are shown, those that differ most first.
        maps: (L,) pairs of (C, h, w) float32, of the first and of the second network.
        apart: (L,) norm of the difference of all channels over the norm of the first's.
    """

    image: int
    names: tuple[str, str]
    layers: tuple[str, ...]
    channels: tuple[tuple[int, ...], ...]
    maps: tuple[tuple[np.ndarray, np.ndarray], ...]
    apart: tuple[float, ...]

    @property
    def sentence(self) -> str:
        """How far each stage's output moved."""
        if not self.layers:
            return "The two networks have no block in common whose output has positions."
        told = ", ".join(
            f"{name} {100 * value:.0f} %" for name, value in zip(self.layers, self.apart, strict=True)
        )
        return f"On test image {self.image} the outputs differ by {told} of their size."


@dataclass(frozen=True, eq=False)
class WeightPath:
    """Networks on the straight line from the weights of one to those of another.

    Attributes:
        shares: (P,) float64, how much of the second is in it, 0 to 1.
        metrics: name -> (P,) float64, with statistics interpolated as the weights are.
        reestimated: the same with batch norms estimated anew; empty where there are none.
        headline: name of the metric that judges.
        images: test images that they were judged on.
    """

    shares: np.ndarray
    metrics: dict[str, np.ndarray]
    headline: str
    images: int
    reestimated: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def barrier(self) -> float:
        """How much the loss rises above the straight line between both ends, at most; about 0: no barrier.

        Reference:
            Frankle et al. 2020, arXiv 1912.05671, section 2.
        """
        return _barrier(self.shares, self.metrics["loss"])

    @property
    def sentence(self) -> str:
        """The finding in words."""
        told = f"Over {self.images:,} images the loss rises by {self.barrier:.3g} at most above the line between both"
        if self.reestimated:
            told += (
                f", with batch norms estimated anew by {_barrier(self.shares, self.reestimated['loss']):.3g}"
            )
        return f"{told}."


def _barrier(shares: np.ndarray, loss: np.ndarray) -> float:
    line = (1 - shares) * loss[0] + shares * loss[-1]
    return float((loss - line).max())
