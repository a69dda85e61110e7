"""A folder that is there as a whole or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from reswork.errors import InvalidSetting
from reswork.store.atomic_files import synchronise


def free_place(folder: str | Path, *marks: str) -> Path:
    """A place that is empty, or has an older folder of the same kind.

    Args:
        folder: where something is to be written.
        marks: files that an older one has.

    Raises:
        InvalidSetting: something else lies there.
    """
    place = Path(folder)
    try:
        if place.is_symlink() or (place.exists() and not place.is_dir()):
            raise InvalidSetting("folder", f"{str(place)!r} is a file or a link; name a new folder")
        older = all((place / mark).is_file() for mark in marks)
        if place.is_dir() and not older and any(place.iterdir()):
            raise InvalidSetting(
                "folder", f"{str(place)!r} holds other files, which would be replaced; name a new folder"
            )
    except OSError as error:
        raise InvalidSetting("folder", f"{str(place)!r} cannot be used: {error.strerror or error}") from error
    return place


@contextmanager
def whole(place: Path) -> Iterator[Path]:
    """A folder beside a place that takes it when the body succeeds, and is gone when it does not.

    Raises:
        InvalidSetting: it cannot be written.
    """
    made, old = (place.with_name(f".{place.name}.{kind}.{os.getpid()}") for kind in ("new", "old"))
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir()
        yield made
        for path in (*made.rglob("*"), made):
            synchronise(path)
        if place.is_dir():
            place.rename(old)
        try:
            made.rename(place)
        except OSError:
            if old.is_dir():
                old.rename(place)
            raise
        with suppress(OSError):
            synchronise(place.parent)
    except OSError as error:
        raise InvalidSetting(
            "folder", f"{str(place)!r} cannot be written: {error.strerror or error}"
        ) from error
    finally:
        for each in (made, old):
            shutil.rmtree(each, ignore_errors=True)
