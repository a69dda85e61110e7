"""Where runs live: the folder of all runs, the names in it, and who is writing one."""

import os
import time
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from reswork.errors import InvalidSetting
from reswork.places import runs_folder

RUN_FILE = "run.json"
METRICS_FILE = "metrics.jsonl"
WEIGHTS_FILE = "weights.safetensors"
LOCK_FILE = "writer.lock"
_LONGEST_NAME = 100
_UNSURE_S = 30.0  # without the right to ask the lock, a run is taken for alive this long after its last line


def check_name(name: str) -> str:
    """Return a run's name, or refuse one that is no plain folder name.

    Raises:
        InvalidSetting: for path separators, control characters, a leading dot or more than 100 characters.
    """
    plain = isinstance(name, str) and name == name.strip() and name.isprintable()
    if not plain or not name or name.startswith(".") or any(mark in name for mark in '/\\:*?"<>|'):
        raise InvalidSetting(
            "name",
            f"name={name!r} cannot name a run; choose letters, digits, spaces, '-', '_' or '.', "
            "not starting with a dot",
        )
    if len(name.encode()) > _LONGEST_NAME:
        raise InvalidSetting(
            "name", f"the run's name has {len(name)} characters; choose at most {_LONGEST_NAME}"
        )
    return name


def create_run_directory(root: str | Path | None = None, name: str | None = None) -> Path:
    """Make a new, empty folder for one run; a name that is taken gets a number.

    Args:
        root: the folder of all runs, see `runs_folder`; made if it is missing.
        name: a plain folder name; None: the date and time.

    Returns:
        The new folder; no other call, in this or another process, gets the same one.

    Raises:
        InvalidSetting: if the name is no plain folder name.
        OSError: if the folder cannot be made.
    """
    folder = runs_folder(root)
    stem = check_name(name) if name is not None else datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    folder.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        directory = run_path(stem if number == 1 else f"{stem}-{number}", folder)
        try:
            directory.mkdir()
            return directory
        except FileExistsError:
            number += 1


def claim_directory(directory: str | Path) -> Path:
    """Make or take the empty folder that a person chose for one run.

    Raises:
        InvalidSetting: if it holds anything already, or is a file.
        OSError: if it cannot be made.
    """
    path = Path(directory)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise InvalidSetting(
            "directory", f"directory={str(path)!r} is a file; choose a new or empty folder"
        ) from None
    if any(path.iterdir()):
        raise InvalidSetting(
            "directory",
            f"directory={str(path)!r} is not empty; a run needs a folder of its own, choose a new one",
        )
    return path


def run_path(name: str, folder: Path) -> Path:
    """The path of a run inside the folder of runs, never outside it."""
    path = folder / check_name(name)
    if not is_inside(path, folder):
        raise InvalidSetting(
            "name", f"name={name!r} leads out of {str(folder)!r}; choose one that rw.runs() lists"
        )
    return path


def is_inside(path: Path, folder: Path) -> bool:
    """Whether a path, with all links followed, stays inside a folder."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def writer_lock(directory: Path) -> FileLock:
    """The lock that a run's living writer holds; the system frees it when that process dies."""
    return FileLock(directory / LOCK_FILE, thread_local=False)


def taken_lock(directory: Path) -> FileLock:
    """The writer's lock, held.

    Raises:
        InvalidSetting: if another process, or another run here, writes this folder.
        OSError: if nothing can be written there.
    """
    lock = writer_lock(directory)
    try:
        lock.acquire(timeout=1)  # a reader that asks who writes holds it for a moment
    except Timeout:
        raise InvalidSetting(
            "directory", f"{str(directory)!r} is being written by another process; choose a new folder"
        ) from None
    return lock


def has_writer(directory: Path) -> bool:
    """Whether some process is still writing this run."""
    if not (directory / LOCK_FILE).is_file():
        return False
    try:
        with writer_lock(directory).acquire(timeout=0):
            return False
    except Timeout:
        return True
    except OSError:  # somebody else's folder: the lock may not even be asked
        return time.time() - _last_written(directory) < _UNSURE_S


def _last_written(directory: Path) -> float:
    times = [0.0]
    for name in (RUN_FILE, METRICS_FILE):
        try:
            times.append((directory / name).stat().st_mtime)
        except OSError:
            continue
    return max(times)
