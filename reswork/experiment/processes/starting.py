"""Starting a run in a process of its own, and taking up one that goes on."""

import os
import shutil
import site
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

import reswork
from reswork import allocator
from reswork.datasets.dataset import Dataset
from reswork.errors import InvalidSetting
from reswork.experiment.processes.connection import PROTOCOL, connect
from reswork.experiment.processes.job import (
    Engine,
    ProcessSettings,
    WhenKernelEnds,
    make_job,
    private_folder,
    write_job,
)
from reswork.experiment.processes.portable import only_here
from reswork.experiment.processes.process_run import ProcessRun
from reswork.history import History
from reswork.models.config import ResNetConfig
from reswork.models.network import resnet
from reswork.recorders.forwarder import Forwarder
from reswork.store.atomic_files import write_json
from reswork.store.directory import METRICS_FILE, RUN_FILE, runs_folder, taken_lock
from reswork.store.replay import read_history
from reswork.store.saved_run import SavedRun, find_run
from reswork.store.worker_file import WORKER_LOG, Worker, living_worker, worker_of, write_worker
from reswork.tasks import task_for, task_of_kind
from reswork.training.live_run import LiveRun
from reswork.training.recipe import Recipe, steps_per_epoch, total_steps
from reswork.training.run import active_runs

_BEGINS_S = 30.0  # longer than any worker takes before it listens


def process_run(
    model: nn.Module,
    data: Dataset,
    recipe: Recipe,
    directory: Path,
    description: Mapping[str, Any],
    settings: ProcessSettings,
) -> ProcessRun:
    """A run that waits for its start, which makes a process of its own.

    Args:
        model: built by `resnet`; its weights are copied to the process when it starts.
        data: any data set; copied likewise.
        recipe: how to train.
        directory: the run's folder, which nobody else writes until then.
        description: what `describe` tells; of a run that is resumed what stands in its folder.
        settings: how the process is used.

    Raises:
        InvalidSetting: if another process writes the folder.
        OSError: if it cannot be written.
    """
    lock = taken_lock(directory)  # until the worker takes it
    values = {**description, "name": directory.name, "error": None}
    if not settings.resumes:
        write_json(directory / RUN_FILE, {**values, "state": "READY"})

    task = settings.task or task_for(data)

    def launched(settings: ProcessSettings) -> tuple[Worker, subprocess.Popen[bytes]]:
        folder = private_folder()
        try:
            job = make_job(model, task, recipe, description, settings)
            write_job(folder, job, model, data, settings.state)
            process = _started(directory, folder, settings.count)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        worker = worker_of(process.pid, folder)
        write_worker(directory, worker)
        lock.release()
        return worker, process

    def relaunched() -> tuple[Worker, subprocess.Popen[bytes]]:
        sent = [each for each in settings.recorders or () if isinstance(each, Forwarder)]
        return launched(replace(settings, resumes=True, step=None, state=None, recorders=sent))

    def give_up() -> None:
        if not settings.resumes:
            write_json(directory / RUN_FILE, {**values, "state": "STOPPED"})
        lock.release()

    facts = {
        "dataset_name": data.name,
        "classes": data.classes,
        "task": task.kind,
        "total_steps": total_steps(recipe, len(data.train)),
        "steps_per_epoch": steps_per_epoch(recipe, len(data.train)),
        "when_kernel_ends": settings.when_kernel_ends,
        "restarts": settings.restarts,
        "moments_bytes": None if settings.resumes else settings.moments_bytes or None,
    }
    return ProcessRun(
        directory,
        model,
        recipe,
        facts,
        data=data,
        launch=partial(launched, settings),
        give_up=give_up,
        relaunch=relaunched,
    )


def resume_in_process(
    saved: SavedRun,
    *,
    data: Dataset | None = None,
    step: int | None = None,
    recorders: Sequence[Any] = (),
    when_kernel_ends: WhenKernelEnds = "stop",
    engine: Engine = "process",
    ranks: int | None = None,
    restarts: int = 0,
    start: bool = True,
) -> ProcessRun:
    """Go on with a run from disk in a process of its own, equal to the last bit, like ``saved.resume()`` does here.

    Args:
        saved: from `load_run` or `runs`; its network has to be one of `resnet`.
        data: needed where the data set is not a built-in one.
        step: go on from the newest checkpoint at or before this step; None: the newest.
        recorders: more of them, as `resume` takes them; no other ones than those of the catalogue and `tensorboard`
            and `mlflow`.
        when_kernel_ends: as for `train`.
        engine: ``"process"``, or ``"torchrun"`` with any number of ranks, whatever it was before.
        ranks: as for `train`.
        restarts: as for `train`.
        start: False gives a run that waits for ``run.start()``.

    Raises:
        InvalidSetting: if it cannot go on, with the reason.
        OSError: if its folder cannot be written.
    """
    if saved.config is None:
        raise only_here(f"run {saved.name!r} trained {saved.model_label}, which was not built by rw.resnet")
    if not saved.can_be_resumed:
        raise InvalidSetting("run", f"run {saved.name!r} is {saved.state_word}, and cannot go on")
    data = saved.check_data(data) if data is not None else saved.load_data()
    settings = ProcessSettings(
        engine,
        when_kernel_ends,
        list(recorders),
        resumes=True,
        step=step,
        task=task_of_kind(saved.task_kind),
        ranks=ranks,
        restarts=restarts,
    )
    model = _network(saved.config)
    settings.check(model, data, saved.recipe)
    run = process_run(model, data, saved.recipe, saved.directory, {}, settings)
    if start:
        run.start()
    return run


def attach(name: str | Path, root: str | Path | None = None) -> LiveRun:
    """Take up a run that goes on in a process of its own, with its whole history, such as after a kernel restart.

    Args:
        name: the run's name, as `runs` lists it, or its folder.
        root: the folder of all runs, for a name.

    Returns:
        The run, to be steered like the one that `train` gave; the same one if this kernel has it already.

    Raises:
        InvalidSetting: if there is no such run, or it does not go on in a process of its own.
    """
    directory = find_run(name, root)
    for run in active_runs():
        if run.pid is not None and run.directory and run.directory.resolve() == directory.resolve():
            return run
    worker = living_worker(directory)
    if worker is None:
        raise InvalidSetting(
            "name",
            f"run {directory.name!r} does not go on in a process of its own on this machine; "
            f"rw.load_run({directory.name!r}) shows what it left",
        )
    hello = _hello(directory.name, worker)
    run = ProcessRun(
        directory,
        _network(ResNetConfig.from_dict(hello["config"])),
        Recipe.from_dict(hello["recipe"]),
        hello,
        history=_so_far(directory),
        launch=lambda: (worker, None),
    )
    run.attach()
    return run


def newest_going_on(root: str | Path | None = None) -> LiveRun | None:
    """The run in a folder that was started last and goes on in a process of its own; None: there is none.

    Args:
        root: the folder of all runs.
    """
    folder = runs_folder(root)
    found: list[tuple[float, Path]] = []
    for path in folder.iterdir() if folder.is_dir() else ():
        worker = living_worker(path) if not path.is_symlink() else None
        if worker is not None:
            found.append((worker.born, path))
    for _, path in sorted(found, reverse=True):
        try:
            return attach(path)
        except InvalidSetting:  # it has just ended, or does not answer
            continue
    return None


def _started(directory: Path, folder: Path, ranks: int) -> "subprocess.Popen[bytes]":
    """The process, which starts ranks if there shall be any, in a session of its own: the kernel's end spares it."""
    with (directory / WORKER_LOG).open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "reswork.worker", str(directory.resolve()), str(folder)]
            + ([str(ranks)] if ranks else []),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=allocator.SETTINGS | os.environ | {"PYTHONPATH": _search_path(), "PYTHONUNBUFFERED": "1"},
            start_new_session=True,
        )


def _search_path() -> str:
    """Where the process finds this very package, wherever this one got it from."""
    path = str(Path(reswork.__file__).parents[1])
    others = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
    installed = path in (*site.getsitepackages(), site.getusersitepackages())
    return os.pathsep.join(others if installed or path in others else [path, *others])


def _hello(name: str, worker: Worker) -> dict[str, Any]:
    """What the worker says of its run; waits while it begins."""
    end = time.monotonic() + _BEGINS_S
    while True:
        try:
            connection = connect(worker.folder, patience_s=_BEGINS_S)
            break
        except OSError:
            if not worker.alive:
                raise InvalidSetting("name", f"run {name!r} has just ended; rw.load_run shows it") from None
            if time.monotonic() > end:
                raise _silence(name, worker) from None
            time.sleep(0.05)
    try:
        hello = (connection.receive() or {}).get("hello")
    finally:
        connection.close()
    if hello is None:
        raise _silence(name, worker)
    if hello["protocol"] != PROTOCOL:
        raise InvalidSetting(
            "name", f"run {name!r} was started by another version of reswork; steer it with that one"
        )
    found: dict[str, Any] = hello
    return found


def _silence(name: str, worker: Worker) -> InvalidSetting:
    return InvalidSetting(
        "name",
        f"the process of run {name!r} does not answer; end it by its number, {worker.pid}, and load the run",
    )


def _network(config: ResNetConfig) -> nn.Module:
    """Of this kind; the kernel's random numbers stay as they are."""
    with torch.random.fork_rng(devices=[]):
        return resnet(config)


def _so_far(directory: Path) -> History:
    """What the run's folder says, so that the worker tells the rest only."""
    try:
        history = read_history(directory / METRICS_FILE)
    except (OSError, ValueError):
        return History()
    return history if not any(note.kind == "unreadable_lines" for note in history.notes) else History()
