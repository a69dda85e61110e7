"""Runs in processes of their own whose worker is a thread of the test: all of it but the process."""

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import torch

import reswork as rw
from reswork import worker
from reswork.experiment.processes import starting
from reswork.experiment.processes.job import private_folder
from reswork.experiment.processes.process_run import ProcessRun
from reswork.experiment.processes.server import Server
from reswork.store import worker_file
from reswork.store.assembly import assemble_run
from reswork.store.description import describe
from reswork.store.worker_file import WORKER_FILE, worker_of
from reswork.training.ranks import ALONE

RECIPE = rw.Recipe(
    steps=40, batch_size=32, device="cpu", precision="fp32", compile="off", channels_last=False
)


def small_digits() -> rw.datasets.Dataset:
    return rw.datasets.digits().subset(64, 10)


def stopped_and_resumed(
    net: rw.ResNet, data: rw.datasets.Dataset, recipe: rw.Recipe, step: int, name: str = "parts"
) -> rw.LiveRun:
    """A run that was stopped after so many steps, and then went on to its end."""
    first = rw.train(net, data, recipe, name=name, start=False)
    first.step(step)
    first.wait_until_still(300)
    first.stop()
    first.wait(300)
    assert first.steps_done == step
    again = rw.load_run(name).resume(data=data)
    assert again.wait(300) is rw.RunState.FINISHED
    return again


def tiny() -> rw.ResNet:
    torch.manual_seed(1)
    return rw.resnet(depth=8, width=2, in_channels=1)


@contextmanager
def served_runs(folder: Path) -> Iterator[Callable[..., tuple[ProcessRun, rw.Run]]]:
    """Makes pairs: the run as a kernel sees it, and the one in the worker; at the end all are over."""
    ends: list[Callable[[], None]] = []

    def make(
        recipe: rw.Recipe = RECIPE, *, default: bool = False, moments_bytes: int = 0
    ) -> tuple[ProcessRun, rw.Run]:
        directory = folder / f"run{len(ends)}"
        directory.mkdir()
        run, end = _served(directory, recipe, default=default, moments_bytes=moments_bytes)
        ends.append(end)
        return run

    try:
        yield make
    finally:
        for end in ends:
            end()


def _served(
    directory: Path, recipe: rw.Recipe, *, default: bool, moments_bytes: int
) -> tuple[tuple[ProcessRun, rw.Run], Callable[[], None]]:
    model, data = tiny(), small_digits()
    recorders = None if default else [rw.recorders.losses]
    description = describe(model, data, recipe)
    inner = assemble_run(
        model, data, recipe, description, directory, recorders=recorders, moments_bytes=moments_bytes
    )
    private = private_folder()
    server = Server(inner, private, model.config.to_dict())

    def close_at_end() -> None:
        while not inner.done:
            inner.wait_for_change(inner.state, inner.steps_done, 1.0)
        server.close()

    closer = threading.Thread(target=close_at_end)
    closer.start()
    outer = ProcessRun(
        directory, tiny(), recipe, server.hello, launch=lambda: (worker_of(os.getpid(), private), None)
    )

    def end() -> None:
        inner.start()
        inner.stop()
        closer.join(20)
        assert not closer.is_alive()
        outer.stop()
        outer.wait_until_over(20)
        assert outer.done
        for left in private.iterdir():
            left.unlink()
        private.rmdir()

    return (outer, inner), end


class ThreadWorker:
    """A worker that is a thread here, as `subprocess.Popen` is used: everything of it is real but the process."""

    def __init__(self, directory: Path, folder: Path, ranks: int) -> None:
        assert not ranks
        self.pid = os.getpid()
        self._thread = threading.Thread(target=self._work, args=(directory, folder))
        self._thread.start()

    def wait(self, timeout_s: float | None = None) -> int:
        self._thread.join(timeout_s)
        assert not self._thread.is_alive()
        return 0

    def _work(self, directory: Path, folder: Path) -> None:
        while not (directory / WORKER_FILE).exists():  # the kernel's part writes it, with this same number
            time.sleep(0.001)
        try:
            worker._work(directory, folder, ALONE)
        finally:
            shutil.rmtree(folder)


@contextmanager
def workers_in_threads() -> Iterator[None]:
    """`rw.train(..., engine="process")` makes a `ThreadWorker` from now on."""

    def watch(run: rw.Run, _order: object, _agent: object) -> None:
        while not run.done:
            run.wait_for_change(run.state, run.steps_done, 1.0)

    with (
        mock.patch.object(starting, "_started", ThreadWorker),
        mock.patch.object(worker, "_watch", watch),
        mock.patch.object(worker_file, "write_worker", lambda *_: None),
    ):
        yield
