"""A trial of what saving does: a file written, synchronised with the disk, renamed, and locked."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from reswork.environment.report import Finding

_CONTENT = b"reswork looks whether it can write here\n"


class TrialFailed(Exception):
    """Which part of the trial failed, and why."""


def write_finding(name: str, folder: Path, *, locks: bool, remedy: str) -> Finding:
    """Whether runs can be saved in a folder; leaves nothing behind, not even the folder if it was not there.

    Args:
        name: of the finding.
        folder: where; made for the trial if it is missing.
        locks: whether a file lock is needed there too.
        remedy: what to do where it fails.
    """
    try:
        with _trial_folder(folder) as path:
            _write_and_rename(path)
            if locks:
                _lock(path)
    except TrialFailed as failure:
        return Finding(name, "bad", f"{folder}: {failure}", remedy)
    done = "written, synchronised and renamed" + (", and locked" if locks else "")
    return Finding(name, "good", f"{folder}: a file could be {done}")


@contextmanager
def _trial_folder(folder: Path) -> Iterator[Path]:
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path = Path(tempfile.mkdtemp(prefix=".reswork-trial-", dir=folder))
        except OSError as error:
            raise TrialFailed(f"no folder can be made ({_told(error)})") from error
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)
    finally:
        for each in missing:  # the innermost first; somebody else may have put something in
            with suppress(OSError):
                each.rmdir()


def _write_and_rename(path: Path) -> None:
    first, second = path / "first", path / "second"
    step = "a file cannot be written"
    try:
        with first.open("wb") as file:
            file.write(_CONTENT)
            file.flush()
            step = "a file cannot be synchronised with the disk"
            os.fsync(file.fileno())
        step = "a file cannot be renamed"
        first.replace(second)
        step = "a file cannot be read again"
        content = second.read_bytes()
    except OSError as error:
        raise TrialFailed(f"{step} ({_told(error)})") from error
    if content != _CONTENT:
        raise TrialFailed("what was written came back as something else")


def _lock(place: Path) -> None:
    try:
        from filelock import FileLock, Timeout
    except ImportError:
        raise TrialFailed("locks cannot be tried, because filelock is not installed") from None
    path = place / "lock"
    try:
        with FileLock(path).acquire(timeout=1):
            try:
                FileLock(path, is_singleton=False).acquire(timeout=0).lock.release()
            except Timeout:
                return
    except (OSError, NotImplementedError, Timeout) as error:
        raise TrialFailed(f"a file cannot be locked ({_told(error)})") from error
    raise TrialFailed("a lock keeps nobody out, so two programs could write the same run")


def _told(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
