"""Those who listen to a run: each recorder gets what it asked for, and one that fails is taken off."""

import logging
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any

from torch import Tensor

from reswork.history import History
from reswork.training.events import Event
from reswork.training.progress import TrainingState
from reswork.training.recorder import EVENTS, Listener, Recorder, as_recorder

_log = logging.getLogger(__name__)


class RecorderSet:
    """The recorders of a run; they may come and go while it tells.

    Each is a `Recorder`, or a plain callable, which is told every event.

    Args:
        history: where the failure of a recorder is noted.
        lock: held while somebody comes or goes; reentrant.
        recorders: the first ones.
    """

    def __init__(
        self, history: History, lock: AbstractContextManager[object], recorders: Iterable[Listener] = ()
    ) -> None:
        self._history = history
        self._lock = lock
        self._seats: tuple[tuple[Listener, Recorder], ...] = ()  # as it was given, as it is called
        self._listeners: dict[type[Event], tuple[Recorder, ...]] = {}
        self._seat(tuple((each, as_recorder(each)) for each in recorders))

    @property
    def recorders(self) -> tuple[Listener, ...]:
        """Those who listen now, as they were given."""
        return tuple(given for given, _ in self._seats)

    def add(self, recorder: Listener) -> None:
        """From the next event on.

        Raises:
            InvalidSetting: for what is no recorder and no callable.
        """
        new = recorder, as_recorder(recorder)
        with self._lock:
            self._seat((*self._seats, new))

    def remove(self, recorder: Listener) -> None:
        """One that is not there is no error."""
        with self._lock:
            self._seat(
                tuple(seat for seat in self._seats if recorder is not seat[0] and recorder is not seat[1])
            )

    def awaits(self, kind: type[Event]) -> bool:
        """Whether anyone wants events of this class."""
        return bool(self._listeners[kind])

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """What the recorders that keep something would go on with.

        Returns:
            Tensors as ``recorder/<name>/<key>``, and for each name its JSON values.
        """
        tensors: dict[str, Tensor] = {}
        values: dict[str, Any] = {}
        for _, recorder in self._seats:
            name, kept = recorder.name, recorder.state()
            if not kept:
                continue
            values[name] = {key: value for key, value in kept.items() if not isinstance(value, Tensor)}
            tensors |= {
                f"recorder/{name}/{key}": value for key, value in kept.items() if isinstance(value, Tensor)
            }
        return tensors, values

    def restore(self, state: TrainingState) -> None:
        """Let the recorders go on with what those of the same name had; one that cannot is taken off."""
        kept = state.values.get("recorders", {})
        for _, recorder in self._seats:
            if recorder.name in kept:
                try:
                    recorder.restore({**kept[recorder.name], **state.part(f"recorder/{recorder.name}")})
                except Exception as error:
                    self._dismiss(recorder, state.step, error)

    def tell(self, event: Event) -> None:
        """Call everyone who wants it; an exception costs a recorder its seat, not the run its life."""
        for recorder in self._listeners[type(event)]:
            try:
                recorder(event)
            except Exception as error:
                self._dismiss(recorder, event.step, error)

    def _dismiss(self, recorder: Recorder, step: int, error: Exception) -> None:
        self.remove(recorder)
        text = f"{type(error).__name__}: {error}"
        self._history.note(step, "recorder removed", recorder=recorder.name, error=text)
        _log.warning("The recorder %s failed at step %d and was taken off: %s", recorder.name, step, text)

    def _seat(self, seats: tuple[tuple[Listener, Recorder], ...]) -> None:
        self._seats = seats
        self._listeners = {kind: tuple(each for _, each in seats if kind in each.events) for kind in EVENTS}
