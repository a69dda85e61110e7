"""Data sets from arrays that somebody has already, and from npz files."""

import os
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from reswork.datasets.conversion import (
    Layout,
    assembled,
    own_range,
    renumbered,
    split_off,
    to_images,
    to_labels,
    to_masks,
)
from reswork.datasets.dataset import Dataset, Split
from reswork.datasets.decoding import range_note
from reswork.datasets.places import existing
from reswork.datasets.targets import IGNORED
from reswork.errors import InvalidSetting

# What others call them in their npz files: this project, Keras, MedMNIST, plain.
SPLIT_KEYS = (
    ("train_images", "train_labels", "test_images", "test_labels"),
    ("train_images", "train_masks", "test_images", "test_masks"),
    ("x_train", "y_train", "x_test", "y_test"),
    ("train_images", "train_labels", "val_images", "val_labels"),
    ("x_train", "y_train", "x_val", "y_val"),
)
WHOLE_KEYS = (("images", "labels"), ("images", "masks"), ("x", "y"), ("X", "y"), ("data", "labels"))
MOST_BYTES = 32 * 1024**3


def arrays(
    train_images: Any,
    train_targets: Any,
    test_images: Any = None,
    test_targets: Any = None,
    *,
    classes: Sequence[str] | None = None,
    name: str = "arrays",
    layout: Layout = "auto",
    ignored: int | None = None,
    test_fraction: float = 0.2,
    seed: int = 0,
    source: str = "Arrays given by hand",
) -> Dataset:
    """A data set from numpy arrays or tensors.

    Args:
        train_images: (N, H, W), (N, C, H, W) or (N, H, W, C); bytes, or floats from 0 to 1. Other numbers are scaled
            from their own range, the same for both splits, which `notes` and `value_range` tell.
        train_targets: labels, (N,), numbers of classes, or words, also as pandas has them; where numbers do not begin
            at 0 or have gaps, those that occur are the classes; or masks, (N, H, W), the number of the
            class of each pixel.
        test_images: like `train_images`; None: a part of the training images is split off.
        test_targets: like `train_targets`.
        classes: names, in the order of the numbers; by default the words or numbers themselves.
        name: of the data set.
        layout: which axis of images holds the channels; ``auto`` takes one of length 1 or 3.
        ignored: number in masks that counts nowhere; None: 255, unless there is 0 beside it only, and it is class 1.
        test_fraction: part that is split off, where no test images are given, the same for each class.
        seed: of that choice.
        source: a sentence about where the arrays are from.

    Raises:
        InvalidSetting: naming the argument that cannot be used.

    Example:
        >>> arrays(np.zeros((10, 8, 8), np.uint8), [0, 1] * 5)
        Dataset('arrays', 8 + 2 images 1x8x8, 2 classes, on cpu)
    """
    if (test_images is None) != (test_targets is None):
        raise InvalidSetting("test_targets", "give both test_images and test_targets, or neither")
    value_range = own_range(train_images, *([] if test_images is None else [test_images]))
    images = to_images(train_images, layout, "train_images", value_range)
    targets, test_numbers, words = _targets(train_targets, test_targets, ignored)
    notes = [] if value_range is None else [range_note(value_range)]
    if targets.dim() == 1 and words is None:
        labels, names_found, told = renumbered(
            [each for each in (targets, test_numbers) if each is not None], classes
        )
        targets, test_numbers = labels[0], labels[1] if len(labels) > 1 else None
        classes = names_found or classes
        notes += [told] if told else []
    if test_numbers is None:
        if len(images) != len(targets):
            raise InvalidSetting(
                "train_targets", f"{len(targets):,} targets for {len(images):,} images: give one for each"
            )
        train, test = split_off(images, targets, test_fraction, seed)
        of_each = f", about {test_fraction:.0%} of each class," if train.target_kind == "labels" else ""
        notes.append(f"{len(test):,} images{of_each} were set aside for the test.")
    else:
        train, test = (
            Split(images, targets),
            Split(to_images(test_images, layout, "test_images", value_range), test_numbers),
        )
    highest = max((_highest(split) for split in (train, test) if len(split)), default=0)
    names = classes if classes is not None else words or [str(number) for number in range(highest + 1)]
    return assembled(
        name, train, test, [str(each) for each in names], source, notes=notes, value_range=value_range
    )


def _targets(
    train: Any, test: Any, ignored: int | None
) -> tuple[torch.Tensor, torch.Tensor | None, tuple[str, ...] | None]:
    """Labels or masks of both splits, and the class names where labels are words."""
    if np.ndim(train) > 2:
        given = (("train_targets", train), ("test_targets", test))
        masks = [to_masks(values, ignored, field) for field, values in given if values is not None]
        if ignored is None and all(each.unique().tolist() == [0, IGNORED] for each in masks):
            masks = [each.clamp(max=1) for each in masks]
        return masks[0], masks[1] if len(masks) > 1 else None, None
    labels, words = to_labels(train, "train_targets")
    if test is None:
        return labels, None, words
    test_labels, test_words = to_labels(test, "test_targets")
    if (words is None) != (test_words is None):
        raise InvalidSetting("test_targets", "labels are words in one split and numbers in the other")
    if words is not None and test_words is not None:
        common = tuple(sorted({*words, *test_words}))
        places = torch.tensor([common.index(word) for word in words], dtype=torch.int64)
        test_places = torch.tensor([common.index(word) for word in test_words], dtype=torch.int64)
        words, labels, test_labels = common, places[labels], test_places[test_labels]
    return labels, test_labels, words


def _highest(split: Split) -> int:
    """The highest number of a class."""
    if split.target_kind == "labels":
        return int(split.labels.max())
    return int((split.masks + 1).max()) - 1  # as bytes: the ignored 255 becomes 0


def npz(
    path: str | os.PathLike[str], *, layout: Layout = "auto", test_fraction: float = 0.2, seed: int = 0
) -> Dataset:
    """A data set from an npz file.

    The file holds ``train_images``, ``train_labels``, ``test_images``, ``test_labels`` (or ``x_train``,
    ``y_train``, ``x_test``, ``y_test``), or only ``images`` and ``labels`` (or ``x``, ``y``), of which a part
    is split off for the test; and, if you like, ``classes``, the names. Masks are called ``train_masks``,
    ``test_masks`` or ``masks`` instead of labels.

    Args:
        path: of the file.
        layout: see `arrays`.
        test_fraction: see `arrays`.
        seed: see `arrays`.

    Raises:
        InvalidSetting: no such file, or one that cannot be used.
    """
    place = existing(path)
    found, others = _members(place)
    names = [str(each) for each in found["classes"].ravel().tolist()] if "classes" in found else None
    settings: dict[str, Any] = {
        "classes": names, "name": place.stem, "layout": layout, "test_fraction": test_fraction, "seed": seed,
        "source": f"The file {place.name}",
    }  # fmt: skip
    choices: list[tuple[str, ...]] = [*SPLIT_KEYS, *WHOLE_KEYS, *(keys[:2] for keys in SPLIT_KEYS)]
    for keys in choices:
        if all(key in found for key in keys):
            data = arrays(*(found[key] for key in keys), **settings)
            unused = sorted({*found, *others} - {*keys, "classes"})
            told = (f"Not used of the file: {', '.join(unused)}.",) if unused else ()
            return replace(data, notes=(*data.notes, *told))
    raise InvalidSetting(
        "path",
        f"{place.name} holds {', '.join(sorted(found)) or 'nothing'}: it needs images and labels, or "
        "train_images, train_labels, test_images and test_labels",
    )


def _members(place: os.PathLike[str]) -> tuple[dict[str, np.ndarray], list[str]]:
    """The arrays of an npz file that have a meaning here, and the names of the others; nothing is ever unpickled."""
    wanted = {key for keys in (*SPLIT_KEYS, *WHOLE_KEYS) for key in keys} | {"classes"}
    try:
        with zipfile.ZipFile(place) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > MOST_BYTES:
            raise InvalidSetting("path", f"{place} unpacks to {size / 1024**3:.0f} GiB; the limit is 32 GiB")
        with open(place, "rb") as raw, np.load(raw, allow_pickle=False) as archive:
            others = [key for key in archive.files if key not in wanted]
            return {key: archive[key] for key in archive.files if key in wanted}, others
    except InvalidSetting:
        raise
    except Exception as error:  # numpy and zipfile raise whatever a damaged file makes them stumble over
        reason = (
            "it holds Python objects" if "allow_pickle" in str(error) else str(error) or type(error).__name__
        )
        raise InvalidSetting(
            "path",
            f"{place} cannot be read as npz ({reason}): write it with np.savez(path, images=..., labels=...)",
        ) from error
