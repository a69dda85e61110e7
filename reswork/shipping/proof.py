"""Whether two engines say the same about the same images."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from reswork.shipping.engines import Engine

TOLERANCE = 1e-4  # of the largest number of an output, and of 1 where all are smaller
COARSE = 0.05  # of whole numbers of 8 bits: processors round them in more than one way
BATCHES = (1, 4, 7)  # sizes that every proof has, then all that is left at once


@dataclass(frozen=True)
class Proof:
    """How an engine's output compares with the network's own.

    Attributes:
        images: that were compared.
        batches: sizes in which they were computed.
        largest: difference of two numbers.
        allowed: the largest that is taken for rounding.
        changed: answers that are others, of those that are not tied: whose two best numbers are further apart than
            twice what is allowed; None where the numbers are no scores of classes.
        tied: the rest.
        engine: with its version.
        whose: answers it is compared with.
    """

    images: int
    batches: tuple[int, ...]
    largest: float
    allowed: float
    changed: int | None
    tied: int
    engine: str
    whose: str = "the network"

    @property
    def holds(self) -> bool:
        """Whether they are equal but for rounding."""
        return not self.changed and self.largest <= self.allowed

    @property
    def sentence(self) -> str:
        """What was compared and what came of it."""
        sizes = ", ".join(map(str, self.batches))
        same = "" if self.changed is None else "the same answers"
        same = f"{self.changed:,} other answers" if self.changed else same
        same += f" ({self.tied:,} tied), " if self.tied else ", " if same else ""
        word = "equal" if self.holds else "NOT equal"
        return (
            f"{word} to {self.whose} on {self.images:,} images by {self.engine} in batches of {sizes}: {same}"
            f"outputs differ by {self.largest:.1e} at most, allowed {self.allowed:.1e}"
        )


def compare(
    engine: Engine,
    inputs: np.ndarray,
    reference: np.ndarray,
    tolerance: float = TOLERANCE,
    whose: str = "the network",
    *,
    is_scores: bool = True,
) -> Proof:
    """Ask an engine and compare.

    Args:
        engine: to be asked.
        inputs: (N, C, H, W) float32.
        reference: output of the network for them.
        tolerance: of the largest number of the reference.
        whose: answers the reference is.
        is_scores: whether the output has a score for each class, in the second dimension.
    """
    sizes = tuple(batch_sizes(len(inputs)))
    parts = np.split(inputs, np.cumsum(sizes)[:-1])
    found = np.concatenate([engine(part) for part in parts]).astype(np.float32)
    name = f"{engine.name} {engine.version}"
    allowed = tolerance * max(1.0, float(np.abs(reference).max()))
    if found.shape != reference.shape or not np.isfinite(found).all():
        return Proof(len(inputs), sizes, float("inf"), allowed, len(inputs), 0, name, whose)
    largest = float(np.abs(found - reference).max())
    if not is_scores:
        return Proof(len(inputs), sizes, largest, allowed, None, 0, name, whose)
    best = np.sort(reference, axis=1)
    clear = best[:, -1] - best[:, -2] > 2 * allowed
    other = found.argmax(1) != reference.argmax(1)
    return Proof(
        len(inputs), sizes, largest, allowed, int((other & clear).sum()), int((~clear).sum()), name, whose
    )


def batch_sizes(count: int, first: Sequence[int] = BATCHES) -> Iterator[int]:
    """Sizes of batches of which the first few are given and the last takes the rest.

    Example:
        >>> list(batch_sizes(20)), list(batch_sizes(3))
        ([1, 4, 7, 8], [1, 2])
    """
    for size in (*first, count):
        if count:
            yield min(size, count)
            count -= min(size, count)
