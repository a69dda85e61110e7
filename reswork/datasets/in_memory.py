"""Data sets from arrays that somebody has already, and from npz files."""

import os
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from reswork.datasets.conversion import Layout, assembled, split_off, to_images, to_labels
from reswork.datasets.dataset import Dataset, Split
from reswork.datasets.places import existing
from reswork.errors import InvalidSetting

# What others call them in their npz files: this project, Keras, MedMNIST, plain.
SPLIT_KEYS = (
    ("train_images", "train_labels", "test_images", "test_labels"),
    ("x_train", "y_train", "x_test", "y_test"),
)
WHOLE_KEYS = (("images", "labels"), ("x", "y"), ("X", "y"), ("data", "labels"))
MOST_BYTES = 32 * 1024**3


def arrays(
    train_images: Any,
    train_labels: Any,
    test_images: Any = None,
    test_labels: Any = None,
    *,
    classes: Sequence[str] | None = None,
    name: str = "arrays",
    layout: Layout = "auto",
    test_fraction: float = 0.2,
    seed: int = 0,
    source: str = "Arrays given by hand",
) -> Dataset:
    """A data set from numpy arrays or tensors.

    Args:
        train_images: (N, H, W), (N, C, H, W) or (N, H, W, C); bytes, or floats from 0 to 1.
        train_labels: (N,); numbers of classes from 0, or words.
        test_images: like `train_images`; None: a part of the training images is split off.
        test_labels: like `train_labels`.
        classes: names, in the order of the numbers; by default the words or numbers themselves.
        name: of the data set.
        layout: which axis of images holds the channels; ``auto`` takes one of length 1 or 3.
        test_fraction: part that is split off, where no test images are given, the same for each class.
        seed: of that choice.
        source: a sentence about where the arrays are from.

    Raises:
        InvalidSetting: naming the argument that cannot be used.

    Example:
        >>> arrays(np.zeros((10, 8, 8), np.uint8), [0, 1] * 5)
        Dataset('arrays', 8 + 2 images 1x8x8, 2 classes, on cpu)
    """
    if (test_images is None) != (test_labels is None):
        raise InvalidSetting("test_labels", "give both test_images and test_labels, or neither")
    images = to_images(train_images, layout, "train_images")
    labels, words = to_labels(train_labels, "train_labels")
    if test_images is None:
        _same_length(images, labels, "train_labels")
        train, test = split_off(images, labels, test_fraction, seed)
        notes = [
            f"{len(test):,} images, about {test_fraction:.0%} of each class, were set aside for the test."
        ]
    else:
        test_numbers, test_words = to_labels(test_labels, "test_labels")
        if (words is None) != (test_words is None):
            raise InvalidSetting("test_labels", "labels are words in one split and numbers in the other")
        if words is not None and test_words is not None:
            words, labels, test_numbers = _common_words(words, labels, test_words, test_numbers)
        train, test = (
            Split(images, labels),
            Split(to_images(test_images, layout, "test_images"), test_numbers),
        )
        notes = []
    highest = max((int(split.labels.max()) for split in (train, test) if len(split)), default=0)
    names = classes if classes is not None else words or [str(number) for number in range(highest + 1)]
    return assembled(name, train, test, [str(each) for each in names], source, notes=notes)


def npz(
    path: str | os.PathLike[str], *, layout: Layout = "auto", test_fraction: float = 0.2, seed: int = 0
) -> Dataset:
    """A data set from an npz file.

    The file holds ``train_images``, ``train_labels``, ``test_images``, ``test_labels`` (or ``x_train``,
    ``y_train``, ``x_test``, ``y_test``), or only ``images`` and ``labels`` (or ``x``, ``y``), of which a part
    is split off for the test; and, if you like, ``classes``, the names.

    Args:
        path: of the file.
        layout: see `arrays`.
        test_fraction: see `arrays`.
        seed: see `arrays`.

    Raises:
        InvalidSetting: no such file, or one that cannot be used.
    """
    place = existing(path)
    found = _members(place)
    names = [str(each) for each in found["classes"].ravel().tolist()] if "classes" in found else None
    settings: dict[str, Any] = {
        "classes": names, "name": place.stem, "layout": layout, "test_fraction": test_fraction, "seed": seed,
        "source": f"The file {place.name}",
    }  # fmt: skip
    choices: list[tuple[str, ...]] = [*SPLIT_KEYS, *WHOLE_KEYS, *(keys[:2] for keys in SPLIT_KEYS)]
    for keys in choices:
        if all(key in found for key in keys):
            return arrays(*(found[key] for key in keys), **settings)
    raise InvalidSetting(
        "path",
        f"{place.name} holds {', '.join(sorted(found)) or 'nothing'}: it needs images and labels, or "
        "train_images, train_labels, test_images and test_labels",
    )


def _members(place: os.PathLike[str]) -> dict[str, np.ndarray]:
    """The arrays of an npz file, never unpickling anything."""
    wanted = {key for keys in (*SPLIT_KEYS, *WHOLE_KEYS) for key in keys} | {"classes"}
    try:
        with zipfile.ZipFile(place) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > MOST_BYTES:
            raise InvalidSetting("path", f"{place} unpacks to {size / 1024**3:.0f} GiB; the limit is 32 GiB")
        with open(place, "rb") as raw, np.load(raw, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files if key in wanted}
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


def _common_words(
    words: tuple[str, ...], labels: torch.Tensor, test_words: tuple[str, ...], test_labels: torch.Tensor
) -> tuple[tuple[str, ...], torch.Tensor, torch.Tensor]:
    """Both splits numbered by the same list of words."""
    common = tuple(sorted({*words, *test_words}))
    places = torch.tensor([common.index(word) for word in words], dtype=torch.int64)
    test_places = torch.tensor([common.index(word) for word in test_words], dtype=torch.int64)
    return common, places[labels], test_places[test_labels]


def _same_length(images: torch.Tensor, labels: torch.Tensor, field: str) -> None:
    if len(images) != len(labels):
        raise InvalidSetting(field, f"{len(labels):,} labels for {len(images):,} images: give one for each")
