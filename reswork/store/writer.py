"""`RunWriter`: the recorder that writes a run's folder as the run goes on."""

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock
from torch import nn

from reswork.history import History
from reswork.store.atomic_files import sweep, write_json, write_tensors
from reswork.store.checkpoints import Checkpoints
from reswork.store.description import weights_of
from reswork.store.directory import METRICS_FILE, RUN_FILE, WEIGHTS_FILE, taken_lock
from reswork.store.metrics_log import MetricsLog
from reswork.tasks import CLASSIFICATION, metrics_of
from reswork.training.events import (
    CheckpointDue,
    CompilingDone,
    CompilingStarted,
    EpochDone,
    Event,
    RunEnded,
    RunPaused,
    RunStarted,
    StepDone,
)
from reswork.training.recorder import BaseRecorder

_RETRY_S = 5.0


class RunWriter(BaseRecorder):
    """Writes settings, metrics, checkpoints and final weights of one run into its folder; call it with every event.

    At most `interval_s` of metrics are lost when the process dies. A disk that cannot be written stops no
    run: the history gets a note ``not_saved`` with the reason, and the writer tries again every five
    seconds; when it succeeds, nothing is missing, and a note ``saved_again`` says so. A checkpoint that cannot
    be made is noted as ``no_checkpoint``, and the next one is tried when it is due.

    Args:
        directory: an empty folder, from `create_run_directory`.
        history: the run's record; what is new in it is appended to ``metrics.jsonl``.
        description: what `describe` tells about the run.
        interval_s: seconds between two writes of the metrics.
        continued: the lock of the folder, held, and how many bytes of its metrics hold the history, where a run
            goes on; None for a new run.

    Raises:
        InvalidSetting: if another process writes this folder.
        OSError: if the folder cannot be written at all.
    """

    events = (
        RunStarted,
        CompilingStarted,
        CompilingDone,
        StepDone,
        EpochDone,
        CheckpointDue,
        RunPaused,
        RunEnded,
    )  # what it wants to be called for

    def __init__(
        self,
        directory: Path,
        history: History,
        description: Mapping[str, Any],
        *,
        interval_s: float = 0.5,
        continued: tuple[FileLock, int] | None = None,
    ) -> None:
        self.directory = directory
        self.error: OSError | None = None  # why the last write failed
        self.checkpoint_error: str | None = None  # why the last checkpoint could not be made
        self._history = history
        self._lock, size = continued or (taken_lock(directory), 0)
        self._log = MetricsLog(directory / METRICS_FILE, history, size)
        self._checkpoints = Checkpoints(directory)
        self._values: dict[str, Any] = {
            **description,
            "name": directory.name,
            "state": "READY",
            "error": None,
        }
        self._interval_s = interval_s
        self._due = 0.0
        self._changed = True
        self._model: nn.Module | None = None
        self._step = 0
        self._metric = next(
            iter(metrics_of(str(description.get("task", CLASSIFICATION)))), None
        )  # the headline
        self._checkpoints.sweep()
        sweep(directory)
        write_json(directory / RUN_FILE, self._values)

    def __call__(self, event: Event) -> None:
        """Take one event; writes if it is due."""
        self._follow(event)
        if isinstance(event, RunEnded):
            self._write(ended=True)
            self._model = None
            self._lock.release()
        elif isinstance(event, CheckpointDue):
            self._write_checkpoint(event)
        elif not isinstance(event, StepDone) or time.monotonic() >= self._due:
            self._write(ended=False)

    def _follow(self, event: Event) -> None:
        self._step = event.step
        match event:
            case RunStarted():
                self._metric = event.task.metrics[0]
                self._set(
                    state="RUNNING", mode=event.mode, device=event.device, total_steps=event.total_steps
                )
                self._set(steps_per_epoch=event.steps_per_epoch)
            case CompilingDone():
                self._set(mode=event.mode)
            case StepDone() if self._values["state"] != "RUNNING":
                self._set(state="RUNNING")
            case RunPaused():
                self._set(state="PAUSED", progress=self._progress(event.step))
            case EpochDone():
                self._set(progress=self._progress(event.step))
            case RunEnded():
                error = event.error
                told = None if error is None else {"type": type(error).__name__, "message": str(error)}
                self._set(state=event.state.name, error=told, progress=self._progress(event.step))
        if isinstance(event, RunStarted | StepDone | EpochDone):
            self._model = event.model

    def _set(self, **values: object) -> None:
        self._values.update(values)
        self._changed = True

    def _progress(self, step: int) -> dict[str, Any]:
        score = [] if self._metric is None else [self._metric.test]
        names = ("epoch", "loss/test", *score, "images_per_second")
        numbers = {name: self._history.last(name) for name in names}
        return {"step": step} | {
            name: value for name, value in numbers.items() if value is not None and abs(value) < float("inf")
        }

    def _write(self, *, ended: bool) -> None:
        now = time.monotonic()
        if self.error is not None and now < self._due and not ended:
            return
        before = self.error
        failed: list[OSError] = []
        with _kept_in(failed):
            self._log.flush()
        if self._changed:
            with _kept_in(failed):
                write_json(self.directory / RUN_FILE, self._values)
                self._changed = False
        if ended and self._model is not None:
            with _kept_in(failed):
                write_tensors(self.directory / WEIGHTS_FILE, weights_of(self._model), {"format": "pt"})
        self.error = failed[-1] if failed else None
        folder = str(self.directory)
        if self.error is not None and before is None:
            self._history.note(self._step, "not_saved", directory=folder, reason=str(self.error))
        elif self.error is None and before is not None:
            self._history.note(self._step, "saved_again", directory=folder)
        self._due = now + (self._interval_s if self.error is None else _RETRY_S)

    def _write_checkpoint(self, event: CheckpointDue) -> None:
        """Metrics first: a checkpoint belongs to what is on the disk by then."""
        problem = None
        try:
            self._log.flush(to_disk=True)
            assert self._metric is not None
            last = self._history.series(self._metric.test)
            evaluated = len(last) > 0 and int(last.steps[-1]) == event.step
            score = float(last.values[-1]) if evaluated and math.isfinite(last.values[-1]) else None
            self._checkpoints.save(
                event.state(),
                score=score,
                metrics_bytes=self._log.size,
                higher_is_better=self._metric.higher_is_better,
            )
        except Exception as error:  # whatever it is, the training goes on, and the metrics are written
            problem = str(error) or type(error).__name__
        if problem is not None and self.checkpoint_error is None:
            self._history.note(event.step, "no_checkpoint", directory=str(self.directory), reason=problem)
        elif problem is None and self.checkpoint_error is not None:
            self._history.note(event.step, "checkpoint_again", directory=str(self.directory))
        self.checkpoint_error = problem


@contextmanager
def _kept_in(failed: list[OSError]) -> Iterator[None]:
    """Go on where something cannot be written, and remember why."""
    try:
        yield
    except OSError as error:
        failed.append(error)
