"""Volumes with a class for each of their points: one's own from arrays and npz files, and drawn solids."""

import os
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from reswork.datasets.conversion import assembled, split_off, to_masks
from reswork.datasets.dataset import Dataset, Split
from reswork.datasets.files import readable
from reswork.datasets.in_memory import MOST_BYTES
from reswork.datasets.places import existing
from reswork.datasets.targets import IGNORED
from reswork.errors import InvalidSetting

SOLIDS = ("ball", "box", "rod")
MOST_SOLIDS = 3  # in one volume
_KEYS = (("images", "masks"), ("volumes", "masks"), ("image", "mask"), ("x", "y"))
Size = int | tuple[int, int, int]


def volumes(
    images: Any,
    masks: Any = None,
    test_images: Any = None,
    test_masks: Any = None,
    *,
    size: Size | None = None,
    classes: Sequence[str] | None = None,
    ignored: int | None = None,
    test_fraction: float = 0.2,
    seed: int = 0,
    name: str = "volumes",
) -> Dataset:
    """Volumes such as computed tomographies, and masks with the class of each of their points.

    Numbers stay as they are, in whatever unit; they are standardised by mean and standard deviation of the training
    volumes when a network takes them in.

    Args:
        images: (N, D, H, W) or (N, C, D, H, W), any numbers; or a list of volumes of several sizes, with ``size``; or
            the path of an npz file with ``images`` and ``masks`` (or ``train_images``, ``train_masks`` and the same of
            ``test``), or of a folder of npz files, each with one ``image`` and its ``mask``.
        masks: (N, D, H, W), or a list; whole numbers of classes from 0, 255 where a point counts nowhere.
        test_images: like ``images``; None: a part is split off.
        test_masks: like ``masks``.
        size: depth, height and width, or one number for all; larger volumes are cut to it around their middle, smaller
            ones filled up with their lowest number, where nothing counts. None: all have one size.
        classes: names in the order of the numbers.
        ignored: see `arrays`.
        test_fraction: part that is split off.
        seed: of that choice.
        name: of the data set; of a file its own.

    Returns:
        Volumes float32 (N, C, D, H, W), masks uint8 (N, D, H, W).

    Raises:
        InvalidSetting: what cannot be used, in one sentence.

    Example:
        >>> volumes(np.zeros((5, 6, 8, 8)), np.zeros((5, 6, 8, 8), int), classes=("air", "bone"))
        Dataset('volumes', 4 + 1 volumes 1x6x8x8, 2 classes of pixels, on cpu)
    """
    source = "Arrays given by hand"
    if isinstance(images, str | os.PathLike):
        place = existing(images)
        name, source = place.stem, f"The {'folder' if place.is_dir() else 'file'} {readable(place.name)}"
        images, masks, test_images, test_masks, named = _from_disk(place)
        classes = classes or named
    if masks is None or (test_images is None) != (test_masks is None):
        raise InvalidSetting("masks", "give masks with images, and test_masks with test_images")
    notes = list[str]()
    parts = [_pair(images, masks, size, ignored, "images", notes)]
    if test_images is not None:
        parts.append(_pair(test_images, test_masks, size, ignored, "test_images", notes))
    if len(parts) == 1 and len(parts[0][0]) < 2:
        raise InvalidSetting("images", "1 volume: give one to train on and another for the test")
    train, test = (
        (Split(*each) for each in parts) if len(parts) == 2 else split_off(*parts[0], test_fraction, seed)
    )
    if len(parts) == 1:
        notes.append(f"{len(test):,} volumes were set aside for the test.")
    highest = max(
        int((split.targets + 1).max()) - 1 for split in (train, test)
    )  # as bytes: the ignored 255 becomes 0
    names = [str(each) for each in classes or range(highest + 1)]
    return assembled(name, train, test, names, source, notes=notes)


def _pair(
    images: Any, masks: Any, size: Size | None, ignored: int | None, field: str, notes: list[str]
) -> tuple[Tensor, Tensor]:
    """float32 (N, C, D, H, W) and uint8 (N, D, H, W)."""
    found = [_volume(each, field) for each in images]
    answers = [np.asarray(each) for each in masks]
    if not found or len(found) != len(answers):
        raise InvalidSetting(
            "masks", f"{len(answers):,} masks for {len(found):,} {field}: give one for each, and at least one"
        )
    for index, (one, answer) in enumerate(zip(found, answers, strict=True)):
        if answer.shape != one.shape[1:]:
            raise InvalidSetting(
                "masks",
                f"mask {index} has the shape {answer.shape}, its volume {one.shape[1:]}: give both the same",
            )
        if not np.isfinite(one).all():
            raise InvalidSetting(field, f"volume {index} has missing or infinite numbers: fill them")
    wanted = {one.shape[1:] for one in found}
    if size is not None:
        target = (size,) * 3 if isinstance(size, int) else tuple(size)
        if len(target) != 3 or min(target) < 1:
            raise InvalidSetting("size", f"size={size!r}: give depth, height and width, such as (32, 64, 64)")
        if wanted != {target}:
            notes.append(
                f"Volumes were cut or filled to {'x'.join(map(str, target))} points around their middle."
            )
        answers = [_fitted(each, target, IGNORED if ignored is None else ignored) for each in answers]
        found = [np.stack([_fitted(each, target, each.min()) for each in one]) for one in found]
    elif len(wanted) > 1:
        shapes = sorted("x".join(map(str, each)) for each in wanted)
        raise InvalidSetting(
            "size",
            f"{field} have several sizes ({', '.join(shapes[:3])} ...): give size=(depth, height, width)",
        )
    if len({len(one) for one in found}) > 1:
        raise InvalidSetting(
            field, f"{field} have {sorted({len(one) for one in found})} channels: give all the same"
        )
    stacked = np.stack(answers)
    flat = to_masks(
        stacked.reshape(len(stacked), -1, stacked.shape[-1]), ignored
    )  # that of images checks the numbers
    return torch.from_numpy(np.stack(found)), flat.view(stacked.shape)


def _volume(values: Any, field: str) -> np.ndarray:
    """float32 (C, D, H, W)."""
    array = values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
    if array.ndim not in (3, 4) or array.dtype.kind not in "iufb" or 0 in array.shape:
        raise InvalidSetting(
            field,
            f"{field} hold {array.dtype} of shape {array.shape}: give numbers, (D, H, W) or (C, D, H, W) each",
        )
    return np.asarray(array if array.ndim == 4 else array[None], np.float32)


def _fitted(values: np.ndarray, size: tuple[int, ...], filler: Any) -> np.ndarray:
    """(D, H, W) cut or filled to a size, around the middle."""
    found = np.full(size, filler, values.dtype)
    own, new = [], []
    for have, want in zip(values.shape, size, strict=True):
        count = min(have, want)
        own.append(slice((have - count) // 2, (have - count) // 2 + count))
        new.append(slice((want - count) // 2, (want - count) // 2 + count))
    found[tuple(new)] = values[tuple(own)]
    return found


def _from_disk(place: Path) -> tuple[Any, Any, Any, Any, list[str] | None]:
    """Images, masks, those of the test, and names of classes."""
    if place.is_dir():
        files = sorted(place.glob("*.npz"))
        if not files:
            raise InvalidSetting(
                "images", f"{readable(place.name)} has no npz files, each with image and mask"
            )
        read = [_found(_members(file), file.name, "") for file in files]
        return [each[0] for each in read], [each[1] for each in read], None, None, None
    if place.suffix.lower() != ".npz":
        raise InvalidSetting("images", f"{readable(place.name)} is no npz file, and no folder of such")
    members = _members(place)
    named = [str(each) for each in members["classes"].ravel()] if "classes" in members else None
    if "train_images" in members:
        train = _found(members, place.name, "train_")
        has_test = "test_images" in members
        return *train, *(_found(members, place.name, "test_") if has_test else (None, None)), named
    return *_found(members, place.name, ""), None, None, named


def _found(members: Mapping[str, np.ndarray], file: str, prefix: str) -> tuple[np.ndarray, np.ndarray]:
    for keys in _KEYS:
        if all(prefix + key in members for key in keys):
            return members[prefix + keys[0]], members[prefix + keys[1]]
    raise InvalidSetting(
        "images",
        f"{readable(file)} holds {', '.join(sorted(members)) or 'nothing'}: it needs {prefix}images and {prefix}masks",
    )


def _members(place: Path) -> dict[str, np.ndarray]:
    """The arrays of an npz file; nothing is ever unpickled."""
    try:
        with zipfile.ZipFile(place) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > MOST_BYTES:
            raise InvalidSetting(
                "images", f"{place.name} unpacks to {size / 1024**3:.0f} GiB; the limit is 32 GiB"
            )
        with np.load(place, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except InvalidSetting:
        raise
    except Exception as error:  # numpy and zipfile raise whatever a damaged file makes them stumble over
        reason = str(error) or type(error).__name__
        raise InvalidSetting("images", f"{readable(place.name)} cannot be read as npz ({reason})") from error


def shown_slices(volumes: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Of each volume the slice that shows most classes, most of them if several do, for a page.

    Args:
        volumes: (N, C, D, H, W) float32.
        masks: (N, D, H, W) uint8.

    Returns:
        Images uint8 (N, 1, H, W), from the volume's darkest to its brightest number, and numbers of slices (N,) int64.
    """
    solid = (masks > 0) & (masks != IGNORED)
    pixels = solid.flatten(2).sum(2)  # (N, D)
    kinds = torch.stack(
        [(masks == k).flatten(2).any(2) for k in range(1, int(masks.max()) + 1) if k != IGNORED] or [pixels]
    ).sum(0)
    chosen = (kinds * (pixels.max() + 1) + pixels).argmax(1)
    images = volumes[torch.arange(len(volumes)), 0, chosen]
    low, high = (each.view(-1, 1, 1) for each in torch.aminmax(volumes[:, 0].flatten(1), dim=1))
    shown = ((images - low) / (high - low).clamp(min=1e-12) * 255).round()
    return shown[:, None].to(torch.uint8), chosen


def holds_volumes(place: Path) -> bool:
    """Whether an npz file has masks of volumes, by their shape alone."""
    try:
        with zipfile.ZipFile(place) as archive:
            for name in ("masks.npy", "train_masks.npy"):
                if name in archive.namelist():
                    with archive.open(name) as file:
                        np.lib.format.read_magic(file)
                        shape = np.lib.format.read_array_header_1_0(file)[0]
                    return len(shape) == 4 and 1 not in (shape[1], shape[3])
    except (OSError, ValueError, zipfile.BadZipFile):
        return False
    return False


def solids(train: int = 120, test: int = 40, size: int = 24, seed: int = 0) -> Dataset:
    """Drawn volumes: balls, boxes and rods in noise, turned any way, with the class of every point.

    All three are brighter than their ground by the same amounts, so that brightness tells where a solid is, and only
    its form which one.

    Args:
        train: training volumes.
        test: test volumes.
        size: depth, height and width, 12 to 96.
        seed: equal seeds draw equal volumes.

    Returns:
        Volumes 1 x size x size x size with masks of four classes: 0 is the ground.

    Raises:
        InvalidSetting: too few volumes or an impossible size.

    Example:
        >>> solids(train=4, test=2, size=12)
        Dataset('solids', 4 + 2 volumes 1x12x12x12, 4 classes of pixels, on cpu)
    """
    for field, value, low, high in (
        ("train", train, 1, 10_000),
        ("test", test, 1, 10_000),
        ("size", size, 12, 96),
    ):
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise InvalidSetting(field, f"{field}={value!r}: choose {low} to {high:,}")
    random = np.random.RandomState(seed)  # its stream is frozen across versions of numpy
    splits = {}
    for field, count in (("train", train), ("test", test)):
        drawn = [
            _solid(random.permutation(len(SOLIDS)), 1 + index % MOST_SOLIDS, size, random)
            for index in range(count)
        ]
        inputs, masks = (torch.from_numpy(np.stack(part)) for part in zip(*drawn, strict=True))
        splits[field] = Split(inputs, masks)
    return assembled("solids", splits["train"], splits["test"], ("ground", *SOLIDS), "Drawn by reswork")


def _solid(
    labels: np.ndarray, count: int, size: int, random: np.random.RandomState
) -> tuple[np.ndarray, np.ndarray]:
    """A volume (1, D, H, W) float32 and its mask (D, H, W) uint8 with so many solids, those in front last."""
    place = np.arange(size) + 0.5
    grid = np.stack(np.meshgrid(place, place, place, indexing="ij"), -1)  # (D, H, W, 3)
    volume, mask = np.zeros((size,) * 3), np.zeros((size,) * 3, np.uint8)
    for label in labels[:count]:
        radius = size * random.uniform(0.18, 0.3)
        centre = radius + random.uniform(size=3) * (size - 2 * radius)
        turn = np.linalg.qr(random.normal(size=(3, 3)))[0]
        points = np.moveaxis((grid - centre) @ turn / radius, -1, 0)  # (3, D, H, W)
        cover = np.clip(0.5 - _OUTLINES[SOLIDS[label]](*points) * radius, 0, 1)
        volume += cover * (random.uniform(0.6, 1.4) - volume)
        mask[cover > 0.5] = label + 1
    volume += random.normal(size=volume.shape) * random.uniform(0.15, 0.35)
    return volume[None].astype(np.float32), mask


Outline = Callable[
    [np.ndarray, np.ndarray, np.ndarray], np.ndarray
]  # distance of points from it, below 0 inside
_OUTLINES: Final[Mapping[str, Outline]] = {
    "ball": lambda u, v, w: np.sqrt(u * u + v * v + w * w) - 0.75,
    "box": lambda u, v, w: np.maximum(np.maximum(np.abs(u), np.abs(v)), np.abs(w)) - 0.6,
    "rod": lambda u, v, w: np.maximum(np.hypot(u, v) - 0.38, np.abs(w) - 0.98),
}
