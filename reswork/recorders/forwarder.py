"""Sending a run's record to another program while it grows, such as TensorBoard.

A thread of its own sends, so that a slow server delays no step and a dead one stops no training.
"""

import importlib.util
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from reswork.errors import InvalidSetting
from reswork.history import History
from reswork.training.events import (
    EpochDone,
    Event,
    RunEnded,
    RunPaused,
    RunStarted,
    SettingChanged,
    StepDone,
)
from reswork.training.recorder import BaseRecorder

Point = tuple[str, int, float]  # name of the series, step, value

_MOST_WAITING = 2_000  # parts; an hour and more
_RETRY_S = 5.0


class Receiver(Protocol):
    """A program that takes a run's record; every call comes from one thread, and may fail."""

    def open(self, name: str, settings: Mapping[str, str], step: int | None) -> None:
        """Begin a run of this name, or go on with it: values of this step and later ones are sent again.

        Called again if it failed.
        """

    def take(self, points: Sequence[Point]) -> None:
        """Take new values."""

    def close(self, state: str) -> None:
        """End the run as ``FINISHED``, ``STOPPED`` or ``FAILED``."""

    def state(self) -> dict[str, Any]:
        """What it needs to go on with the same run later, as JSON values."""

    def restore(self, kept: Mapping[str, Any]) -> None:
        """Take that back, before it is opened; the values come from a file, and may be anything."""


@dataclass(frozen=True, eq=False)
class Forwarder:
    """A factory of recorders that send a run's record to one kind of program.

    Args:
        label: of the program, for people.
        options: what it was made with, as JSON values.
        receiver: makes what takes the record.
    """

    label: str
    options: Mapping[str, Any]
    receiver: Callable[[], Receiver]

    def __call__(self, history: History) -> "Forwarding":
        """The recorder for one run."""
        return Forwarding(self.label, history, self.receiver())


class Forwarding(BaseRecorder):
    """A recorder that sends what is new in the history, every two seconds and at the end.

    Put it behind the recorders whose series it shall send. What cannot be sent waits and is tried again;
    the history gets a note ``not_sent`` with the reason, and ``sent_again`` when it went through. At the end of a
    run it waits so many seconds for the rest, and then gives up. In a run that goes on after a checkpoint it sends
    again what might not have arrived by then.

    Args:
        label: of the receiver, for people.
        history: of the run.
        receiver: takes the record.
        interval_s: seconds between two parts.
        patience_s: seconds that the end of a run may be held up.
    """

    events = (RunStarted, SettingChanged, StepDone, EpochDone, RunPaused, RunEnded)

    def __init__(
        self,
        label: str,
        history: History,
        receiver: Receiver,
        *,
        interval_s: float = 2.0,
        patience_s: float = 10.0,
    ) -> None:
        self.name = label  # under which a checkpoint has how far it came
        self._history = history
        self._interval_s, self._patience_s = interval_s, patience_s
        self._due = 0.0
        self._again: int | None = None  # the step from which on a run that goes on is sent again
        self._handed: dict[str, tuple[int, int]] = {}  # series or group -> last step, how many points have it
        self._receiver = receiver
        self._sender = _Sender(receiver)
        self._told: str | None = None
        self._run_name, self._settings = "run", dict[str, str]()

    def introduce(self, name: str, description: Mapping[str, Any]) -> None:
        """The run's name and what is known about it; before it starts."""
        self._run_name = name
        self._settings |= dict(_flat(description))

    def state(self) -> dict[str, Any]:
        """How far it came, and what the receiver needs to go on."""
        return {"step": self._sender.arrived, "receiver": self._receiver.state()}

    def restore(self, kept: Mapping[str, Any]) -> None:
        """Go on from there."""
        self._receiver.restore(kept["receiver"])
        self._again = self._sender.arrived = int(kept["step"])

    def __call__(self, event: Event) -> None:
        """Take one event; hands on what is new if it is due."""
        if isinstance(event, RunStarted):
            facts = {"device": event.device, "mode": event.mode, "total_steps": str(event.total_steps)}
            self._sender.start(self._run_name, self._settings | facts, self._again)
        if isinstance(event, RunEnded):
            self._hand_over(event.step)
            self._sender.finish(event.state.name, self._patience_s)
        elif not isinstance(event, StepDone) or time.monotonic() >= self._due:
            self._hand_over(event.step)
            self._due = time.monotonic() + self._interval_s
        self._tell(event.step)

    def _tell(self, step: int) -> None:
        problem = self._sender.problem
        if problem is not None and self._told is None:
            self._history.note(step, "not_sent", recorder=self.name, reason=problem)
        elif problem is None and self._told is not None:
            self._history.note(step, "sent_again", recorder=self.name)
        self._told = problem

    def _hand_over(self, step: int) -> None:
        """Whatever is new, after so many steps; of this step more may come."""
        points = [*self._new_of_series(), *self._new_of_groups()]
        if points:
            self._sender.put(points, step)

    def _new_of_series(self) -> Iterator[Point]:
        for name in self._history.names:
            start, seen = self._handed.get(name, (self._again or 0, 0))
            series = self._history.series(name, start=start)
            steps = series.steps.tolist()
            self._handed[name] = _end(steps) or (start, seen)
            for step, value in zip(steps[seen:], series.values[seen:].tolist(), strict=True):
                yield name, step, value

    def _new_of_groups(self) -> Iterator[Point]:
        for group in self._history.groups:
            start, seen = self._handed.get(f"{group}/", (self._again or 0, 0))
            vectors = self._history.vectors(group, start=start)
            steps = vectors.steps.tolist()
            self._handed[f"{group}/"] = _end(steps) or (start, seen)
            for step, row in zip(steps[seen:], vectors.values[seen:].tolist(), strict=True):
                for label, value in zip(vectors.labels, row, strict=True):
                    yield f"{group}/{label}", step, value


class _Sender:
    """The thread that sends, and the parts that wait for it."""

    def __init__(self, receiver: Receiver) -> None:
        self.problem: str | None = None  # why the last part could not be sent
        self.arrived = 0  # everything before this step is there
        self._receiver = receiver
        self._waiting: queue.Queue[Callable[[], None] | None] = queue.Queue(_MOST_WAITING)
        self._hurry = threading.Event()  # no more waiting between two attempts
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, name: str, settings: Mapping[str, str], step: int | None) -> None:
        if self._thread is None:
            self._waiting.put(lambda: self._receiver.open(name, settings, step))
            self._thread = threading.Thread(target=self._work, name="reswork-forwarding", daemon=True)
            self._thread.start()

    def put(self, points: Sequence[Point], step: int) -> None:
        def send() -> None:
            self._receiver.take(points)
            self.arrived = step

        self._add(send)

    def finish(self, state: str, patience_s: float) -> None:
        if self._thread is None:  # it never began
            return
        self._add(lambda: self._receiver.close(state))
        self._add(None)
        self._hurry.set()
        if not self._over.wait(patience_s):
            self.problem = self.problem or f"it did not answer for {patience_s:g} seconds"

    def _add(self, job: Callable[[], None] | None) -> None:
        try:
            self._waiting.put_nowait(job)
        except queue.Full:
            self.problem = f"it did not answer for so long that values were left out; before: {self.problem}"

    def _work(self) -> None:
        while (job := self._waiting.get()) is not None:
            while not self._sent(job):
                if self._hurry.is_set():  # the run is over and it does not answer: give up
                    self._over.set()
                    return
                self._hurry.wait(_RETRY_S)
        self._over.set()

    def _sent(self, job: Callable[[], None]) -> bool:
        try:
            job()
        except Exception as error:  # whatever somebody else's program and network raise
            self.problem = f"{type(error).__name__}: {str(error).strip()[:300]}"
            return False
        self.problem = None
        return True


def introduce(recorders: Iterable[object], name: str, description: Mapping[str, Any]) -> None:
    """Tell those that send a run's record which run it is."""
    for each in recorders:
        if isinstance(each, Forwarding):
            each.introduce(name, description)


def check_installed(package: str, label: str, extra: str) -> None:
    """Refuse what is not installed, in one sentence.

    Raises:
        InvalidSetting: if there is no such package.
    """
    if importlib.util.find_spec(package) is None:
        raise InvalidSetting(
            "recorders",
            f"{label} is not installed; pip install 'reswork[{extra}]', or leave this recorder out",
        )


def _end(steps: list[int]) -> tuple[int, int] | None:
    return (steps[-1], steps.count(steps[-1])) if steps else None


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """``{"recipe": {"seed": 0}}`` as ``recipe.seed`` and ``"0"``."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", str(value)
