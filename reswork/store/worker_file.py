"""Which process trains a run: the file ``worker.json`` in its folder, and whether that process is alive."""

import contextlib
import json
import platform
from dataclasses import dataclass
from pathlib import Path

import psutil

from reswork.store.atomic_files import read_text, write_json

WORKER_FILE = "worker.json"
WORKER_LOG = "worker.log"
_MOST_BYTES = 64 * 1024
_CLOCK_S = 5.0  # a process's birth is told by a clock that is set now and then


@dataclass(frozen=True)
class Worker:
    """A process of its own that trains one run.

    Attributes:
        pid: its number.
        born: when it began, seconds since 1970; a number alone may be given to another process later.
        folder: its private folder, where its socket lies.
    """

    pid: int
    born: float
    folder: Path

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self.process is not None

    @property
    def process(self) -> psutil.Process | None:
        """The process, if it is still this one."""
        try:
            found = psutil.Process(self.pid)
            same = abs(found.create_time() - self.born) < _CLOCK_S
            return found if same and found.status() != psutil.STATUS_ZOMBIE else None
        except psutil.Error:
            return None


def kill_all(process: psutil.Process) -> None:
    """End a process and those that it started, at once."""
    try:
        found = [*process.children(recursive=True), process]
    except psutil.Error:
        found = [process]
    for each in found:
        with contextlib.suppress(psutil.Error):
            each.kill()


def worker_of(pid: int, folder: Path) -> Worker:
    """The worker with this number, which has just begun."""
    try:
        born = psutil.Process(pid).create_time()
    except psutil.Error:  # it is gone already
        born = 0.0
    return Worker(pid, born, folder)


def write_worker(directory: Path, worker: Worker) -> None:
    """Say in a run's folder who trains it.

    Raises:
        OSError: if it cannot be written.
    """
    write_json(
        directory / WORKER_FILE,
        {"pid": worker.pid, "born": worker.born, "folder": str(worker.folder), "machine": platform.node()},
    )


def living_worker(directory: Path) -> Worker | None:
    """The process that trains this run now, or None: there is none, or it is on another machine."""
    try:
        values = json.loads(read_text(directory / WORKER_FILE, _MOST_BYTES))
        worker = Worker(int(values["pid"]), float(values["born"]), Path(str(values["folder"])))
        here = values["machine"] == platform.node()
    except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None
    return worker if here and 0 < worker.pid < 2**31 and worker.alive else None
