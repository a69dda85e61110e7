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
    for place in places:
        if place.is_dir():
            return place
    raise FileNotFoundError(
        f"the embedded data are missing from {places[0]} and {places[1]}: install reswork anew"
    )


def existing(path: str | os.PathLike[str]) -> Path:
    """The path, with ``~`` written out.

    Raises:
        InvalidSetting: nothing is there.
    """
    place = Path(path).expanduser()
    if not place.exists():
        raise InvalidSetting(
            "path", f"there is nothing at {str(place)!r} (seen from {Path.cwd()}): check the spelling"
        )
    return place
