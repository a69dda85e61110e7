"""What every data set is: inputs and targets as tensors, in a training and a test split."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor

from reswork.datasets.decoder import Decoder
from reswork.datasets.inputs import ONE, InputKind, check_inputs, input_kind
from reswork.datasets.mapped import Rows, in_parts
from reswork.datasets.targets import (
    MOST_MASK_CLASSES,
    TargetKind,
    check_classes,
    class_counts,
    enlargement,
    kind_of,
    strata,
)
from reswork.errors import InvalidSetting


@dataclass(frozen=True, eq=False)
class Split:
    """Inputs and what shall be answered for each, both on one device.

    Args:
        inputs: images, uint8, (N, C, H, W); volumes, float32, (N, C, D, H, W); signals, float32, (N, C, L); rows of a
            table, float32, (N, F); or tokens, int64, (N, L): see `reswork.datasets.inputs`.
        targets: labels, int64, (N,), numbers of classes from 0; masks, uint8, (N, H, W), the number of a class
            for each pixel, where `IGNORED` (255) counts nowhere; values, float32, (N,) or (N, T); images, uint8,
            (N, C, sH, sW), that shall come out; or boxes, float32, (N, M, 5): see `reswork.datasets.targets`.
        files: where images and masks are read from as they are needed; nothing: they are in memory.
        place: where batches of images in a file are wanted; None: where the images are.

    Raises:
        InvalidSetting: a tensor of another type or shape, or not as many targets as inputs.
    """

    inputs: Tensor
    targets: Tensor
    files: tuple[Rows, ...] = ()
    place: torch.device | None = None

    @classmethod
    def mapped(cls, images: Rows, targets: Rows | Tensor) -> "Split":
        """A split whose images stay in a file, and its masks too, if it has masks: see `reswork.datasets.mapped`."""
        if isinstance(targets, Rows):
            return cls(images.tensor(), targets.tensor(), (images, targets))
        return cls(images.tensor(), targets, (images,))

    def __post_init__(self) -> None:
        input_kind(self.inputs)
        kind_of(self.inputs, self.targets)

    @property
    def input_kind(self) -> InputKind:
        """Whether the inputs are images, volumes, signals, rows of a table or tokens."""
        return input_kind(self.inputs)

    @property
    def images(self) -> Tensor:
        """The inputs, uint8, (N, C, H, W).

        Raises:
            InvalidSetting: they are something else.
        """
        if self.input_kind != "images":
            raise InvalidSetting(
                "data", f"the inputs are {self.input_kind}, and this needs images: give data with images"
            )
        return self.inputs

    @property
    def target_kind(self) -> TargetKind:
        """Whether the targets are labels, masks, values, images or boxes."""
        return kind_of(self.inputs, self.targets)

    @property
    def labels(self) -> Tensor:
        """The targets, int64, (N,).

        Raises:
            InvalidSetting: they are something else.
        """
        return self._only("labels")

    @property
    def masks(self) -> Tensor:
        """The targets, uint8, (N, H, W), of volumes (N, D, H, W).

        Raises:
            InvalidSetting: they are something else.
        """
        return self._only("masks")

    @property
    def values(self) -> Tensor:
        """The targets, float32, (N,) or (N, T).

        Raises:
            InvalidSetting: they are something else.
        """
        return self._only("values")

    @property
    def boxes(self) -> Tensor:
        """The targets, float32, (N, M, 5): left, top, right, bottom in pixels, class, `NO_BOX` where there is none.

        Raises:
            InvalidSetting: they are something else.
        """
        return self._only("boxes")

    @property
    def scale(self) -> int:
        """How many times as high and wide as the images the targets are, 1 for equally large ones.

        Raises:
            InvalidSetting: the targets are no images.
        """
        return enlargement(self.images, self._only("images"))

    def _only(self, kind: TargetKind) -> Tensor:
        if self.target_kind != kind:
            raise InvalidSetting(
                "data", f"the targets are {self.target_kind}, and this needs {kind}: give data with {kind}"
            )
        return self.targets

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def device(self) -> torch.device:
        """Where batches are cut for."""
        return self.place or self.inputs.device

    def take(self, chosen: Tensor | slice) -> "Split":
        """Some of the inputs, by their numbers, with their targets."""
        return Split(self.inputs[chosen], self.targets[chosen])

    def to(self, device: torch.device | str) -> "Split":
        """The same on another device; a split that is there already comes back itself.

        Images that are read from a file stay there: their batches go to the device.
        """
        if self.files:
            return replace(self, place=torch.device(device))
        inputs, targets = self.inputs.to(device), self.targets.to(device)
        return self if inputs is self.inputs and targets is self.targets else Split(inputs, targets)

    def __repr__(self) -> str:
        shape = "x".join(str(n) for n in self.inputs.shape[1:])
        beside = "" if self.target_kind == "labels" else f" with {self.target_kind}"
        where = f"in {self.files[0].path}" if self.files else f"on {self.inputs.device}"
        return f"Split({len(self):,} {ONE[self.input_kind]}s {shape}{beside}, {where})"


@dataclass(frozen=True)
class Skipped:
    """A file that was not used, and why.

    Args:
        path: relative to the folder or inside the archive, as it is spelt there.
        reason: a few words, such as ``truncated``.
    """

    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set held as tensors, on whatever device training uses.

    Args:
        name: short, such as ``fashion``.
        train: what the network learns from.
        test: what it is judged by.
        classes: their names, in the order of their numbers in the targets; whatever a person or a file called them.
            Where targets are values, the names of the T values.
        mean: of each channel over the training images, 0 to 1; of each channel of signals or column of a table in its
            own unit; nothing for tokens.
        std: standard deviation of each channel or column, as the mean; never 0.
        source: where it is from, in one sentence.
        skipped: files that were not used.
        extras: further tensors, such as ``train_boxes``; a name begins with its split.
        notes: sentences about what was done to the images, such as resizing.
        value_range: the numbers in the files or arrays that became black and white, where they were no bytes; every
            later picture is scaled by the same.
        layout: what was understood of a folder's names, in lines, as `folder_layout` tells it beforehand.
        features: names of a signal's channels, a table's columns or of each token; empty for images.
        target_scale: mean and standard deviation of each value in its own unit, where the targets are values; the
            targets themselves are standardised by them. `in_units` gives values back.
        task: kind of the task that learns from it, where the targets alone do not tell: ``"verification"`` for labels
            that are identities, ``"anomalies"`` for masks of what is not as it should be.

    Raises:
        InvalidSetting: targets without a class, splits of different shapes or kinds, an empty split.

    Example:
        >>> from reswork.datasets import digits
        >>> digits()
        Dataset('digits', 1,297 + 500 images 1x8x8, 10 classes, on cpu)
    """

    name: str
    train: Split
    test: Split
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    source: str
    skipped: tuple[Skipped, ...] = ()
    extras: Mapping[str, Tensor] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    value_range: tuple[float, float] | None = None
    layout: str = ""
    features: tuple[str, ...] = ()
    target_scale: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    task: str | None = None

    def __post_init__(self) -> None:
        if len(self.classes) < 2 and self.train.target_kind in ("labels", "masks"):
            raise InvalidSetting(
                "classes", f"{len(self.classes)} class(es): telling classes apart needs at least two"
            )
        kind, one = self.train.input_kind, ONE[self.train.input_kind]
        if kind != self.test.input_kind:
            raise InvalidSetting(
                "test",
                f"training inputs are {kind} and test inputs {self.test.input_kind}: give both the same",
            )
        if self.train.inputs.shape[1:] != self.test.inputs.shape[1:]:
            raise InvalidSetting(
                "test",
                f"training {one}s are {tuple(self.train.inputs.shape[1:])} and test {one}s "
                f"{tuple(self.test.inputs.shape[1:])}: give both the same shape{' (C, H, W)' * (kind == 'images')}",
            )
        if self.train.target_kind != self.test.target_kind:
            raise InvalidSetting(
                "test",
                f"training {one}s have {self.train.target_kind} and test {one}s {self.test.target_kind}: give both "
                "the same",
            )
        if self.target_kind == "images" and self.train.scale != self.test.scale:
            raise InvalidSetting(
                "test",
                f"training images are enlarged {self.train.scale} times and test images {self.test.scale} times: give "
                "both the same",
            )
        if self.target_kind == "masks" and len(self.classes) > MOST_MASK_CLASSES:
            raise InvalidSetting(
                "classes",
                f"{len(self.classes):,} classes of pixels: a mask has the numbers 0 to {MOST_MASK_CLASSES - 1}; "
                "join some",
            )
        for split in ("train", "test"):
            given = self._split(split)
            if not len(given) or 0 in given.inputs.shape:
                raise InvalidSetting(split, f"the {split} split has no {one}s: give at least one")
            check_inputs(split, kind, given.inputs)
            if len(given.files) < 2:  # masks in a file were checked when it was written; they may be many
                check_classes(split, given.target_kind, given.targets, len(self.classes))

    def _split(self, split: str) -> Split:
        if split not in ("train", "test"):
            raise InvalidSetting("split", f"split={split!r} is not a split; choose 'train' or 'test'")
        chosen: Split = getattr(self, split)
        return chosen

    @property
    def target_kind(self) -> TargetKind:
        """What is known of each input: ``"labels"``, ``"masks"``, ``"values"``, ``"images"`` or ``"boxes"``."""
        return self.train.target_kind

    @property
    def are_words(self) -> bool:
        """Whether its tokens are words, and not single signs."""
        return self.input_kind == "tokens" and any(len(each) > 1 for each in self.features[2:])

    @property
    def input_kind(self) -> InputKind:
        """What its networks take in: ``"images"``, ``"volumes"``, ``"signals"``, ``"tables"`` or ``"tokens"``."""
        return self.train.input_kind

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of one input: (C, H, W) of an image, (C, D, H, W) of a volume, (C, L) of a signal, (F,) or (L,)."""
        return tuple(self.train.inputs.shape[1:])

    @property
    def decoder(self) -> Decoder:
        """How pictures are read to be like those of this set; it goes with its networks.

        Raises:
            InvalidSetting: its images have another number of channels than pictures, or it has no images.
        """
        channels, height, width = self.train.images.shape[1:]
        return Decoder((height, width), channels, self.value_range, self.mean, self.std)

    def in_units(self, values: np.ndarray | Tensor) -> np.ndarray:
        """Values or answers in the unit that they had before they were standardised, float64, (N,) or (N, T).

        Raises:
            InvalidSetting: the targets are no values.
        """
        if self.target_kind != "values":
            raise InvalidSetting(
                "data", f"the targets of {self.name} are {self.target_kind}, which have no unit"
            )
        array = np.asarray(values.detach().cpu() if isinstance(values, Tensor) else values, dtype=np.float64)
        if self.target_scale is None:
            return array
        mean, std = (np.asarray(each) for each in self.target_scale)
        found: np.ndarray = array * std + mean if array.ndim > 1 else array * std[0] + mean[0]
        return found

    @cached_property
    def fingerprint(self) -> str:
        """Sha256 over inputs, targets and classes, in hexadecimal: equal for equal data, whatever its name."""
        digest = hashlib.sha256(json.dumps(self.classes).encode())
        for split in (self.train, self.test):
            for tensor in (split.inputs, split.targets):
                digest.update(json.dumps(list(tensor.shape)).encode())
                for part in in_parts(tensor):
                    digest.update(part.cpu().contiguous().numpy().data)
        return digest.hexdigest()

    def class_counts(self, split: Literal["train", "test"] = "train") -> np.ndarray:
        """How often each class is in one split, for masks pixels that are not ignored, int64, (classes,)."""
        return class_counts(self.target_kind, self._split(split).targets, len(self.classes))

    def to(self, device: torch.device | str) -> Self:
        """The same on another device; what is there already is not copied."""
        extras = {name: tensor.to(device) for name, tensor in self.extras.items()}
        return self._with(train=self.train.to(device), test=self.test.to(device), extras=extras)

    def _with(self, **changes: Any) -> Self:
        """A copy that hashes the same data."""
        changed = replace(self, **changes)
        if "fingerprint" in self.__dict__:
            changed.__dict__["fingerprint"] = self.fingerprint
        return changed

    def subset(self, train: int | None = None, test: int | None = None, seed: int = 0) -> Self:
        """Fewer inputs, with the classes in the same proportions; mean and deviation stay those of the whole.

        For masks and boxes, the images are balanced by the rarest class that each shows.

        Args:
            train: how many training images; None keeps all.
            test: how many test images; None keeps all.
            seed: of the choice.

        Raises:
            InvalidSetting: fewer than one, or more than there are.
        """
        sizes = {"train": train, "test": test}
        chosen = {split: self._choice(split, size, seed) for split, size in sizes.items()}
        splits: dict[str, Any] = {split: self._split(split).take(index) for split, index in chosen.items()}
        extras = {
            name: tensor[chosen[name.split("_")[0]]]
            for name, tensor in self.extras.items()
            if not name.endswith("_pairs")  # whose images may be gone
        }
        return replace(self, **splits, extras=extras)

    def of_classes(self, classes: Sequence[str | int]) -> Self:
        """Only the images of some classes, which are numbered anew in this order; mean and deviation stay.

        Args:
            classes: names or numbers, at least two.

        Raises:
            InvalidSetting: for a class that there is not or that is named twice, or targets that are no labels.
        """
        if self.target_kind != "labels":
            raise InvalidSetting(
                "data", f"the targets of {self.name} are {self.target_kind}, which have no classes"
            )
        known: dict[str | int, int] = {
            **{name: number for number, name in enumerate(self.classes)},
            **dict(enumerate(range(len(self.classes)))),
        }
        for each in classes:
            if each not in known:
                raise InvalidSetting(
                    "classes", f"{each!r} is no class of {self.name}; choose from {', '.join(self.classes)}"
                )
        numbers = [known[each] for each in classes]
        if len(set(numbers)) != len(numbers):
            raise InvalidSetting("classes", f"classes={tuple(classes)!r} names a class twice")
        places = torch.full((len(self.classes),), -1)
        places[numbers] = torch.arange(len(numbers))
        splits: dict[str, Any] = {}
        extras: dict[str, Tensor] = {}
        for name in ("train", "test"):
            split = self._split(name)
            labels = places.to(split.targets.device)[split.targets]
            chosen = (labels >= 0).nonzero()[:, 0]
            splits[name] = Split(split.inputs[chosen], labels[chosen])
            extras |= {key: value[chosen] for key, value in self.extras.items() if key.split("_")[0] == name}
        kept = tuple(self.classes[number] for number in numbers)
        told = "-".join(map(str, numbers)) if len(numbers) <= 10 else f"{len(numbers)}-classes"
        return replace(self, **splits, extras=extras, classes=kept, name=f"{self.name}-{told}")

    def _choice(self, name: str, size: int | None, seed: int) -> Tensor:
        """Numbers of the chosen images, ascending."""
        split = self._split(name)
        if size is None:
            return torch.arange(len(split), device=split.inputs.device)
        if not 1 <= size <= len(split):
            raise InvalidSetting(name, f"{name}={size} {ONE[self.input_kind]}s: choose 1 to {len(split):,}")
        order = stratified_order(strata(self.target_kind, split.targets, len(self.classes)), seed)[:size]
        return torch.as_tensor(np.sort(order), device=split.inputs.device)

    def summary(self) -> str:
        """What the set holds, where it is from, what was done to it and what was left out, in sentences."""
        sentences = [
            f"{self.name}: {len(self.train):,} training and {len(self.test):,} test {self._inputs_in_words()}, "
            f"{self._targets_in_words()}.",
            self.source if self.source.endswith(".") else f"{self.source}.",
            *self.notes,
        ]
        if self.skipped:
            named = "; ".join(str(item) for item in self.skipped[:3])
            more = f"; and {len(self.skipped) - 3:,} more in .skipped" if len(self.skipped) > 3 else ""
            files = "1 file was" if len(self.skipped) == 1 else f"{len(self.skipped):,} files were"
            sentences.append(f"{files} skipped ({named}{more}).")
        return " ".join(sentences)

    def _inputs_in_words(self) -> str:
        shape, one = self.input_shape, ONE[self.input_kind]
        if self.input_kind == "images":
            colour = {1: "grey", 3: "colour"}.get(shape[0], f"{shape[0]}-channel")
            return f"images, {colour}, {shape[1]}x{shape[2]} pixels"
        if self.input_kind == "volumes":
            channels = f"{shape[0]} channel{'s' * (shape[0] > 1)}"
            return f"volumes, {channels}, {shape[1]} slices of {shape[2]}x{shape[3]} pixels"
        if self.input_kind == "signals":
            return f"signals, {shape[0]} channel{'s' * (shape[0] > 1)} at {shape[1]:,} moments"
        if self.input_kind == "tables":
            return f"rows of {shape[0]:,} columns"
        pieces = "words" if self.are_words else "signs"
        return f"{one}s of up to {shape[0]:,} {pieces}, {len(self.features):,} different ones"

    def _targets_in_words(self) -> str:
        if self.target_kind == "values":
            named = ", ".join(self.classes[:3]) + (" ..." if len(self.classes) > 3 else "")
            return f"{len(self.classes)} value{'s' * (len(self.classes) > 1)} to be told ({named})"
        if self.target_kind == "images":
            height, width = self.train.targets.shape[2:]
            return f"each with the image of {height}x{width} pixels that shall come out"
        if self.task == "verification":
            known = int(self.train.labels.unique().numel())
            new = len(self.classes) - known
            return f"{known:,} identities to learn from and {new:,} others to be told apart in the test"
        if self.task == "anomalies":
            bad = int((self.test.masks != 0).flatten(1).any(1).sum())
            return f"all training images are good, {bad:,} of the test images are bad"
        counts = self.class_counts("train")
        low, high = int(counts.min()), int(counts.max())
        if self.target_kind == "labels":
            each = f"{low:,}" if low == high else f"{low:,} to {high:,}"
            return f"{len(self.classes)} classes with {each} training {ONE[self.input_kind]}s each"
        if self.target_kind == "boxes":
            each = f"{low:,}" if low == high else f"{low:,} to {high:,}"
            return f"up to {self.train.boxes.shape[1]:,} boxes in each, {len(self.classes)} classes with {each} of them"
        pixels = self.train.targets.numel()
        text = (
            f"{len(self.classes)} classes of pixels, from {low / pixels:.1%} ({self.classes[counts.argmin()]}) to "
            f"{high / pixels:.1%} ({self.classes[counts.argmax()]}) of the training pixels"
        )
        ignored = pixels - int(counts.sum())
        return f"{text}, {ignored / pixels:.1%} ignored" if ignored else text

    def __repr__(self) -> str:
        shape = "x".join(str(n) for n in self.input_shape)
        named = "identities" if self.task == "verification" else "classes"
        answers = {
            "labels": f"{len(self.classes)} {named}",
            "masks": f"{len(self.classes)} classes of pixels",
            "values": f"{len(self.classes)} value{'s' * (len(self.classes) > 1)}",
            "images": "x".join(str(n) for n in self.train.targets.shape[1:]) + " to come out",
            "boxes": f"boxes of {len(self.classes)} classes",
        }[self.target_kind]
        return (
            f"Dataset({self.name!r}, {len(self.train):,} + {len(self.test):,} {ONE[self.input_kind]}s {shape}, "
            f"{answers}, on {self.train.inputs.device})"
        )


def stratified_order(labels: np.ndarray, seed: int) -> np.ndarray:
    """An order of which every beginning has the classes in nearly the same proportions, int64, (N,)."""
    shuffled = np.random.RandomState(seed).permutation(len(labels))  # its stream is frozen across versions
    position = np.empty(len(labels))
    for label in np.unique(labels):
        of_class = shuffled[labels[shuffled] == label]
        position[of_class] = (np.arange(len(of_class)) + 0.5) / len(of_class)
    return shuffled[np.argsort(position[shuffled], kind="stable")]
