"""One's own images: a folder or a zip of them, with a folder for each class."""

import contextlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

from reswork.datasets.cache import cache_file, recalled, remember
from reswork.datasets.conversion import assembled, check_fraction, split_off
from reswork.datasets.dataset import Dataset, Skipped, Split
from reswork.datasets.decoding import Header, ValueRange, common_range, decoded, headers, range_note
from reswork.datasets.files import FolderFiles, ZipFiles, readable
from reswork.datasets.layout import Layout, Splits, layout_of
from reswork.datasets.places import existing
from reswork.datasets.zip_names import check_encoding
from reswork.errors import InvalidSetting

AUTOMATIC_BYTES = 4 * 1024**3  # what the most common size may need; beyond, the next of these sides that fits
AUTOMATIC_SIDES = (96, 64, 32)
LARGE_PIXELS = 128**2  # of a picture; beyond, training on it whole takes minutes a step on a processor
LARGEST_SIDE = 4096


def folder(
    path: str | os.PathLike[str],
    size: int | tuple[int, int] | None = None,
    *,
    splits: Splits | None = None,
    classes: Sequence[str] | None = None,
    follow_links: bool = False,
    encoding: str | None = None,
    test_fraction: float = 0.2,
    seed: int = 0,
    cache: bool = True,
) -> Dataset:
    """A data set from a folder or a zip of images, with a folder for each class.

    The classes lie in ``train/<class>/...`` and ``test/<class>/...``, or only in ``<class>/...``; splits may be
    called ``training_set`` and ``test_set``, ``seg_train`` and ``seg_test``, ``train`` and ``dev`` or alike.
    Masks, thumbnails and what systems leave behind are left out. `folder_layout` tells what is understood, without
    reading an image.

    Files that cannot be read are skipped and named in `skipped`; what was done to the images stands in
    `notes`, and both in `summary()`. Read are JPEG, PNG, GIF (first frame), BMP, WebP, TIFF and PPM, upright
    as their exif says. Grey images stay grey if all are grey. Transparent ones are laid on white. Numbers of 16 bits,
    signed ones and floats become bytes by the range of the whole set, which `notes` and `value_range` tell.

    Args:
        path: the folder or the archive, which is never unpacked to disk.
        size: height and width in pixels, or one number for both; None takes the most common size, or 96x96 where
            that has more than 128x128 pixels. Images of another size are scaled until they cover it, then cut to it
            around their centre.
        splits: the folders of the splits, such as ``{"train": "2019", "test": ["2020", "2021"]}``; None finds them.
        classes: the names of the folders that are classes, at any depth; None takes the outermost ones.
        follow_links: also through links to folders and links that leave the folder.
        encoding: of names in a zip that are not marked as UTF-8, such as ``gbk``; None finds it.
        test_fraction: part of each class that becomes the test split where there is none.
        seed: of that choice.
        cache: keep the decoded images under ``RESWORK_CACHE`` or ``~/.cache/reswork``, so that the second
            time takes a moment; a changed file is noticed by its size and time.

    Raises:
        InvalidSetting: nothing there, no images, no class folders, one class only, or too much for memory.
    """
    place = existing(path).resolve()
    wish = _Wish(checked_size(size), splits, classes, follow_links, encoding, test_fraction, seed)
    check_fraction(test_fraction)
    check_encoding(encoding)
    files = FolderFiles(place, follow_links) if place.is_dir() else None
    signature = files.signature if files else file_signature(place)
    kept = cache_file({"path": readable(str(place)), "wish": repr(wish)})
    known = recalled(kept, signature) if cache else None
    if known is not None:
        with contextlib.suppress(KeyError, TypeError, ValueError, RuntimeError):  # of another make: rebuilt
            return _dataset(place, *known)
    arrays, about = _read(files or ZipFiles(place, encoding), wish)
    problem = remember(kept, signature, arrays, about) if cache else ""
    if problem:
        about["notes"].append(f"The decoded images could not be cached ({problem}).")
    return _dataset(place, arrays, about)


def _dataset(path: Path, arrays: dict[str, np.ndarray], about: dict[str, Any]) -> Dataset:
    train, test = (
        Split(torch.from_numpy(arrays[f"{split}_images"]), torch.from_numpy(arrays[f"{split}_labels"]))
        for split in ("train", "test")
    )
    name = readable(path.name if path.is_dir() else path.stem)
    skipped = [Skipped(*pair) for pair in about["skipped"]]
    kind = "folder" if path.is_dir() else "archive"
    source = f"Read from the {kind} {readable(path.name)}"
    return assembled(
        name, train, test, about["classes"], source, skipped=skipped, notes=about["notes"],
        value_range=pair_of(about["value_range"]),
    )  # fmt: skip


def pair_of(value: Sequence[float] | None) -> ValueRange | None:
    """A range as it was stored."""
    return None if value is None else (float(value[0]), float(value[1]))


def folder_layout(
    path: str | os.PathLike[str],
    *,
    splits: Splits | None = None,
    classes: Sequence[str] | None = None,
    follow_links: bool = False,
    encoding: str | None = None,
) -> Layout:
    """What `folder` understands of a folder or a zip, from its names alone: print it before a long reading.

    Args:
        path: see `folder`.
        splits: see `folder`.
        classes: see `folder`.
        follow_links: see `folder`.
        encoding: see `folder`.

    Raises:
        InvalidSetting: as `folder` does.
    """
    place = existing(path).resolve()
    files = FolderFiles(place, follow_links) if place.is_dir() else ZipFiles(place, encoding)
    with contextlib.closing(files):
        return _understood(files, splits, classes)


def _understood(
    files: FolderFiles | ZipFiles, splits: Splits | None, classes: Sequence[str] | None
) -> Layout:
    links = [item for item in files.refused if item.reason.startswith("a link")]
    hint = (
        f"{len(links):,} links (such as {links[0].path}) that lead out of the folder or to other folders were not "
        "followed; rw.datasets.folder(path, follow_links=True) follows them"
        if links and isinstance(files, FolderFiles)
        else ""
    )
    try:
        layout = layout_of(files.names, files.folders, splits, classes)
    except InvalidSetting as error:
        if not hint:
            raise
        raise InvalidSetting(error.field, f"{error.message}; {hint}") from error
    layout.notes += [*files.notes, *([f"{hint}."] if hint else [])]
    return layout


@dataclass(frozen=True)
class _Wish:
    size: tuple[int, int] | None
    splits: Splits | None
    classes: Sequence[str] | None
    follow_links: bool
    encoding: str | None
    test_fraction: float
    seed: int


def _read(files: FolderFiles | ZipFiles, wish: _Wish) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays and description of a data set, as they are cached."""
    try:
        layout = _understood(files, wish.splits, wish.classes)
        found = layout.train + layout.test
        is_train = np.arange(len(found)) < len(layout.train)
        reading = read_images(files, [name for name, _ in found], wish.size)
    finally:
        files.close()
    usable = {
        label for (_, label), good, train in zip(found, reading.good, is_train, strict=True) if good and train
    }
    classes = sorted(usable)
    if len(classes) < 2:
        raise InvalidSetting(
            "path", f"only {len(classes)} class has images that can be read; {first_problem(reading.skipped)}"
        )
    number = {label: index for index, label in enumerate(classes)}
    labels = np.array([number.get(label, -1) for _, label in found])
    notes = [*reading.notes, *layout.notes, *_class_notes(layout.classes, classes, labels, reading.good)]
    splits = []
    for part in (is_train, ~is_train):
        chosen = reading.good & (labels >= 0) & part
        images = torch.from_numpy(reading.images[chosen])
        splits.append(Split(images, torch.from_numpy(labels[chosen].astype(np.int64))))
    train, test = splits
    if not len(test):
        train, test = split_off(train.images, train.labels, wish.test_fraction, wish.seed)
        notes.append(
            f"{len(test):,} images, about {wish.test_fraction:.0%} of each class, were set aside for the test."
        )
    skipped = [*files.refused, *layout.skipped, *reading.skipped]
    about = {
        "classes": [readable(label) for label in classes],
        "skipped": sorted((readable(item.path), item.reason) for item in skipped),
        "notes": notes,
        "value_range": reading.value_range,
    }
    arrays = {
        "train_images": train.images.numpy(), "train_labels": train.labels.numpy(),
        "test_images": test.images.numpy(), "test_labels": test.labels.numpy(),
    }  # fmt: skip
    return arrays, about


@dataclass
class Reading:
    """All images of a folder, uint8 (N, C, H, W), which of them are good, and what was done to them."""

    images: np.ndarray
    good: np.ndarray
    skipped: list[Skipped]
    notes: list[str]
    sizes: list[tuple[int, int]]  # height and width before; (0, 0) where nothing could be read
    value_range: ValueRange | None = None  # of numbers that were no bytes


def read_images(files: FolderFiles | ZipFiles, names: Sequence[str], size: tuple[int, int] | None) -> Reading:
    """Images of one size, the most common one unless another is wanted.

    Raises:
        InvalidSetting: none can be read, or too much for memory.
    """
    surveyed = headers(files, names)
    known = [each for each in surveyed if isinstance(each, Header)]
    reasons = {index: each for index, each in enumerate(surveyed) if isinstance(each, str)}
    skipped = [Skipped(readable(names[index]), reason) for index, reason in reasons.items()]
    if not known:
        raise InvalidSetting(
            "path", f"none of the {len(names):,} images can be read; {first_problem(skipped)}"
        )
    indices = [index for index in range(len(names)) if index not in reasons]
    channels = 1 if all(each.is_grey for each in known) else 3
    target, notes = _target_size(known, size, channels)
    _check_memory(len(known), target, channels)
    deep = [names[index] for index, each in enumerate(surveyed) if isinstance(each, Header) and each.is_deep]
    value_range = common_range(files, deep) if deep else None
    notes += [range_note(value_range)] if value_range else []
    pixels, failed = decoded(files, [names[index] for index in indices], target, channels, value_range)
    skipped += [Skipped(readable(names[indices[index]]), reason) for index, reason in failed.items()]
    good = np.zeros(len(names), bool)
    good[indices] = True
    good[[indices[index] for index in failed]] = False
    images = pixels
    if len(indices) < len(names):
        images = np.zeros((len(names), *pixels.shape[1:]), np.uint8)
        images[indices] = pixels
    sizes = [(each.height, each.width) if isinstance(each, Header) else (0, 0) for each in surveyed]
    return Reading(images, good, skipped, notes + _mode_notes(known, channels), sizes, value_range)


def _target_size(
    known: Sequence[Header], size: tuple[int, int] | None, channels: int
) -> tuple[tuple[int, int], list[str]]:
    """The size of all images, and a sentence where some had another."""
    sizes = Counter((each.height, each.width) for each in known)
    common = sizes.most_common(1)[0][0]
    target, why = size or common, ""
    most = AUTOMATIC_BYTES / (len(known) * channels)
    too_many, too_large = common[0] * common[1] > most, common[0] * common[1] > LARGE_PIXELS
    if size is None and (too_many or too_large):
        side = next((side for side in AUTOMATIC_SIDES if side**2 <= most), AUTOMATIC_SIDES[-1])
        target, why = (
            (side, side),
            f" because {common[0]}x{common[1]} would need too much "
            f"{'memory' if too_many else 'time to train on'} (size=224 or another decides)",
        )
    others = len(known) - sizes[target]
    height, width = target
    changed = f"{others:,} of {len(known):,} images had another size"
    return target, [f"{changed} and were scaled and cut to {height}x{width}{why}."] if others else []


def _mode_notes(known: Sequence[Header], channels: int) -> list[str]:
    """Sentences about changed colours."""
    kinds = {
        "were grey and became colour": sum(each.is_grey for each in known) if channels == 3 else 0,
        "had transparent parts, laid on white": sum(each.is_transparent for each in known),
        "had 16 bits or more and became 8-bit": sum(each.is_deep for each in known),
        "have 16 bits for each colour, of which the upper 8 are read": sum(
            each.is_deep_colour for each in known
        ),
        "have several pages or frames, of which the first is read": sum(each.has_pages for each in known),
        "were CMYK and became RGB": sum(each.mode == "CMYK" for each in known),
    }
    return [f"{count:,} images {what}." for what, count in kinds.items() if count]


def _class_notes(
    folders: Sequence[str], classes: Sequence[str], labels: np.ndarray, good: np.ndarray
) -> list[str]:
    notes = []
    empty = [label for label in folders if label not in classes]
    if empty:
        named = ", ".join(repr(readable(label)) for label in empty[:5]) + (" ..." if len(empty) > 5 else "")
        notes.append(f"Without a readable training image and left out: {named}.")
    unused = int((good & (labels < 0)).sum())
    if unused:
        notes.append(f"{unused:,} test images of classes without training images were not used.")
    return notes


def checked_size(size: int | tuple[int, int] | None) -> tuple[int, int] | None:
    """Height and width.

    Raises:
        InvalidSetting: something else.
    """
    if size is None:
        return None
    pair = tuple(size) if isinstance(size, (tuple, list)) else (size, size)
    if len(pair) != 2 or not all(type(side) is int and 1 <= side <= LARGEST_SIDE for side in pair):
        raise InvalidSetting(
            "size", f"size={size!r}: give height and width in pixels, 1 to {LARGEST_SIDE}, or None"
        )
    return pair[0], pair[1]


def _check_memory(count: int, size: tuple[int, int], channels: int) -> None:
    """Refuse what would fill the memory before anything is decoded."""
    needed, free = count * channels * size[0] * size[1], psutil.virtual_memory().available
    if 2 * needed > free:  # once decoded, once by split
        raise InvalidSetting(
            "size",
            f"{count:,} images of {size[0]}x{size[1]} need {2 * needed / 1024**3:.1f} GiB to be read, "
            f"and {free / 1024**3:.1f} GiB are free; give a smaller size, such as size={max(size) // 2}",
        )


def file_signature(path: Path) -> str:
    """Another one after the file was changed."""
    status = path.stat()
    return f"{status.st_size}-{status.st_mtime_ns}"


def first_problem(skipped: Sequence[Skipped]) -> str:
    """Words for the end of an error: why the first file could not be used."""
    return f"the first problem: {skipped[0]}" if skipped else "the others are empty"
