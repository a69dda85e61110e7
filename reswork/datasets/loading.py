"""A data set by its name or its path, as the command line and the workbench ask for it."""

import os
from collections.abc import Callable
from functools import partial

from reswork.datasets.builtin import digits, fashion
from reswork.datasets.cifar import cifar10, cifar100
from reswork.datasets.dataset import Dataset
from reswork.datasets.drawing import scenes, shapes
from reswork.datasets.in_memory import npz
from reswork.datasets.mask_folders import has_masks, masks
from reswork.datasets.pictures import folder
from reswork.datasets.places import existing
from reswork.errors import InvalidSetting

_SOURCES: dict[str, Callable[[], Dataset]] = {
    "fashion": fashion,
    "digits": digits,
    "shapes": shapes,
    "scenes": scenes,
    "cifar10": cifar10,
    "cifar100": cifar100,
    "fashion-full": partial(fashion, full=True),
}
NAMES = tuple(_SOURCES)


def load(name: str | os.PathLike[str], size: int | tuple[int, int] | None = None) -> Dataset:
    """The data set of this name, or from this path: a folder or zip of images, or an npz file.

    A folder in which ``images`` and ``masks`` lie (or alike, see `masks`) is one for segmentation.

    Args:
        name: one of `NAMES`, or a path; ``./digits`` for a folder that is called like a set.
        size: height and width of the images of a folder or a zip, or one number for both; None: see `folder`.

    Raises:
        InvalidSetting: neither, or something that cannot be read.
        FileNotFoundError: a set that is not here and could not be downloaded.

    Example:
        >>> load("digits").name
        'digits'
    """
    text = os.fspath(name).strip()
    if size is not None and (text in _SOURCES or text.lower().endswith(".npz")):
        raise InvalidSetting(
            "size", f"{text!r} has images of one size: leave size out, which is for folders and zips"
        )
    if text in _SOURCES:
        return _SOURCES[text]()
    try:
        path = existing(text or "?")
    except InvalidSetting as error:
        raise InvalidSetting(
            "data",
            f"{text!r} is neither a data set ({', '.join(NAMES)}) nor the path of a folder, zip or npz file: "
            f"{error.message}",
        ) from error
    if path.suffix.lower() == ".npz":
        return npz(path)
    return masks(path, size=size) if has_masks(path) else folder(path, size)
