"""A data set by its name or its path, as the command line and the workbench ask for it."""

import os
import re
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from reswork.datasets.boxes import box_format, boxes
from reswork.datasets.builtin import digits, fashion
from reswork.datasets.cache import CacheChoice
from reswork.datasets.cifar import cifar10, cifar100
from reswork.datasets.dataset import Dataset
from reswork.datasets.defects import defects, odd_fashion
from reswork.datasets.drawing import scattered, scenes, shapes
from reswork.datasets.faces import drawn_faces
from reswork.datasets.files import readable
from reswork.datasets.folder_words import role_of
from reswork.datasets.in_memory import npz
from reswork.datasets.mask_folders import mask_parents, masks
from reswork.datasets.photographs import photographs
from reswork.datasets.pictures import folder
from reswork.datasets.places import existing
from reswork.datasets.signals import pulses, signals, traffic
from reswork.datasets.table import cancer, csv_table, fraud
from reswork.datasets.targets import TargetKind
from reswork.datasets.texts import languages
from reswork.datasets.volumes import holds_volumes, solids, volumes
from reswork.errors import InvalidSetting

_SOURCES: dict[str, Callable[[], Dataset]] = {
    "fashion": fashion,
    "digits": digits,
    "shapes": shapes,
    "scenes": scenes,
    "solids": solids,
    "scattered": scattered,
    "photographs": photographs,
    "photographs-noisy": partial(photographs, scale=1, noise=25),
    "drawn-faces": drawn_faces,
    "defects": defects,
    "odd-fashion": odd_fashion,
    "cifar10": cifar10,
    "cifar100": cifar100,
    "traffic": traffic,
    "pulses": pulses,
    "cancer": cancer,
    "fraud": fraud,
    "languages": languages,
    "fashion-full": partial(fashion, full=True),
}
NAMES = tuple(_SOURCES)
_SOME_CLASSES = re.compile(r"(?P<name>.+?)-(?P<classes>\d+(?:-\d+)+)")


def is_built_in(name: str) -> bool:
    """Whether `load` finds a data set of this name without a file of one's own: one of `NAMES`, or some of its classes.

    Example:
        >>> is_built_in("digits"), is_built_in("digits-6-7"), is_built_in("digits-and-more")
        (True, True, False)
    """
    found = _SOME_CLASSES.fullmatch(name)
    return name in _SOURCES or (found is not None and found["name"] in _SOURCES)


def load(
    name: str | os.PathLike[str],
    size: int | tuple[int, int] | None = None,
    *,
    targets: TargetKind | None = None,
    labels: str | os.PathLike[str] | None = None,
    cache: CacheChoice = True,
) -> Dataset:
    """The data set of this name, or from this path: a folder or zip of images, or an npz file.

    A CSV file is a table whose last column is told, a .ts file and folders of wave files are signals; with other wishes
    call `table`, `signals` or `text`.

    A folder in which ``images`` and ``masks`` lie (or alike, see `masks`) is one for segmentation; one with files of
    boxes where their format has them (see `boxes`) is one for detection.

    Args:
        name: one of `NAMES`, or some classes of one by their numbers, such as ``digits-6-7-8-9``; or a path;
            ``./digits`` for a folder that is called like a set.
        size: height and width of the images of a folder or a zip, or one number for both; None: see `folder`.
        targets: ``"labels"``, ``"masks"`` or ``"boxes"``, what a folder or a zip shall be read for; None finds it and
            tells it where several can be meant.
        labels: a table of files and classes, see `folder`.
        cache: where decoded images of a folder or a zip are kept, see `folder`.

    Raises:
        InvalidSetting: neither, or something that cannot be read.
        FileNotFoundError: a set that is not here and could not be downloaded.

    Example:
        >>> load("digits").name
        'digits'
    """
    text = os.fspath(name).strip()
    if targets not in (None, "labels", "masks", "boxes"):
        raise InvalidSetting("targets", f"targets={targets!r}: choose 'labels', 'masks', 'boxes' or None")
    if is_built_in(text) or text.lower().endswith(".npz"):
        given = {
            "size": size,
            "targets": targets,
            "labels": labels,
            "cache": None if cache is True else cache,
        }
        for setting in (setting for setting, value in given.items() if value is not None):
            raise InvalidSetting(
                setting,
                f"{text!r} has images of one size and kind: leave {setting} out, which is for folders and zips",
            )
    if text in _SOURCES:
        return _SOURCES[text]()
    if is_built_in(text) and (some := _SOME_CLASSES.fullmatch(text)):
        return _SOURCES[some["name"]]().of_classes([int(number) for number in some["classes"].split("-")])
    try:
        path = existing(text or "?")
    except InvalidSetting as error:
        raise InvalidSetting(
            "data",
            f"{text!r} is neither a data set ({', '.join(NAMES)}) nor the path of a folder, zip or npz file: "
            f"{error.message}",
        ) from error
    suffix = path.suffix.lower() if path.is_file() else ""
    if suffix == ".ts" or _holds_waves(path):
        return signals(path)
    if suffix in (".csv", ".tsv"):
        return csv_table(path)
    if suffix == ".npz":
        if holds_volumes(path):
            return volumes(path)
        return signals(path) if _holds_signals(path) else npz(path)
    if labels is not None:
        return folder(path, size, labels=labels, cache=cache)
    if targets == "boxes" or (targets is None and box_format(path) is not None):
        return boxes(path, size)
    parents = mask_parents(path) if targets is None else None
    if targets != "masks" and parents is None:
        return folder(path, size, cache=cache)
    data = masks(path, size=size, cache=cache)
    groups = [parent for parent in parents or () if role_of(parent.rpartition("/")[2]) is None]
    if len(groups) < 2:
        return data
    named = ", ".join(readable(group.rpartition("/")[2]) for group in groups[:3])
    more = " ..." if len(groups) > 3 else ""
    return data._with(
        notes=(
            f"Taken for pictures with masks, a class for each pixel, as {named}{more} hold folders of both; to learn "
            "those folders as classes instead: rw.datasets.folder(path), rw.datasets.load(path, targets='labels') or "
            "--targets labels.",
            *data.notes,
        )
    )


def _holds_waves(path: Path) -> bool:
    return path.is_dir() and next(path.glob("*/*.wav"), None) is not None


def _holds_signals(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return {"signals.npy", "labels.npy"} <= {*archive.namelist()}
    except (OSError, zipfile.BadZipFile):
        return False
