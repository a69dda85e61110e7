"""One's own images with masks: the class of every pixel, from a folder of images and a folder of masks."""

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from reswork.datasets.cache import cache_file, recalled, remember
from reswork.datasets.conversion import assembled, check_fraction, split_off
from reswork.datasets.dataset import Dataset, Skipped, Split
from reswork.datasets.files import FolderFiles, ZipFiles, readable
from reswork.datasets.folder_words import IMAGE_FOLDERS, MASK_FOLDERS
from reswork.datasets.mask_decoding import decoded_masks
from reswork.datasets.mask_values import MOST_FOUND, Classes, Colour, RawMask, key_of
from reswork.datasets.pairs import Pairs, pairs_of, separated
from reswork.datasets.pictures import checked_size, file_signature, first_problem, pair_of, read_images
from reswork.datasets.places import existing
from reswork.datasets.targets import MOST_MASK_CLASSES
from reswork.errors import InvalidSetting


@dataclass(frozen=True)
class _Wish:
    size: tuple[int, int] | None
    classes: Classes | None
    ignored: int | Colour | None
    suffix: str | None
    test_fraction: float
    seed: int


def masks(
    images: str | os.PathLike[str],
    masks: str | os.PathLike[str] | None = None,
    size: int | tuple[int, int] | None = None,
    *,
    classes: Classes | None = None,
    ignored: int | Colour | None = None,
    suffix: str | None = None,
    test_fraction: float = 0.2,
    seed: int = 0,
    cache: bool = True,
) -> Dataset:
    """A data set for segmentation from a folder of images and a folder of masks.

    A mask is called like its image: ``images/a/1.jpg`` and ``masks/a/1.png``, or with an ending such as
    ``1_mask.png``, which is found. Folders ``train`` and ``test`` (or ``val``) in either are the splits. Masks are
    index, palette, grey or coloured PNGs, or other files without loss; each number, or each colour, is a class.
    What was understood stands in `summary()`; images without mask, masks of another size and files that cannot be
    read are left out and named in `skipped`.

    Args:
        images: folder or zip of the images; or of both, in folders called ``images`` and ``masks`` (or alike).
        masks: folder or zip of the masks.
        size: height and width in pixels, or one number for both; None takes the most common size. Images of
            another size are scaled until they cover it, then cut to it around their centre, masks alike, from
            their nearest pixels.
        classes: names in the order of the numbers 0, 1, ...; or the number or the colour of each class, such as
            ``{"road": (128, 64, 128), "car": "#00008e"}``. None: every value that is found is a class, called by it.
        ignored: number or colour that counts nowhere; None: 255, unless masks hold 0 and 255 only.
        suffix: what masks' names have behind the images', such as ``_mask``; None finds it.
        test_fraction: part of the images that becomes the test split where there is none.
        seed: of that choice.
        cache: keep the decoded images under ``RESWORK_CACHE`` or ``~/.cache/reswork``, see `folder`.

    Raises:
        InvalidSetting: nothing there, no mask for any image, masks that hold noise, values of no class, more than 255
            classes, or too much for memory.
    """
    check_fraction(test_fraction)
    wish = _Wish(checked_size(size), classes, ignored, suffix, test_fraction, seed)
    image_place = existing(images).resolve()
    mask_place = image_place if masks is None else existing(masks).resolve()
    with contextlib.ExitStack() as stack:
        image_files = _opened(image_place, stack)
        mask_files = image_files if mask_place == image_place else _opened(mask_place, stack)
        places = [readable(str(place)) for place in (image_place, mask_place)]
        kept = cache_file({"masks": places, "wish": repr(wish)})
        signature = f"{_signature(image_place, image_files)} {_signature(mask_place, mask_files)}"
        known = recalled(kept, signature) if cache else None
        if known is not None:
            with contextlib.suppress(
                KeyError, TypeError, ValueError, RuntimeError
            ):  # of another make: rebuilt
                return _dataset(image_place, mask_place, *known)
        arrays, about = _read(image_files, mask_files, wish)
    problem = remember(kept, signature, arrays, about) if cache else ""
    if problem:
        about["notes"].append(f"The decoded images could not be cached ({problem}).")
    return _dataset(image_place, mask_place, arrays, about)


def has_masks(place: Path) -> bool:
    """Whether a folder or a zip has a folder of images and one of masks, at most two folders deep."""
    if place.is_dir():
        names = [path.relative_to(place).as_posix() for glob in ("*/", "*/*/") for path in place.glob(glob)]
    else:
        files = ZipFiles(place)
        files.close()
        names = [name.rpartition("/")[0] for name in files.names]
    parts = {part.lower() for name in names for part in name.split("/")[:3]}
    return bool(parts & IMAGE_FOLDERS) and bool(parts & MASK_FOLDERS)


def _opened(place: Path, stack: contextlib.ExitStack) -> FolderFiles | ZipFiles:
    return stack.enter_context(contextlib.closing(FolderFiles(place) if place.is_dir() else ZipFiles(place)))


def _signature(place: Path, files: FolderFiles | ZipFiles) -> str:
    return files.signature if isinstance(files, FolderFiles) else file_signature(place)


def _dataset(
    image_place: Path, mask_place: Path, arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]
) -> Dataset:
    train, test = (
        Split(torch.from_numpy(arrays[f"{split}_images"]), torch.from_numpy(arrays[f"{split}_masks"]))
        for split in ("train", "test")
    )
    shown = image_place
    if shown.name.lower() in IMAGE_FOLDERS and shown.parent.name:
        shown = shown.parent  # pets/images: pets
    where = readable(image_place.name)
    if mask_place != image_place:
        where += f" and masks from {readable(mask_place.name)}"
    return assembled(
        readable(shown.name if shown.is_dir() else shown.stem), train, test, about["classes"],
        f"Images read from {where}", skipped=[Skipped(*pair) for pair in about["skipped"]], notes=about["notes"],
        value_range=pair_of(about["value_range"]),
    )  # fmt: skip


def _pairs(image_files: FolderFiles | ZipFiles, mask_files: FolderFiles | ZipFiles, wish: _Wish) -> Pairs:
    if mask_files is not image_files:
        images, masks = ({name: name for name in files.names} for files in (image_files, mask_files))
        return pairs_of(images, masks, wish.suffix)
    images, masks = separated(image_files.names)
    if not images or not masks:
        raise InvalidSetting(
            "masks",
            "no folder of images and folder of masks are there: call them images and masks, or give the masks' "
            "folder as masks=",
        )
    return pairs_of(images, masks, wish.suffix)


def _read(
    image_files: FolderFiles | ZipFiles, mask_files: FolderFiles | ZipFiles, wish: _Wish
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays and description of a data set, as they are cached."""
    pairs = _pairs(image_files, mask_files, wish)
    both = pairs.train + pairs.test
    reading = read_images(image_files, [image for image, _ in both], wish.size)
    places = np.flatnonzero(reading.good)
    most = MOST_FOUND if wish.classes is None else MOST_MASK_CLASSES
    names = [both[place][1] for place in places]
    found = decoded_masks(
        mask_files, names, [reading.sizes[place] for place in places], reading.images.shape[2:], most
    )
    usable = [place for place, mask in zip(places, found, strict=True) if isinstance(mask, RawMask)]
    raw = [mask for mask in found if isinstance(mask, RawMask)]
    bad = [
        Skipped(readable(name), mask)
        for name, mask in zip(names, found, strict=True)
        if isinstance(mask, str)
    ]
    if not raw:
        raise InvalidSetting(
            "masks", f"none of the {len(found):,} masks can be used; {first_problem(bad or reading.skipped)}"
        )
    key = key_of(raw, wish.classes, wish.ignored)
    images = torch.from_numpy(reading.images[usable])
    targets = torch.from_numpy(np.stack([key.applied(mask) for mask in raw]))
    notes = [*image_files.notes, *reading.notes, *pairs.notes, *key.notes]
    is_train = torch.from_numpy(np.array(usable) < len(pairs.train))
    if is_train.all():
        train, test = split_off(images, targets, wish.test_fraction, wish.seed)
        notes.append(f"Set aside for the test: {len(test):,} of {len(usable):,} images.")
    else:
        train, test = Split(images[is_train], targets[is_train]), Split(images[~is_train], targets[~is_train])
    refused = image_files.refused + (mask_files.refused if mask_files is not image_files else [])
    skipped = [*refused, *pairs.skipped, *reading.skipped, *bad]
    about = {
        "classes": [readable(name) for name in key.names],
        "skipped": sorted((readable(item.path), item.reason) for item in skipped),
        "notes": notes,
        "value_range": reading.value_range,
    }
    arrays = {
        "train_images": train.images.numpy(), "train_masks": train.masks.numpy(),
        "test_images": test.images.numpy(), "test_masks": test.masks.numpy(),
    }  # fmt: skip
    return arrays, about
