"""`train`: a run with its recorders and its folder, started in one call."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal, overload

from torch import nn

from reswork.datasets.dataset import Dataset
from reswork.errors import InvalidSetting
from reswork.experiment.processes import Engine, ProcessRun, ProcessSettings, WhenKernelEnds, process_run
from reswork.experiment.seed_runs import SeedRuns, fresh_network, seeds_from
from reswork.recorders import RecorderFactory
from reswork.store.assembly import assemble_run
from reswork.store.description import describe, model_label
from reswork.store.directory import check_name, claim_directory, create_run_directory
from reswork.store.moment_keeper import DEFAULT_BYTES, check_budget
from reswork.training.live_run import LiveRun
from reswork.training.progress import TrainingState
from reswork.training.recipe import Recipe
from reswork.training.run import Run
from reswork.training.save_points import EVERY_S, check_every_s


@overload
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
    engine: Literal["thread"] = "thread",
) -> Run: ...


@overload
def train(
    model: nn.Module, data: Dataset, recipe: Recipe | None = None, *, engine: Engine, **options: Any
) -> Run | ProcessRun: ...


@overload
def train(
    model: nn.Module | Callable[[], nn.Module],
    data: Dataset,
    recipe: Recipe | None = None,
    *,
    seeds: int,
    **options: Any,
) -> SeedRuns: ...


def train(  # type: ignore[misc]  # options that do not go together are refused with a sentence
    model: nn.Module | Callable[[], nn.Module],
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
    engine: Engine = "thread",
    when_kernel_ends: WhenKernelEnds = "stop",
    seeds: int | None = None,
) -> Run | ProcessRun | SeedRuns:
    """Train a network in the background, recorded and saved; returns at once.

    Watch it with ``rw.live(run)`` or ``run.history``, wait with ``run.wait()``. The run's folder is written
    as it goes; where it cannot be written the run goes on, and ``run.history.notes`` says why.

    Args:
        model: any network that takes (N, C, H, W) and gives logits (N, classes); it is trained in place. With
            ``seeds``: a network from `resnet`, whose settings are used and not its weights, or a function that
            makes a new network.
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
        seeds: so many runs, one after another, each with new weights and a seed of its own: the recipe's seed
            and those that follow it. ``name`` gets ``-seed-0`` and so on; ``directory`` holds one folder each.
        engine: ``"thread"`` trains in this kernel, any network. ``"process"`` trains a network of `resnet` in a process
            of its own, with its own memory; it takes some seconds to begin, gives the same losses to the last bit, and
            the model gets its final weights when the run is over.
        when_kernel_ends: what a process of its own does when this kernel ends or is restarted: ``"stop"``, after
            saving, or ``"go_on"``; `attach` takes it up again.

    Returns:
        The run; ``run.name`` is its folder's name, for `load_run`. With ``seeds``: all of them, as `SeedRuns`.

    Raises:
        InvalidSetting: for a name or folder that cannot be used, ``seeds`` with a network that cannot be made
            anew, or what a process of its own cannot do.
    """
    recipe = Recipe() if recipe is None else recipe
    if seeds is not None:
        if parent is not None or state is not None:
            raise InvalidSetting("seeds", "a branch goes on from one run's weights; train it without seeds=")
        place = {"directory": directory, "name": name}
        options = {
            "recorders": recorders,
            "save_every_s": save_every_s,
            "moments_bytes": moments_bytes,
            "engine": engine,
            "when_kernel_ends": when_kernel_ends,
        }
        return _seed_runs(model, data, recipe, seeds, place, options, start=start)
    if not isinstance(model, nn.Module):
        raise InvalidSetting(
            "model", f"model={model!r} is no network; a function that makes one needs seeds="
        )
    check_budget(moments_bytes)
    check_every_s(save_every_s)
    folder_name = check_name(name) if name is not None else _default_name(model)
    if engine != "thread":
        settings = ProcessSettings(engine, when_kernel_ends, recorders, save_every_s, moments_bytes, state)
        apart = _in_process(model, data, recipe, directory, folder_name, parent, settings)
        if start:
            apart.start()
        return apart
    assembled = partial(
        assemble_run,
        model,
        data,
        recipe,
        describe(model, data, recipe, parent),
        recorders=recorders,
        moments_bytes=moments_bytes,
        state=state,
        save_every_s=save_every_s,
    )
    try:
        run = assembled(_folder(directory, folder_name))
    except OSError as error:
        run = assembled(None, name=folder_name)
        run.history.note(0, "not_saved", directory=str(directory or "runs"), reason=str(error))
    if start:
        run.start()
    return run


def _seed_runs(
    model: nn.Module | Callable[[], nn.Module],
    data: Dataset,
    recipe: Recipe,
    count: int,
    place: dict[str, Any],
    options: dict[str, Any],
    *,
    start: bool,
) -> SeedRuns:
    """Runs that differ only in their seeds, made one after another by `train` itself."""
    seeds = seeds_from(recipe.seed, count)
    first = fresh_network(model, seeds[0])
    name = check_name(place["name"]) if place["name"] is not None else _default_name(first)
    folder = place["directory"]

    def make(seed: int) -> LiveRun:
        network = first if seed == seeds[0] else fresh_network(model, seed)
        where = (
            {"name": f"{name}-seed-{seed}"}
            if folder is None
            else {"directory": Path(folder) / f"seed-{seed}"}
        )
        return train(network, data, replace(recipe, seed=seed), start=False, **where, **options)

    runs = SeedRuns(make, seeds, name)
    if start:
        runs.start()
    return runs


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


def _default_name(model: nn.Module) -> str:
    label = re.sub(r"[^A-Za-z0-9.]+", "-", model_label(model)).strip("-.").lower()[:40]
    return f"{datetime.now():%Y-%m-%d_%H-%M-%S}_{label or 'net'}"
