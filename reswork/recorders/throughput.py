"""Training images per second."""

import time

from reswork.history import History
from reswork.training.events import (
    CheckpointDue,
    CompilingStarted,
    EpochDone,
    Event,
    RunEnded,
    RunPaused,
    RunStarted,
    StepDone,
)
from reswork.training.recorder import BaseRecorder, Recorder


def throughput(history: History, *, interval_s: float = 0.5) -> Recorder:
    """A recorder of ``images_per_second``, each value over about half a second of training.

    Pauses, evaluations and compiling do not count. On a GPU the steps are counted as they are queued; over some seconds
    that is the same.

    Args:
        history: gets the series.
        interval_s: shortest time that a value stands for.
    """
    return _Throughput(history, interval_s)


class _Throughput(BaseRecorder):
    name = "throughput"
    events = (RunStarted, CompilingStarted, StepDone, CheckpointDue, EpochDone, RunPaused, RunEnded)

    def __init__(self, history: History, interval_s: float) -> None:
        self._history = history
        self._interval_s = interval_s
        self._begin: float | None = None  # of the interval; None: the next step's end begins one
        self._last = 0.0
        self._step = 0
        self._images = 0

    def __call__(self, event: Event) -> None:
        now = time.perf_counter()
        if isinstance(event, StepDone) and self._begin is not None:
            self._last, self._step = now, event.step
            self._images += event.examples
            if now - self._begin >= self._interval_s:
                self._write()
                self._begin = now
        elif isinstance(event, StepDone):
            self._begin = now
        else:
            self._write()
            self._begin = None

    def _write(self) -> None:
        if self._begin is not None and self._images and self._last > self._begin:
            rate = self._images / (self._last - self._begin)
            self._history.record(self._step, {"images_per_second": rate})
        self._images = 0
