"""Why one image is answered as it is: what each look at it found, as plain numbers."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

Reader = Literal["head", "probe"]
PartKind = Literal["block", "shortcut", "channel"]
ChangeKind = Literal["patch", "shift", "brightness"]
Strength = Literal["strong", "weak", "nothing", "cannot say"]

SURE = 3.0  # standard errors above chance from which on a reader of features is believed


@dataclass(frozen=True, eq=False)
class TopAnswers:
    """The best answers to one image, and the two classes that all other looks compare.

    Attributes:
        best: (k,) int64, classes, the likeliest first.
        probabilities: (k,) float32.
        predicted: the first of them.
        other: the class that it is compared with: the true one where the answer is wrong, else the second best.
        label: the true class; None where it is not known.
        margin: logit of ``other`` minus logit of ``predicted``; never positive, and a change that makes it positive
            turns the answer.
    """

    best: np.ndarray
    probabilities: np.ndarray
    predicted: int
    other: int
    label: int | None
    margin: float

    @property
    def wrong(self) -> bool:
        """Whether the true class is known to be another one."""
        return self.label is not None and self.label != self.predicted


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The training images that are most like one image at each of L stages, of a sample.

    Attributes:
        layers: (L,) names, from input to output.
        images: (L, k) int64, indices of the training split, the nearest first.
        similarity: (L, k) float32, cosine of the pooled features after the sample's mean was taken away.
        labels: (L, k) int64, their classes.
        votes: (L, K) float32, how much they speak for each class: each neighbour weighs exp(similarity / 0.07), and a
            row sums to 1.
        accuracy: (L,) float64, how often such a vote names the other images of the sample right, 0 to 1.
        chance: accuracy of always naming the most frequent class.
        sample: how many training images were compared.
    """

    layers: tuple[str, ...]
    images: np.ndarray
    similarity: np.ndarray
    labels: np.ndarray
    votes: np.ndarray
    accuracy: np.ndarray
    chance: float
    sample: int

    @property
    def believed(self) -> np.ndarray:
        """(L,) bool, where votes are better than chance by three standard errors."""
        return _above_chance(self.accuracy, self.chance, self.sample)


@dataclass(frozen=True, eq=False)
class Turning:
    """What can be read of the answer after each of L blocks, by two readers.

    The network's own head reads the stream after a block as it would arrive with all later blocks deleted, over their
    shortcuts. A linear probe (ridge regression on pooled features of training images) reads each block by itself.

    Attributes:
        blocks: (L,) names, from input to output.
        predicted: class that the network names at the end.
        other: class that it is compared with.
        head_margin: (L,) float32, logit of ``other`` minus that of ``predicted``; NaN where the head cannot read.
        head_answer: (L,) int64, class that the head names; -1 where it cannot read.
        head_accuracy: (L,) float64, share of training images that it names right from there; NaN likewise.
        probe_margin: (L,) float32, the same of the probe's scores.
        probe_answer: (L,) int64.
        probe_accuracy: (L,) float64, on training images that the probe was not fitted to.
        chance: accuracy of always naming the most frequent class.
        head_images: how many images the head's accuracy is over.
        probe_images: how many the probe's accuracy is over.
        fitted: how many images each probe was fitted to.
    """

    blocks: tuple[str, ...]
    predicted: int
    other: int
    head_margin: np.ndarray
    head_answer: np.ndarray
    head_accuracy: np.ndarray
    probe_margin: np.ndarray
    probe_answer: np.ndarray
    probe_accuracy: np.ndarray
    chance: float
    head_images: int
    probe_images: int
    fitted: int

    def believed(self, reader: Reader) -> np.ndarray:
        """(L,) bool, where a reader is better than chance by three standard errors; elsewhere it says nothing."""
        accuracy = self.head_accuracy if reader == "head" else self.probe_accuracy
        return _above_chance(
            accuracy, self.chance, self.head_images if reader == "head" else self.probe_images
        )

    def turned(self, reader: Reader) -> int | None:
        """The block from which on ``predicted`` leads, where ``other`` led before it, among blocks that are believed.

        None where it led from the first of them on, or does not lead at the last.
        """
        margin = self.head_margin if reader == "head" else self.probe_margin
        places = np.flatnonzero(self.believed(reader) & np.isfinite(margin))
        led = margin[places] > 0  # by the other class
        if not len(places) or led[-1] or not led.any():
            return None
        return int(places[np.flatnonzero(led)[-1] + 1])


@dataclass(frozen=True, eq=False)
class Carriers:
    """What becomes of the margin when one part of the network is taken out, for P parts.

    A block is deleted (its branch gives nothing; in a network without shortcuts it is passed by), a shortcut carries
    nothing, a channel of a stage's output is set to its mean over a sample.

    Attributes:
        kinds: (P,) of the parts.
        names: (P,) of blocks and, for channels, of the stage's last block.
        channels: (P,) int64, number of the channel; -1 for blocks and shortcuts.
        change: (P,) float32, the margin without the part minus the margin: positive takes the answer back.
        answers: (P,) int64, class that is named without it.
        kept: (P,) float64, share of right answers to other images that stay right without it; NaN where it was not
            asked.
        margin: logit of ``other`` minus that of ``predicted``, with everything in place.
        predicted: class that is named.
        other: class that it is compared with.
        fixed: names of blocks that cannot be taken out.
        controls: how many other images ``kept`` is over.
        channels_in_all: how many channels there are, of which those that the slope names strongest were taken out.
    """

    kinds: tuple[PartKind, ...]
    names: tuple[str, ...]
    channels: np.ndarray
    change: np.ndarray
    answers: np.ndarray
    kept: np.ndarray
    margin: float
    predicted: int
    other: int
    fixed: tuple[str, ...]
    controls: int
    channels_in_all: int

    def rows(self, kind: PartKind) -> np.ndarray:
        """Numbers of the parts of one kind, those that take the answer back most first."""
        rows = np.array([row for row, each in enumerate(self.kinds) if each == kind], np.int64)
        return rows[np.argsort(-self.change[rows], kind="stable")]

    def label(self, row: int) -> str:
        """A part in words."""
        if self.kinds[row] == "channel":
            return f"channel {self.channels[row]} of {self.names[row]}"
        return (
            f"{self.kinds[row]} {self.names[row]}"
            if self.kinds[row] == "block"
            else f"shortcut of {self.names[row]}"
        )

    def values(self, kind: PartKind) -> dict[str, float]:
        """Name to change of the margin, of blocks or shortcuts: what colours the drawing."""
        return {self.names[row]: float(self.change[row]) for row in self.rows(kind)}


@dataclass(frozen=True, eq=False)
class Flip:
    """The smallest change of one kind that turns an answer, among those that were tried.

    Attributes:
        kind: what was changed.
        found: whether any did.
        amount: side of the patch or length of the shift in pixels, or change of brightness, -255 to 255;
            NaN if not found.
        place: top and left of the patch, or pixels down and right of the shift; empty for brightness.
        answer: class that is named then; -1 if not found.
        image: (C, H, W) uint8, the image so changed; None if not found.
        tried: how many changes were looked at.
        limit: the largest amount that was tried.
        tested: in a few words, how fine the search is.
    """

    kind: ChangeKind
    found: bool
    amount: float
    place: tuple[int, ...]
    answer: int
    image: np.ndarray | None
    tried: int
    limit: float
    tested: str


@dataclass(frozen=True, eq=False)
class LookAlike:
    """A training image of one class that is answered rightly and is nearest at the end, and where the two part.

    Attributes:
        image: index of the training split.
        label: its class: the true one of the image that is explained, or the predicted one where that is not known.
        blocks: (L,) names, from input to output.
        distance: (L,) float32, cosine distance of the pooled features of the two.
        usual: (L,) float32, median of that distance between two images of the class that are answered rightly.
        limit: (L,) float32, the 95th percentile of it.
        count: images of the class that these are over.
    """

    image: int
    label: int
    blocks: tuple[str, ...]
    distance: np.ndarray
    usual: np.ndarray
    limit: np.ndarray
    count: int

    @property
    def parted(self) -> int | None:
        """The first block from which on, up to the end, they are farther apart than the limit."""
        apart = self.distance > self.limit
        if not len(apart) or not apart[-1]:
            return None
        near = np.flatnonzero(~apart)
        return int(near[-1]) + 1 if len(near) else 0


@dataclass(frozen=True)
class Remark:
    """One sentence of the paragraph.

    Attributes:
        about: name of the look that it rests on.
        strength: how much it says: ``strong``, ``weak``, ``nothing`` (it was looked for and is not there),
            ``cannot say`` (what would tell is not to be believed, or was not asked).
        sentence: with its numbers and thresholds.
    """

    about: str
    strength: Strength
    sentence: str


def _above_chance(accuracy: np.ndarray, chance: float, images: int) -> np.ndarray:
    error = np.sqrt(chance * (1 - chance) / max(images, 1))
    return np.nan_to_num(accuracy, nan=0.0) > chance + SURE * error
