"""One's own good images and a few bad ones, from folders as MVTec's data sets have them, or simpler ones."""

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np
import torch

from reswork.datasets.conversion import assembled, check_fraction
from reswork.datasets.dataset import Dataset, Skipped, Split
from reswork.datasets.decoder import decoded
from reswork.datasets.decoding import Unreadable, pixels
from reswork.datasets.defects import GOOD_AND_BAD
from reswork.datasets.files import FolderFiles, ZipFiles, files_at, readable
from reswork.datasets.folder_words import MASK_FOLDERS, role_of
from reswork.datasets.layout import is_image, kinds_in_words
from reswork.datasets.places import existing
from reswork.datasets.reading import checked_size, surveyed
from reswork.datasets.targets import IGNORED
from reswork.errors import InvalidSetting

GOOD_WORDS = frozenset(("good", "ok", "normal", "fine", "healthy", "intact", "pass", "passed", "nodefect"))
_FORM = (
    "train/good/..., test/good/..., test/<defect>/... and perhaps ground_truth/<defect>/..., or good/..., bad/... and "
    "perhaps masks/..."
)


@dataclass
class _Found:
    """Names of the images by what they are."""

    train: list[str] = field(default_factory=list)
    good: list[str] = field(default_factory=list)  # of the test
    bad: list[str] = field(default_factory=list)
    masks: list[str] = field(default_factory=list)
    stray: list[Skipped] = field(default_factory=list)


def anomalies(
    path: str | os.PathLike[str],
    size: int | tuple[int, int] | None = None,
    *,
    test_fraction: float = 0.2,
    seed: int = 0,
) -> Dataset:
    """A data set for anomalies from a folder or a zip: good images to learn from, good and bad ones to judge by.

    Folders lie as in MVTec AD, ``train/good``, ``test/good``, ``test/<defect>`` and ``ground_truth/<defect>``, with
    masks that are called like their images or have ``_mask`` behind their name; or simply as ``good``, ``bad`` and, if
    there are masks, ``masks``. A mask is white where something is wrong. A bad image without a mask counts as bad as
    a whole.

    Args:
        path: the folder or the archive.
        size: height and width in pixels; None: see `folder`.
        test_fraction: part of the good images that is kept for the test where there is none.
        seed: of that choice.

    Raises:
        InvalidSetting: nothing there, no good images to learn from, or none of either kind to judge by.
    """
    place, wanted = existing(path).resolve(), checked_size(size)
    check_fraction(test_fraction)
    with contextlib.closing(files_at(place)) as files:
        images = [name for name in files.names if is_image(name)]
        if not images:
            raise InvalidSetting(
                "path", f"no images are there ({kinds_in_words(files.names)}); they must lie as {_FORM}"
            )
        found = _sorted(images)
        notes = [*files.notes]
        if not found.good and len(found.train) > 2:
            order = np.random.RandomState(seed).permutation(len(found.train))
            count = min(max(2, round(len(found.train) * test_fraction)), len(found.train) - 1)
            kept = {found.train[index] for index in order[:count]}
            found.train, found.good = [each for each in found.train if each not in kept], sorted(kept)
            notes.append(f"{count:,} good images were set aside for the test.")
        names = [*found.train, *found.good, *found.bad]
        survey = surveyed(files, names, wanted)
        read, failed = decoded(files, names, survey.decoder)
        for row, reason in failed.items():
            if survey.good[row]:
                survey.fail(row, names[row], reason)
        masks, problems = _masks(files, found, survey.decoder.size)
        refused = [*files.refused, *found.stray, *problems]
    usable = {name for row, name in enumerate(names) if survey.good[row]}
    train, good, bad = (
        [each for each in part if each in usable] for part in (found.train, found.good, found.bad)
    )
    for what, part, least in (
        ("good images to learn from", train, 2),
        ("good images in the test", good, 1),
        ("bad images in the test", bad, 1),
    ):
        if len(part) < least:
            raise InvalidSetting(
                "path", f"{len(part)} {what}, and at least {least} must be there, as {_FORM}"
            )
    at = {name: index for index, name in enumerate(names)}
    height, width = survey.decoder.size
    told = torch.zeros(len(good) + len(bad), height, width, dtype=torch.uint8)
    for index, name in enumerate(bad, start=len(good)):
        told[index] = masks.get(name, torch.full((height, width), IGNORED, dtype=torch.uint8))
    notes += survey.notes
    with_mask = sum(name in masks for name in bad)
    notes.append(
        f"{with_mask:,} of {len(bad):,} bad images have a mask that says where they are bad"
        + ("." if with_mask == len(bad) else "; the others count as a whole.")
    )
    skipped = sorted((readable(each.path), each.reason) for each in [*refused, *survey.skipped])
    return assembled(
        readable(place.name if place.is_dir() else place.stem),
        Split(
            torch.from_numpy(read[[at[name] for name in train]]),
            torch.zeros(len(train), height, width, dtype=torch.uint8),
        ),
        Split(torch.from_numpy(read[[at[name] for name in (*good, *bad)]]), told),
        GOOD_AND_BAD,
        f"Read from the {'folder' if place.is_dir() else 'archive'} {readable(place.name)}",
        skipped=[Skipped(*each) for each in skipped],
        notes=notes,
        value_range=survey.decoder.value_range,
        task="anomalies",
    )


def _sorted(names: Sequence[str]) -> _Found:
    """What each image is, from the folders on its way."""
    found = _Found()
    for name in names:
        way = [part.lower() for part in name.split("/")[:-1]]
        words = {part.replace("_", "").replace("-", "").replace(" ", "") for part in way}
        role = next(filter(None, map(role_of, way)), None)
        if any(part in MASK_FOLDERS for part in way):
            found.masks.append(name)
        elif words & GOOD_WORDS:
            (found.good if role in ("test", "val") else found.train).append(name)
        elif role == "train":
            raise InvalidSetting(
                "path",
                f"{readable(name)} is to be learned from and lies in no folder that is called good: give good images "
                f"alone to learn from, as {_FORM}",
            )
        elif way and (role is None or len(way) > 1):
            found.bad.append(name)
        else:
            found.stray.append(
                Skipped(readable(name), "lies in no folder that says whether it is good or bad")
            )
    if not found.train and not found.good:
        raise InvalidSetting("path", f"no folder is called good: put the images as {_FORM}")
    return found


def _masks(
    files: FolderFiles | ZipFiles, found: _Found, size: tuple[int, int]
) -> tuple[dict[str, torch.Tensor], list[Skipped]]:
    """The masks of the bad images by the images' names, and those that cannot be used."""
    by_key = _by_key(found.masks)
    masks, problems, used = dict[str, torch.Tensor](), list[Skipped](), set[str]()
    for name in found.bad:
        mask = by_key.get(_key(name)) or by_key.get(("", _key(name)[1]))
        if mask is None:
            continue
        used.add(mask)
        try:
            told = pixels(files.read(mask), size, 1)
        except (Unreadable, OSError) as error:
            problems.append(Skipped(readable(mask), str(error)))
            continue
        wrong = torch.from_numpy((told.reshape(size) > 127).astype(np.uint8))
        if bool(wrong.any()):
            masks[name] = wrong
        else:
            problems.append(
                Skipped(readable(mask), "a mask without a white pixel; its image counts as a whole")
            )
    problems += [
        Skipped(readable(mask), "a mask of no bad image") for mask in found.masks if mask not in used
    ]
    return masks, problems


def _by_key(masks: Sequence[str]) -> Mapping[tuple[str, str], str]:
    """Masks by folder and stem; by the stem alone too where it is only there once."""
    stems = [_key(mask)[1] for mask in masks]
    alone = {("", stem): mask for stem, mask in zip(stems, masks, strict=True) if stems.count(stem) == 1}
    return alone | {_key(mask): mask for mask in masks}


def _key(name: str) -> tuple[str, str]:
    """The folder and the stem of an image or a mask, without what a mask has behind its name."""
    path = PurePosixPath(name)
    stem = path.stem
    for ending in ("_mask", "-mask", "_gt", "_label"):
        stem = stem.removesuffix(ending)
    return path.parent.name, stem
