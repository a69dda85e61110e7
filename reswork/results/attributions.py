"""What attributions come back as: maps, how far to trust them, and what came over the shortcuts."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from reswork.errors import InvalidSetting

Floats = NDArray[np.float32]
Finding = Literal["passed", "doubtful", "failed", "not asked"]
COARSE = 4  # cells a side; a map with fewer cannot say where


@dataclass(frozen=True, eq=False)
class Attribution:
    """Which parts of a picture spoke for an answer and which against it, by one method.

    Args:
        method: its name, such as ``grad_cam``.
        values: (M, C, h, w) float32; positive spoke for the target. Gradient methods have the picture's own
            channels and size, the others one channel; class activation maps have their layer's size.
        size: height and width of the pictures in pixels.
        images: (M,) which of the given pictures each map belongs to.
        targets: (M,) what was explained, as ``"3"`` or ``"3 - 5"`` for a difference of two classes.
        scores: (M,) what the net gave for the target, before softmax.
        reference_scores: (M,) the same for the baseline picture; NaN where the method has none.
        layer: name of the layer, for methods that look at one.
        baseline: what "nothing" looks like; None for methods that need no baseline.
        smooth: noisy copies that the map is the mean of; 0: none.
        notes: sentences that a person should read beside the map.
        seconds: how long it took.
        label: the method's name as people write it.
    """

    method: str
    values: Floats
    size: tuple[int, int]
    images: NDArray[np.int64]
    targets: tuple[str, ...]
    scores: Floats
    reference_scores: Floats
    layer: str | None = None
    baseline: str | None = None
    smooth: int = 0
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    label: str = ""

    def __len__(self) -> int:
        return len(self.values)

    @property
    def maps(self) -> Floats:
        """(M, H, W) float32: summed over the channels and, from a coarser layer, enlarged linearly."""
        return enlarged(self.values.sum(axis=1), self.size)

    @property
    def gaps(self) -> Floats:
        """(M,) completeness: how far the values' sum misses the change of the score, as a share of it.

        0 is perfect. NaN where the method promises nothing of the kind.
        """
        change = (self.scores - self.reference_scores).astype(np.float64)
        total = self.values.sum(axis=(1, 2, 3), dtype=np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            return (np.abs(total - change) / np.abs(change)).astype(np.float32)

    def mass_inside(self, masks: NDArray[np.bool_]) -> Floats:
        """Share of each map's positive mass that lies inside a mask; NaN for a map without any.

        Args:
            masks: bool, (M, H, W).

        Raises:
            InvalidSetting: masks of another shape.
        """
        maps = np.maximum(self.maps, 0)
        if np.shape(masks) != maps.shape:
            raise InvalidSetting("masks", f"masks of shape {np.shape(masks)}: give bool, {maps.shape}")
        with np.errstate(divide="ignore", invalid="ignore"):
            return (maps * masks).sum(axis=(1, 2)) / maps.sum(axis=(1, 2))


@dataclass(frozen=True)
class Check:
    """One question put to a map.

    Args:
        name: of the check, such as ``randomisation``.
        value: the number that decides; NaN where the check does not apply.
        finding: what it says about the map.
        sentence: the same in words, with the number.
    """

    name: str
    value: float
    finding: Finding
    sentence: str


@dataclass(frozen=True, eq=False)
class Trust:
    """How far one map can be trusted: five checks, their curves, and a verdict in words.

    Args:
        method: whose map it is.
        image: which of the given pictures.
        target: what was explained.
        checks: completeness, deletion and insertion, infidelity, sensitivity, randomisation.
        fractions: (P,) share of the pixels taken away or put back, 0 to 1.
        deletion: (P,) probability of the target while the most important pixels are taken away.
        insertion: (P,) the same while they are put back, most important first.
        moved_deletion: (R, P) the same with the map moved elsewhere: what a map that knows nothing gives.
        moved_insertion: (R, P).
        layers: (L,) weights shuffled so far, from the answer on downwards, named by the last one.
        correlations: (L,) rank correlation of the map with that of the net with shuffled weights.
        seconds: how long it took.
        label: the method's name as people write it.
    """

    method: str
    image: int
    target: str
    checks: tuple[Check, ...]
    fractions: Floats
    deletion: Floats
    insertion: Floats
    moved_deletion: Floats
    moved_insertion: Floats
    layers: tuple[str, ...]
    correlations: Floats
    seconds: float = 0.0
    label: str = ""

    @property
    def finding(self) -> Finding:
        """The worst of all checks."""
        order: tuple[Finding, ...] = ("failed", "doubtful", "passed")
        found = {check.finding for check in self.checks}
        return next((finding for finding in order if finding in found), "not asked")

    @property
    def verdict(self) -> str:
        """One or a few sentences: what failed first, or that nothing did."""
        bad = [check.sentence for check in self.checks if check.finding == self.finding]
        if self.finding == "failed":
            return "Do not trust this map. " + " ".join(bad)
        if self.finding == "doubtful":
            return "Take this map with care. " + " ".join(bad)
        if self.finding == "passed":
            return f"This map passed {len(bad)} checks; none found anything against it."
        return "No check applies to this map."


@dataclass(frozen=True, eq=False)
class ShortcutShares:
    """How much of one stage's attribution came over its shortcuts, and how much through each branch.

    The whole is gradient times activation at the end of the stage. ``over_shortcuts`` is the part of what
    entered the stage and reached its end without passing any branch; ``through_branches`` are the parts that
    each block's branch added, which reached the end over the shortcuts of the blocks behind it. Together:
    ``whole = over_shortcuts + through_branches.sum(1) + rest``.

    Args:
        stage: its name, such as ``layer2``.
        blocks: (B,) names of its blocks.
        whole: (M,) gradient times activation, summed over the stage's last output.
        over_shortcuts: (M,).
        through_branches: (M, B).
        rest: (M,) what is neither: constants on the way (biases of later projections, activations that do not
            pass through zero); rounding where there are none.
        shortcut_maps: (M, h, w) where in the stage's output the shortcut's part lies.
        branch_maps: (M, h, w) the same for all branches together.
        images: (M,) which of the given pictures.
        targets: (M,) what was explained.
    """

    stage: str
    blocks: tuple[str, ...]
    whole: Floats
    over_shortcuts: Floats
    through_branches: Floats
    rest: Floats
    shortcut_maps: Floats
    branch_maps: Floats
    images: NDArray[np.int64]
    targets: tuple[str, ...]


def enlarged(maps: Floats, size: tuple[int, int]) -> Floats:
    """Maps (M, h, w) enlarged linearly to (M, H, W), cell centres on cell centres.

    Example:
        >>> enlarged(np.array([[[0.0, 4.0]]], np.float32), (1, 4))[0, 0].tolist()
        [0.0, 1.0, 3.0, 4.0]
    """
    if maps.shape[1:] == size:
        return maps.astype(np.float32)
    rows, columns = (_weights(small, large) for small, large in zip(maps.shape[1:], size, strict=True))
    return np.einsum("Hh,mhw,Ww->mHW", rows, maps, columns, optimize=True).astype(np.float32)


def _weights(small: int, large: int) -> Floats:
    """(large, small): how much of each cell is in each pixel."""
    position = np.clip((np.arange(large) + 0.5) * small / large - 0.5, 0, small - 1)
    low = np.floor(position).astype(np.int64)
    high = np.minimum(low + 1, small - 1)
    weights = np.zeros((large, small), np.float32)
    np.add.at(weights, (np.arange(large), low), 1 - (position - low))
    np.add.at(weights, (np.arange(large), high), position - low)
    return weights
