"""`train`: a run with its recorders and its folder, started in one call."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from torch import nn

from reswork.datasets.dataset import Dataset
from reswork.errors import InvalidSetting
from reswork.experiment.processes import Engine, ProcessRun, ProcessSettings, WhenKernelEnds, process_run
from reswork.history import History
from reswork.recorders import default_recorders
from reswork.store.description import describe, model_label
from reswork.store.directory import check_name, claim_directory, create_run_directory
from reswork.store.writer import RunWriter
from reswork.training.audience import Recorder
from reswork.training.live_run import LiveRun
from reswork.training.progress import TrainingState
from reswork.training.recipe import Recipe
from reswork.training.run import Run


def train(
    model: nn.Module,
    data: Dataset,
    recipe: Recipe | None = None,
    *,
    directory: str | Path | None = None,
    recorders: Sequence[Callable[[History], Recorder]] | None = None,
    name: str | None = None,
    start: bool = True,
    save_every_s: float = 30.0,
    parent: Mapping[str, Any] | None = None,
    state: TrainingState | None = None,
    engine: Engine = "thread",
    when_kernel_ends: WhenKernelEnds = "stop",
) -> LiveRun:
    """Train a network in the background, recorded and saved; returns at once.

    Watch it with ``rw.live(run)`` or ``run.history``, wait with ``run.wait()``. The run's folder is written
    as it goes; where it cannot be written the run goes on, and ``run.history.notes`` says why.

    Args:
        model: any network that takes (N, C, H, W) and gives logits (N, classes); it is trained in place.
        data: what to learn.
        recipe: how; None: the defaults of `Recipe`.
        directory: a new or empty folder for this run; None: a new one under ``runs``.
        recorders: what to record, as factories that take the history, such as ``rw.recorders.losses``;
            None: the default ones.
        name: of the new folder under ``runs``; None: date, time and network.
        start: False gives a run that waits for ``run.start()``.
        save_every_s: seconds between two checkpoints, from which the run can go on after a dead kernel; saving takes
            at most a fiftieth of the time, so those of a huge network come less often.
        parent: of a branch, as `describe` takes it.
        state: begin here instead of at step 0, such as in a branch.
        engine: ``"thread"`` trains in this kernel, any network. ``"process"`` trains a network of `resnet` in a process
            of its own, with its own memory; it takes some seconds to begin, gives the same losses to the last bit, and
            the model gets its final weights when the run is over.
        when_kernel_ends: what a process of its own does when this kernel ends or is restarted: ``"stop"``, after
            saving, or ``"go_on"``; `attach` takes it up again.

    Returns:
        The run; ``run.name`` is its folder's name, for `load_run`.

    Raises:
        InvalidSetting: for a name or folder that cannot be used, or what a process of its own cannot do.
    """
    recipe = Recipe() if recipe is None else recipe
    folder_name = check_name(name) if name is not None else _default_name(model)
    if engine != "thread":
        settings = ProcessSettings(engine, when_kernel_ends, recorders, save_every_s, state)
        apart = _in_process(model, data, recipe, directory, folder_name, parent, settings)
        if start:
            apart.start()
        return apart
    history = History()
    made = default_recorders(history) if recorders is None else [make(history) for make in recorders]
    writer = _writer(describe(model, data, recipe, parent), history, directory, folder_name)
    if writer is not None:
        made = [*made, writer]  # last, so that it finds what the others recorded
        folder_name = writer.directory.name
    run = Run(
        model,
        data,
        recipe,
        history=history,
        recorders=made,
        name=folder_name,
        start=state,
        save_every_s=save_every_s,
    )
    if start:
        run.start()
    return run


def _in_process(
    model: nn.Module,
    data: Dataset,
    recipe: Recipe,
    directory: str | Path | None,
    name: str,
    parent: Mapping[str, Any] | None,
    settings: ProcessSettings,
) -> ProcessRun:
    """The same in a process of its own, waiting for its start."""
    settings.check(model)
    try:
        path = _folder(directory, name)
        return process_run(model, data, recipe, path, describe(model, data, recipe, parent), settings)
    except OSError as error:
        raise InvalidSetting(
            "engine", f"engine='process' needs a folder that can be written, and {error}; use engine='thread'"
        ) from error


def _folder(directory: str | Path | None, name: str) -> Path:
    return claim_directory(directory) if directory is not None else create_run_directory(name=name)


def _writer(
    description: Mapping[str, Any], history: History, directory: str | Path | None, name: str
) -> RunWriter | None:
    """The recorder that saves the run, or None and a note in the history where nothing can be saved."""
    try:
        path = _folder(directory, name)
        return RunWriter(path, history, description)
    except OSError as error:
        history.note(0, "not_saved", directory=str(directory or "runs"), reason=str(error))
        return None


def _default_name(model: nn.Module) -> str:
    label = re.sub(r"[^A-Za-z0-9.]+", "-", model_label(model)).strip("-.").lower()[:40]
    return f"{datetime.now():%Y-%m-%d_%H-%M-%S}_{label or 'net'}"
