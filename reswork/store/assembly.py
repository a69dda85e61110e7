"""`assemble_run`: the one place where a run gets its record, its recorders, its moments and its folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock
from torch import nn

from reswork.datasets.dataset import Dataset
from reswork.history import History
from reswork.recorders import RecorderFactory, default_recorders, made_by
from reswork.recorders.forwarder import introduce
from reswork.recorders.recorder_controls import RunRecorderControls
from reswork.store.moment_keeper import DEFAULT_BYTES, MomentKeeper
from reswork.store.writer import RunWriter
from reswork.tasks import Task
from reswork.training.progress import TrainingState
from reswork.training.recipe import Recipe
from reswork.training.run import Run


def assemble_run(
    model: nn.Module,
    data: Dataset,
    recipe: Recipe,
    description: Mapping[str, Any],
    directory: Path | None,
    *,
    name: str | None = None,
    recorders: Sequence[RecorderFactory] | None = None,
    history: History | None = None,
    moments_bytes: int = DEFAULT_BYTES,
    task: Task | None = None,
    state: TrainingState | None = None,
    save_every_s: float | None = None,
    continued: tuple[FileLock, int] | None = None,
) -> Run:
    """A run that computes in this process and waits for its start; every engine puts its run together here.

    Args:
        model: trained in place.
        data: what it learns from.
        recipe: how.
        description: what `describe` tells about it, for its folder and for the programs that it is sent to.
        directory: the run's folder, which exists; None: nothing is saved, and no moments are kept.
        name: of the run; None: its folder's.
        recorders: factories of its recorders; None: the default ones.
        history: the record so far of one that goes on; None: a new one.
        moments_bytes: disk for the weights of earlier steps; 0: none are kept.
        task: what is learned; None: as the data's targets say.
        state: begin here instead of at step 0; the recorders take back what they had then.
        save_every_s: seconds between two checkpoints; None: as in ``state``, else the usual ones.
        continued: as `RunWriter` takes it, of one that goes on in its own folder.

    Raises:
        InvalidSetting: for settings that cannot be, or a folder that another process writes.
        OSError: if the folder cannot be written.
    """
    transfer = description.get("transfer")
    if history is None:
        history = History()
        if transfer:
            history.note(0, "transferred", sentence=str(transfer.get("sentence", "")))
    name = name or (directory.name if directory is not None else None)
    made = made_by([default_recorders] if recorders is None else recorders, history)
    if name is not None:
        introduce(made, name, description)
    keeper = None
    if directory is not None:
        if moments_bytes:
            keeper = MomentKeeper(directory, history, moments_bytes)
            made.append(keeper)
        made.append(
            RunWriter(directory, history, description, continued=continued)
        )  # last: it finds what others recorded
    run = Run(
        model,
        data,
        recipe,
        history=history,
        recorders=made,
        name=name,
        task=task,
        start=state,
        save_every_s=save_every_s,
    )
    run.directory, run.moments, run.recorder_controls = directory, keeper, RunRecorderControls(run)
    return run
