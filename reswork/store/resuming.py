"""Going on with a run from disk, as if it had never stopped."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from reswork.datasets.dataset import Dataset
from reswork.errors import InvalidSetting
from reswork.history import History
from reswork.models.network import resnet
from reswork.recorders import (
    CATALOGUE,
    SENDERS,
    Budget,
    Listener,
    Recorder,
    RecorderFactory,
    default_recorders,
    timed,
)
from reswork.store.assembly import assemble_run
from reswork.store.atomic_files import read_json
from reswork.store.checkpoints import Checkpoints, RunCheckpoint
from reswork.store.directory import METRICS_FILE, RUN_FILE, taken_lock
from reswork.store.moment_keeper import DEFAULT_BYTES
from reswork.store.replay import read_history
from reswork.store.saved_run import SavedRun, load_run
from reswork.tasks import Task, task_of_kind
from reswork.training.progress import TrainingState, check_tensors
from reswork.training.run import Run

_MOST_BYTES = 16 * 1024**2


def resume(
    saved: SavedRun,
    *,
    model: nn.Module | None = None,
    data: Dataset | None = None,
    step: int | None = None,
    recorders: Sequence[RecorderFactory] = (),
    task: Task | None = None,
    start: bool = True,
) -> Run:
    """Go on with a run that was stopped, interrupted or failed, in its own folder.

    On the same machine, with as many threads, what follows is equal to the last bit to what the run would have
    done: weights, optimizer, schedule, averages, random numbers, the order of the images, the recorded series. The
    history notes ``resumed``, and ``fell_back`` where the newest checkpoint was damaged. What the run recorded after
    the checkpoint is cut off and recorded again.

    Args:
        saved: from `load_run` or `runs`.
        model: needed where the network was not built here; its weights are replaced.
        data: needed where the data set is not a built-in one.
        step: go on from the newest checkpoint at or before this step; None: the newest.
        recorders: factories of more recorders than those that it had. A run that was sent to TensorBoard or MLflow is
            sent on where they are given again, such as ``[rw.recorders.tensorboard("logs")]``: where to send to is
            not taken from a folder that somebody else may have made. Else the history notes ``not_sent``.
        task: needed where reswork does not have it.
        start: False gives a run that waits for ``run.start()``.

    Raises:
        InvalidSetting: if it is finished, goes on already, left no checkpoint, or model or data are other ones.
        OSError: if its folder cannot be written.
    """
    if saved.unreadable is not None:
        raise InvalidSetting("run", f"run {saved.name!r} cannot be read: {saved.unreadable}")
    data = saved.check_data(data) if data is not None else saved.load_data()
    lock = taken_lock(saved.directory)  # nobody else writes from here on
    try:
        saved = load_run(saved.directory)
        if saved.state.name == "FINISHED":
            raise InvalidSetting(
                "run",
                f"run {saved.name!r} made all its {saved.total_steps:,} steps; train a new one for more",
            )
        task = task if task is not None else task_of_kind(saved.task_kind)
        checkpoint, state, problems = Checkpoints(saved.directory).newest(step)
        model = model if model is not None else _network(saved, state)
        history = read_history(saved.directory / METRICS_FILE, checkpoint.metrics_bytes)
        description = read_json(saved.directory / RUN_FILE, _MOST_BYTES)
        run = assemble_run(
            model,
            data,
            saved.recipe,
            description,
            saved.directory,
            recorders=[partial(_recorders, state), *recorders],
            history=history,
            # the keeper takes its budget back from the state
            moments_bytes=DEFAULT_BYTES if "moments" in state.values.get("recorders", {}) else 0,
            task=task,
            state=state,
            continued=(lock, checkpoint.metrics_bytes),
        )
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        lock.release()
        if isinstance(error, InvalidSetting):
            raise
        raise InvalidSetting(
            "run", f"run {saved.name!r} cannot go on: {error}"
        ) from error  # changed by others
    except BaseException:
        lock.release()
        raise
    _tell(history, checkpoint, problems, state, run.recorders)
    if start:
        run.start()
    return run


def _network(saved: SavedRun, state: TrainingState) -> nn.Module:
    if saved.config is None:
        raise InvalidSetting(
            "model",
            f"run {saved.name!r} trained {saved.model_label}, which was not built here; build it as before and hand "
            "it over as model=",
        )
    with torch.device("meta"):  # settings from a file may ask for more memory than there is
        check_tensors(resnet(saved.config), state.part("model"), f"the weights of step {state.step:,}")
    return resnet(saved.config)


def _recorders(state: TrainingState, history: History) -> list[Recorder]:
    """Those that the run had when it was saved, as far as the catalogue has them."""
    kept: Mapping[str, Any] = state.values.get("recorders", {})
    if not isinstance(kept, Mapping):
        raise InvalidSetting(
            "step", f"the recorders of step {state.step:,} are no settings; go on from another step"
        )
    if not kept:
        return default_recorders(history)
    chosen = [timed(kind.name, history) for kind in CATALOGUE if kind.name in kept]
    return [*chosen, Budget(history, chosen)] if "budget" in kept else [*chosen]


def _tell(
    history: History,
    checkpoint: RunCheckpoint,
    problems: tuple[str, ...],
    state: TrainingState,
    recorders: Sequence[Listener],
) -> None:
    """Note where it goes on, and each program that the run was sent to and is not any more, or is again."""
    step = checkpoint.step
    history.note(step, "resumed", checkpoint=checkpoint.path.name)
    if problems:
        history.note(step, "fell_back", reason="; ".join(problems))
    names = {each.name for each in recorders if isinstance(each, Recorder)}
    unsent = {note.details.get("recorder") for note in history.notes if note.kind == "not_sent"}
    for program in SENDERS:
        if program in names and program in unsent:
            history.note(step, "sent_again", recorder=program)
        elif program in state.values.get("recorders", {}) and program not in names:
            reason = f"resume(recorders=[rw.recorders.{program}(...)]) goes on sending"
            history.note(step, "not_sent", recorder=program, reason=reason)
