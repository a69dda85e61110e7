"""Deleting one run's folder: only what belongs to a run, never through a link, never while it is written."""

import os
import re
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from filelock import Timeout

from reswork.errors import InvalidSetting
from reswork.store.directory import LOCK_FILE, METRICS_FILE, RUN_FILE, WEIGHTS_FILE, writer_lock
from reswork.store.notes import NOTE_FILE
from reswork.store.worker_file import WORKER_FILE, WORKER_LOG

_FILES = (WEIGHTS_FILE, METRICS_FILE, NOTE_FILE, WORKER_FILE, WORKER_LOG)
_FOLDERS = ("checkpoints", "moments")
_LAST = (RUN_FILE, LOCK_FILE)  # until these go it is still a run, and can be deleted again
_TEMPORARY = re.compile(r"\.(.+)\.\d+")  # of a write that was cut off
_NOFOLLOW = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


def delete_run(directory: Path) -> tuple[str, ...]:
    """Delete a run for good; files that belong to no run stay, and their folder with them.

    Returns:
        Names of what stayed; empty when the whole folder is gone.

    Raises:
        InvalidSetting: if the folder is a link, holds no run, is being written, or cannot be deleted.
    """
    try:
        folder = os.open(directory, _NOFOLLOW)
    except OSError as error:
        raise InvalidSetting("run", _refusal(directory, error)) from error
    try:
        if not _is_file(RUN_FILE, folder):
            raise InvalidSetting(
                "run",
                f"{directory.name!r} holds no {RUN_FILE}, so it is no run; delete it by hand if you mean it",
            )
        if not _is_file(LOCK_FILE, folder):
            _unlink(LOCK_FILE, folder)  # a link: opening it would reach another file
        with writer_lock(directory).acquire(timeout=0):
            _delete_parts(folder)
        _unlink(LOCK_FILE, folder)  # letting go of the lock may have left the file
        left = tuple(sorted(os.listdir(folder)))
        if not left:
            directory.rmdir()
        return left
    except Timeout:
        raise InvalidSetting(
            "run", f"run {directory.name!r} is being written; stop it first, then delete it"
        ) from None
    except OSError as error:
        raise InvalidSetting(
            "run", f"run {directory.name!r} cannot be deleted: {error.strerror or error}"
        ) from error
    finally:
        os.close(folder)


def _delete_parts(folder: int) -> None:
    """What a run's folder may hold, and then the last files."""
    for name in os.listdir(folder):
        temporary = _TEMPORARY.fullmatch(name)
        known = temporary[1] in (*_FILES, *_LAST) if temporary else name in (*_FILES, *_FOLDERS)
        if not known:
            continue
        if not stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            _unlink(name, folder)
        elif name in _FOLDERS:
            shutil.rmtree(name, dir_fd=folder)  # follows no link
    for name in _LAST:
        _unlink(name, folder)


def _unlink(name: str, folder: int) -> None:
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)


def _is_file(name: str, folder: int) -> bool:
    try:
        return stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except OSError:
        return False


def _refusal(directory: Path, error: OSError) -> str:
    if directory.is_symlink():
        return f"{directory.name!r} is a link to another place; delete the link by hand if you mean it"
    if isinstance(error, FileNotFoundError):
        return f"run {directory.name!r} is gone already; it was deleted or moved"
    return f"run {directory.name!r} cannot be deleted: {error.strerror or error}"
