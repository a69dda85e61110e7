"""Workers killed while they save: the kernel is told, no run is unreadable, and it goes on from its last checkpoint."""

import os
import signal
import subprocess
import time
from pathlib import Path
from unittest import mock

import torch

import reswork as rw
from reswork.experiment.processes import ProcessRun, WorkerFailed, starting
from tests.faults.kills import LONG, many, wait_for_saves
from tests.faults.training import NET, save_at_every_step


class _Forked:
    """A worker that was forked instead of started, which takes no seconds; as `subprocess.Popen` is used."""

    def __init__(self, directory: Path, folder: Path, ranks: int) -> None:
        assert not ranks
        self.pid = os.fork()
        if self.pid == 0:
            self._work(directory, folder)

    def wait(self, timeout_s: float | None = None) -> int:
        end = time.monotonic() + (timeout_s or 60.0)
        while True:
            done, status = os.waitpid(self.pid, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status)
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired("worker", timeout_s or 60.0)
            time.sleep(0.005)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def _work(self, directory: Path, folder: Path) -> None:
        from reswork.worker import main

        log = os.open(directory / "worker.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for number in (1, 2):
            os.dup2(log, number)
        try:
            torch.set_num_threads(1)
            save_at_every_step()
            os._exit(main([str(directory), str(folder)]))
        finally:
            os._exit(1)


def killed(folder: Path, after_s: float) -> ProcessRun:
    """Train with a checkpoint after every step, and kill the worker so long after its first one."""
    torch.manual_seed(0)
    with mock.patch.object(starting, "_started", _Forked):
        run = rw.train(
            rw.resnet(NET), rw.datasets.digits(), LONG, directory=folder, engine="process", save_every_s=0.0
        )
    try:
        wait_for_saves(folder, lambda: run.done)
        time.sleep(after_s)
    finally:
        os.kill(run.pid, signal.SIGKILL)
    try:
        run.wait(300)
    except WorkerFailed as error:
        assert "SIGKILL" in str(error)
        return run
    raise AssertionError(f"the kernel was not told: {run}")


def _look(folder: Path, run: ProcessRun) -> None:
    """The kernel's record has no gap, and no worker is said to live."""
    steps = run.history.series("loss/train").steps
    assert steps.tolist() == list(range(1, len(steps) + 1))
    assert not starting.living_worker(folder)


def campaign(count: int, seed: int = 0) -> str:
    """So many kills; a sentence with what was found."""
    found = many(count, seed, killed, _look)
    return f"{count} kills of a worker that saves after every step, each told to the kernel, {found}"
