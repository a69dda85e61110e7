"""What a recorder costs."""

import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil
from statistics import fmean
from typing import Any, Protocol

import torch

from reswork.training.events import Event
from reswork.training.recorder import BaseRecorder, Listener, as_recorder

_SAMPLES = 16  # measurements that a price is made of


@dataclass(frozen=True)
class Price:
    """What a recorder costs; None while nobody knows.

    Attributes:
        ms: milliseconds of one measurement; with ``every`` = 1 of each step.
        share: of the time of a step without recorders, averaged over the interval: 0.01 is one per cent.
        every: steps between two measurements, now.
    """

    ms: float | None
    share: float | None
    every: int


class Budgeted(Protocol):
    """What a `Budget` is shared by."""

    @property
    def name(self) -> str:
        """For a person."""

    @property
    def spent_s(self) -> float:
        """Seconds in the run's own thread, in all."""

    @property
    def can_be_thinned(self) -> bool:
        """Whether it has an interval."""

    def price(self, step_s: float | None) -> Price:
        """What it costs, where a step without recorders takes so many seconds."""

    def usual_share(self, step_s: float) -> float | None:
        """Its share of a step at its usual interval; None while nobody knows."""

    def stretch(self, factor: float, step_s: float) -> int | None:
        """Make the interval so many times the usual one; gives it in steps, or None where that changes nothing."""


class Timed(BaseRecorder):
    """A recorder with a name, whose time is taken; a run takes it like any other.

    A measurement costs what the recorder spends from one measured step to the next. The first one prepares
    and counts only until there is a second. On CUDA it is the processor's time or the device's own for what
    was queued, whichever is longer; nobody waits for the device.

    Args:
        name: as in the catalogue.
        recorder: a `Recorder`, or a plain callable.
    """

    def __init__(self, name: str, recorder: Listener) -> None:
        self.name = name
        self.spent_s = 0.0  # of the processor, in all
        self._recorder = as_recorder(recorder)
        self.events, self.interval = self._recorder.events, self._recorder.interval
        self._usual_every = self.every
        self._costs: deque[float] = deque(maxlen=_SAMPLES)  # seconds of each measurement that is over
        self._current: tuple[int, float] | None = None  # its step, seconds so far
        self._measurements = 0  # that began
        self._device = _DeviceTime()

    def __call__(self, event: Event) -> None:
        """Hand the event on."""
        begin, mark = time.perf_counter(), self._device.mark(event)
        try:
            self._recorder(event)
        finally:
            seconds = time.perf_counter() - begin
            self.spent_s += seconds
            self._count(event.step, seconds)
            self._device.lap(mark, event)

    def state(self) -> dict[str, Any]:
        """What going on needs: the interval, and what the recorder itself keeps; JSON values and tensors."""
        interval = self.interval.state() if self.interval is not None else None
        return {**self._recorder.state(), "rhythm": interval, "usual_every": self._usual_every}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on as one with this state would have."""
        if self.interval is not None and state["rhythm"] is not None:
            self.interval.restore(state["rhythm"])
            self._usual_every = int(state["usual_every"])
        self._recorder.restore(state)

    @property
    def every(self) -> int:
        """Steps between two measurements; what is set here is also what a budget goes back to."""
        return self.interval.every if self.interval else 1

    @every.setter
    def every(self, steps: int) -> None:
        if self.interval is not None:
            self.interval.every = steps
            self._usual_every = steps

    @property
    def can_be_thinned(self) -> bool:
        """Whether it has an interval."""
        return self.interval is not None

    def stretch(self, factor: float, step_s: float) -> int | None:
        """Measure so many times less often for now; gives the new interval, None for no change."""
        every = ceil(self._usual_every * factor)
        if self.interval is None or every == self.interval.every:
            return None
        self.interval.every = every
        return every

    @property
    def measurement_s(self) -> float | None:
        """Seconds of a usual measurement; None before the first."""
        if self._current is None:
            return None
        host = typical_s(self._costs) if self._costs else self._current[1]
        return max(host, self._device.seconds / self._measurements)

    def price(self, step_s: float | None) -> Price:
        """What it costs, where a step without recorders takes so many seconds."""
        seconds = self.measurement_s
        if seconds is None:
            return Price(None, None, self.every)
        return Price(1e3 * seconds, seconds / self.every / step_s if step_s else None, self.every)

    def usual_share(self, step_s: float) -> float | None:
        """Its share at the usual interval; None before the second measurement, as the first one prepares."""
        seconds = self.measurement_s
        return None if seconds is None or self._measurements < 2 else seconds / self._usual_every / step_s

    def _count(self, step: int, seconds: float) -> None:
        began = self.interval.last if self.interval else step
        if began is None:  # nothing was measured yet
            return
        if self._current is None or self._current[0] != began:
            if self._current is not None and self._measurements > 1:
                self._costs.append(self._current[1])
            self._current = began, 0.0
            self._measurements += 1
        self._current = began, self._current[1] + seconds


def typical_s(seconds: Iterable[float]) -> float:
    """The mean of what measurements took; of four and more without the largest, which may be the machine's doing."""
    ordered = sorted(seconds)
    return fmean(ordered[:-1] if len(ordered) >= 4 else ordered)


class _DeviceTime:
    """Seconds that a CUDA device worked on what a recorder queued; 0 elsewhere."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._laps: deque[tuple[torch.Event, torch.Event]] = deque()

    def mark(self, event: Event) -> torch.Event | None:
        """A mark in the device's queue, where the event has a model on CUDA."""
        model = getattr(event, "model", None)
        weight = next(model.parameters(), None) if model is not None else None
        if weight is None or weight.device.type != "cuda":
            return None
        mark = torch.Event(weight.device, enable_timing=True)
        mark.record()
        return mark

    def lap(self, begin: torch.Event | None, event: Event) -> None:
        """Remember the lap from a mark to here, and add up those that the device has made."""
        end = self.mark(event) if begin is not None else None
        if begin is not None and end is not None:
            self._laps.append((begin, end))
        while self._laps and self._laps[0][1].query():
            first, last = self._laps.popleft()
            self.seconds += first.elapsed_time(last) / 1e3
