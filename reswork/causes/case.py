"""One image, the model that answers it, and the training images that it is compared with."""

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from reswork.datasets.augmentation import normalise
from reswork.datasets.dataset import Dataset, stratified_order
from reswork.errors import InvalidSetting
from reswork.probes.attribution import separated
from reswork.probes.capture import pooled, watched
from reswork.probes.inputs import numbers
from reswork.probes.isolation import OwnRandomness
from reswork.probes.layer_lookup import block_names
from reswork.probes.private_copy import private_copy
from reswork.probes.scalar_model import ScalarModel, checked_images, first_answer, selected
from reswork.reporting.answers import Stopped, stage_layers
from reswork.results.causes import TopAnswers

MOST_TRAINING = 1000  # training images that are looked at
_OF_CLASS = 200  # of one class, for its spread
_CONTROLS = 48  # right answers to other images, which should stay right
_BEST = 5
_MOST_PIXELS = 2**20  # of one batch
Label = int | str | None


class Case:
    """What is explained, with what several looks at it share.

    Works on a private copy of the model, in evaluation mode and without anybody's hooks; the given one stays as it is.

    Args:
        model: any network that takes the data set's images, normalised, and gives (N, K) logits.
        data: with labels.
        image: an index of the split, or a picture of one's own: a path, the bytes of a file, or (C, H, W) uint8.
        split: of the index.
        label: the true class of a picture of one's own.
        training_images: at most so many are compared with.

    Raises:
        InvalidSetting: what does not fit, in one sentence.

    Attributes:
        image: (C, H, W) uint8.
        index: of the split; None for a picture of one's own.
        label: number of the true class; None where it is not known.
        most: training images that are compared with.
        stopped: asked between batches.
    """

    def __init__(
        self, model: nn.Module, data: Dataset, image: Any, split: str, label: Label, training_images: int
    ) -> None:
        if not isinstance(data, Dataset):
            raise InvalidSetting(
                "data", f"data is a {type(data).__name__}: give a data set, such as rw.datasets.folder(path)"
            )
        if data.target_kind != "labels" or data.task is not None:
            kind = "identities" if data.task == "verification" else data.target_kind
            raise InvalidSetting(
                "data", f"the targets of {data.name} are {kind}: only answers that are one "
                        f"class an image "
                "can be explained; rw.inspect shows those of masks",
            )  # fmt: skip
        if split not in ("train", "test"):
            raise InvalidSetting("split", f"split={split!r} is not a split; choose 'train' or 'test'")
        if training_images < 10:
            raise InvalidSetting("training_images", f"training_images={training_images}: choose at least 10")
        self.data, self.split = data, split
        self.index, self.image = _picture(data, image, split)
        self.label = _label(data, self.index, split, label)
        self.stopped: Callable[[], bool] = lambda: False
        self.net, self.notes = private_copy(model)
        self.scalar = ScalarModel(self.net)
        self.most = training_images
        self.inputs = checked_images(self.scalar, self.normalised(self.image[None]))
        with OwnRandomness() as randomness:
            logits = first_answer(self.scalar, self.inputs)
        self._draws = randomness.draws > 0
        if logits.shape[1] != len(data.classes):
            raise InvalidSetting(
                "model",
                f"{type(self.net).__name__} gives {logits.shape[1]} numbers for an image, and {data.name} has "
                f"{len(data.classes)} classes; give the data that it was trained for",
            )
        if not bool(logits.isfinite().all()):
            raise InvalidSetting(
                "model", "the answer to this image is NaN or infinite: there is nothing to explain in it"
            )
        self.notes = (*self.notes, *separated(self.scalar, self.inputs, one_pass=False))
        self.logits = numbers(logits[0])
        self.answer = self._answer()

    def _answer(self) -> TopAnswers:
        order = np.argsort(-self.logits, kind="stable")
        predicted = int(order[0])
        wrong = self.label is not None and self.label != predicted
        other = int(self.label) if wrong and self.label is not None else int(order[1])
        exp = np.exp(self.logits - self.logits.max())
        best = order[:_BEST]
        return TopAnswers(
            best, (exp / exp.sum())[best], predicted, other, self.label,
            float(self.logits[other] - self.logits[predicted]),
        )  # fmt: skip

    # --- asking the model ------------------------------------------------------------------------

    @property
    def batch(self) -> int:
        """Images at once."""
        if self.scalar.alone:
            return 1
        height, width = self.image.shape[1:]
        return max(1, min(128, _MOST_PIXELS // (height * width)))

    def normalised(self, images: np.ndarray | Tensor) -> Tensor:
        """Images (N, C, H, W) uint8 as the model takes them in."""
        return normalise(torch.as_tensor(images).to(self.device), self.data.mean, self.data.std)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        weight = next(iter(self.net.parameters()), None)
        return weight.device if weight is not None else torch.device("cpu")

    def quiet(self) -> AbstractContextManager[object]:
        """Random operations of the model, if it has any, leave the global numbers alone."""
        return OwnRandomness() if self._draws else nullcontext()

    @torch.no_grad()
    def ask(self, inputs: Tensor) -> Tensor:
        """Logits (N, K) of one batch of normalised images."""
        with self.quiet():
            return self.scalar.logits(inputs.to(self.inputs.dtype))

    def answers(self, images: np.ndarray | Tensor) -> np.ndarray:
        """Logits (N, K) float32 of any number of images (N, C, H, W) uint8.

        Raises:
            Stopped: somebody asked for the end.
        """
        found = []
        for part in torch.as_tensor(images).split(self.batch):
            self.check()
            found.append(numbers(self.ask(self.normalised(part))))
        return np.concatenate(found)

    def check(self) -> None:
        """Raise `Stopped` if somebody asked for the end."""
        if self.stopped():
            raise Stopped

    def features(self, images: Tensor, layers: Sequence[str]) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Pooled features (N, D) float32 of some layers, and logits (N, K), of images (N, C, H, W) uint8."""
        parts: dict[str, list[np.ndarray]] = {name: [] for name in layers}
        answers = []
        with watched(self.net, layers, take=pooled) as seen:
            for part in images.split(self.batch):
                self.check()
                output = seen(self.normalised(part))
                answers.append(numbers(selected(output, None)))
                for name in layers:
                    parts[name].append(numbers(seen[name]))
        return {name: np.concatenate(found) for name, found in parts.items()}, np.concatenate(answers)

    # --- what looks share ------------------------------------------------------------------------

    @cached_property
    def blocks(self) -> tuple[str, ...]:
        """Names of the blocks that run and give features, from input to output."""
        names = block_names(self.net)
        try:
            with watched(self.net, names, take=lambda output: output.dim() > 1 and len(output) == 1) as seen:
                seen(self.inputs)
                return tuple(name for name in names if seen[name])
        except InvalidSetting:  # some never run
            return ()

    @cached_property
    def stages(self) -> tuple[str, ...]:
        """The last block at each size of the signal, at most four."""
        return tuple(name for name in stage_layers(self.net, self.data) if name in self.blocks)

    @cached_property
    def own(self) -> dict[str, np.ndarray]:
        """Pooled features (D,) of the image after each block."""
        found, _ = self.features(torch.as_tensor(self.image[None]), self.blocks)
        return {name: values[0] for name, values in found.items()}

    @cached_property
    def rows(self) -> np.ndarray:
        """Indices of the sample of training images, classes in proportion, without the image itself."""
        labels = self.data.train.labels.cpu().numpy()
        order = stratified_order(labels, 0)
        if self.split == "train" and self.index is not None:
            order = order[order != self.index]
        return np.sort(order[: self.most])

    @cached_property
    def labels(self) -> np.ndarray:
        """Classes of the sample."""
        return self.data.train.labels.cpu().numpy()[self.rows]

    @property
    def chance(self) -> float:
        """Accuracy of always naming the sample's most frequent class."""
        return float(np.bincount(self.labels).max() / len(self.labels))

    @cached_property
    def sample(self) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Pooled features of the sample after each block, and logits."""
        return self.features(self.data.train.images[torch.as_tensor(self.rows)], self.blocks)

    @property
    def has_sample(self) -> bool:
        """Whether the sample's features are there already, so that they cost nothing."""
        return "sample" in self.__dict__

    @cached_property
    def controls(self) -> tuple[Tensor, np.ndarray]:
        """Images (N, C, H, W) uint8 that the model answers rightly, and their classes; of the sample."""
        rows = stratified_order(self.labels, 1)[: 4 * _CONTROLS]
        images, labels = self.data.train.images[torch.as_tensor(self.rows[rows])], self.labels[rows]
        right = np.flatnonzero(self.answers(images).argmax(axis=1) == labels)[:_CONTROLS]
        return images[torch.as_tensor(right)], labels[right]

    def of_class(self, label: int) -> np.ndarray:
        """Indices of at most 200 training images of a class, without the image itself."""
        rows = np.flatnonzero(self.data.train.labels.cpu().numpy() == label)
        if self.split == "train" and self.index is not None:
            rows = rows[rows != self.index]
        return np.sort(np.random.default_rng(0).permutation(rows)[:_OF_CLASS])

    @cached_property
    def image_seconds(self) -> float:
        """That the model takes for one image among several, measured."""
        size = min(self.batch, 16)
        images = torch.as_tensor(self.image[None]).expand(size, -1, -1, -1)
        self.ask(self.normalised(images))
        begin = perf_counter()
        self.ask(self.normalised(images))
        return (perf_counter() - begin) / size


def _picture(data: Dataset, image: Any, split: str) -> tuple[int | None, np.ndarray]:
    """The index, if it is one, and the pixels (C, H, W) uint8."""
    given = data.train if split == "train" else data.test
    if isinstance(image, str | bytes | os.PathLike):
        return None, data.decoder(image).numpy()
    if hasattr(image, "__index__") and not getattr(image, "shape", ()) and not isinstance(image, bool):
        index = int(image)
        if not 0 <= index < len(given):
            raise InvalidSetting(
                "image", f"image={index}: the {split} split has {len(given):,} images; choose 0 to {len(given) - 1}"
            )  # fmt: skip
        return index, given.images[index].cpu().numpy()
    try:
        array = np.asarray(image.detach().cpu() if isinstance(image, Tensor) else image)
    except (ValueError, TypeError):
        array = np.zeros(0)
    if array.dtype != np.uint8 or array.shape != data.input_shape:
        said = f"of shape {array.shape} and type {array.dtype}" if array.size else f"a {type(image).__name__}"
        raise InvalidSetting(
            "image",
            f"image is {said}: give an index of the {split} split, a path, the bytes of a file, or uint8 of shape "
            f"{data.input_shape}",
        )
    return None, array.copy()


def _label(data: Dataset, index: int | None, split: str, label: Label) -> int | None:
    if index is not None:
        if label is not None:
            raise InvalidSetting(
                "label", f"label={label!r} goes with a picture of your own; image {index} has its label in the data"
            )  # fmt: skip
        return int((data.train if split == "train" else data.test).labels[index])
    if label is None:
        return None
    number = data.classes.index(label) if isinstance(label, str) and label in data.classes else label
    if isinstance(number, str | bool) or not 0 <= int(number) < len(data.classes):
        raise InvalidSetting(
            "label",
            f"label={label!r} is no class of {data.name}: give its name or a number from 0 to "
            f"{len(data.classes) - 1}",
        )
    return int(number)
