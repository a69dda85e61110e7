"""Where data lies on this machine: embedded files, the folder for downloads, the cache."""

import os
from pathlib import Path

from reswork.errors import InvalidSetting
from reswork.places import cache_root

__all__ = ["cache_root", "data_root", "embedded", "existing"]


def data_root(root: str | os.PathLike[str] | None = None) -> Path:
    """Where downloads and files placed by hand lie: the argument, else ``RESWORK_DATA``, else ``./data``."""
    return Path(root or os.environ.get("RESWORK_DATA") or "data").expanduser()


def embedded(name: str) -> Path:
    """A folder that comes with the package, in an installed wheel or in the source tree.

    Raises:
        FileNotFoundError: the installation lacks it.
    """
    package = Path(__file__).resolve().parents[1]
    places = (package / "_data" / name, package.parent / "data" / name)
    for path in places:
        if path.is_dir():
            return path
    raise FileNotFoundError(
        f"the embedded data are missing from {places[0]} and {places[1]}: install reswork anew"
    )


def existing(path: str | os.PathLike[str]) -> Path:
    """The path of a folder or a regular file, with ``~`` written out.

    Raises:
        InvalidSetting: nothing is there, or a device or a pipe, which would be read for ever.
    """
    place = Path(path)
    try:
        place = place.expanduser()
        is_there = place.exists()
    except (OSError, RuntimeError, ValueError) as error:  # too long, no such person's home, a NUL in it
        raise InvalidSetting("path", f"{str(place)!r} is no path: {error}") from error
    if is_there and not (place.is_dir() or place.is_file()):
        raise InvalidSetting("path", f"{str(place)!r} is a device or a pipe: give a folder or a file")
    if not is_there:
        raise InvalidSetting(
            "path", f"there is nothing at {str(place)!r} (seen from {Path.cwd()}): check the spelling"
        )
    return place
