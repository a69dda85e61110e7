"""`train`: a run with its recorders and its folder, started in one call."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from reswork.datasets.dataset import Dataset
from reswork.errors import InvalidSetting
from reswork.experiment.processes import Engine, ProcessSettings, WhenKernelEnds, check_ranks, process_run
from reswork.recorders import RecorderFactory
from reswork.store.assembly import assemble_run
from reswork.store.description import describe, model_label
from reswork.store.directory import check_name, claim_directory, create_run_directory
from reswork.store.moment_keeper import DEFAULT_BYTES, check_budget
from reswork.tasks import Task
from reswork.training.live_run import LiveRun
from reswork.training.pace import EVERY_S, check_every_s
from reswork.training.progress import TrainingState
from reswork.training.recipe import Recipe


def train(
    model: nn.Module,
    data: Dataset,
    recipe: Recipe | None = None,
    *,
    directory: str | Path | None = None,
    recorders: Sequence[RecorderFactory] | None = None,
    name: str | None = None,
    start: bool = True,
    save_every_s: float = EVERY_S,
    parent: Mapping[str, Any] | None = None,
    state: TrainingState | None = None,
    moments_bytes: int = DEFAULT_BYTES,
    task: Task | None = None,
    engine: Engine = "thread",
    when_kernel_ends: WhenKernelEnds = "stop",
    ranks: int | None = None,
    restarts: int = 0,
    transfer: Mapping[str, Any] | None = None,
) -> LiveRun:
    """Train a network in the background, recorded and saved; returns at once.

    Watch it with ``rw.live(run)`` or ``run.history``, wait with ``run.wait()``. The run's folder is written
    as it goes; where it cannot be written the run goes on, and ``run.history.notes`` says why.

    Args:
        model: any network that takes (N, C, H, W) and gives what the task judges, such as logits (N, classes); it
            is trained in place.
        data: what to learn.
        recipe: how; None: the defaults of `Recipe`.
        directory: a new or empty folder for this run; None: a new one under ``runs``.
        recorders: what to record, as factories that take the history, such as ``rw.recorders.losses``;
            None: the default ones. ``[rw.recorders.default_recorders, rw.recorders.tensorboard("logs")]`` adds one.
        name: of the new folder under ``runs``; None: date, time and network.
        start: False gives a run that waits for ``run.start()``.
        save_every_s: seconds between two checkpoints, from which the run can go on after a dead kernel; saving takes
            at most a fiftieth of the time, so those of a huge network come less often.
        parent: of a branch, as `describe` takes it.
        state: begin here instead of at step 0, such as in a branch.
        moments_bytes: disk for the weights of earlier steps, see `reswork.moments`; 0: none are kept.
        task: what is learned; None: as the data's targets say.
        engine: ``"thread"`` trains in this kernel, any network. ``"process"`` trains a network of `resnet` in a process
            of its own, with its own memory; it takes some seconds to begin, gives the same losses to the last bit, and
            the model gets its final weights when the run is over. ``"torchrun"`` trains it in several such processes,
            each with its part of every batch.
        when_kernel_ends: what a process of its own does when this kernel ends or is restarted: ``"stop"``, after
            saving, or ``"go_on"``; `attach` takes it up again.
        ranks: processes of ``"torchrun"``; None: one for each GPU, at least two.
        restarts: how often they go on from the last checkpoint by themselves where one of them fails or dies.
        transfer: of a network that was trained before, as `describe` takes it; `reswork.fine_tune` gives it.

    Returns:
        The run, steered in the same way wherever it computes; ``run.name`` is its folder's name, for `load_run`.

    Raises:
        InvalidSetting: for a name or folder that cannot be used, or what a process of its own cannot do.
    """
    recipe = Recipe() if recipe is None else recipe
    if not isinstance(model, nn.Module):
        raise InvalidSetting(
            "model", f"model={model!r} is no network; a function that makes one is for rw.train_seeds"
        )
    check_budget(moments_bytes)
    check_every_s(save_every_s)
    folder_name = check_name(name) if name is not None else default_name(model)
    check_ranks(engine, ranks, restarts)
    if engine != "thread":
        settings = ProcessSettings(
            engine,
            when_kernel_ends,
            recorders,
            save_every_s,
            moments_bytes,
            state,
            task=task,
            ranks=ranks,
            restarts=restarts,
        )
        settings.check(model, data, recipe)
    description = describe(model, data, recipe, parent, task, transfer)
    run: LiveRun
    if engine == "thread":
        assembled = partial(
            assemble_run,
            model,
            data,
            recipe,
            description,
            recorders=recorders,
            moments_bytes=moments_bytes,
            task=task,
            state=state,
            save_every_s=save_every_s,
        )
        try:
            run = assembled(_folder(directory, folder_name))
        except OSError as error:
            run = assembled(None, name=folder_name)
            run.history.note(0, "not_saved", directory=str(directory or "runs"), reason=str(error))
    else:
        try:
            path = _folder(directory, folder_name)
            run = process_run(model, data, recipe, path, description, settings)
        except OSError as error:
            raise InvalidSetting(
                "engine",
                f"engine={engine!r} needs a folder that can be written, and {error}; use engine='thread'",
            ) from error
    if start:
        run.start()
    return run


def _folder(directory: str | Path | None, name: str) -> Path:
    return claim_directory(directory) if directory is not None else create_run_directory(name=name)


def default_name(model: nn.Module) -> str:
    """Date, time and network."""
    label = re.sub(r"[^A-Za-z0-9.]+", "-", model_label(model)).strip("-.").lower()[:40]
    return f"{datetime.now():%Y-%m-%d_%H-%M-%S}_{label or 'net'}"
