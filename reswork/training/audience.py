"""Those who listen to a run: each recorder gets what it asked for, and one that fails is taken off."""

import logging
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager

from reswork.history import History
from reswork.training.events import (
    BatchReady,
    EpochDone,
    Event,
    GradientsReady,
    RunEnded,
    RunPaused,
    RunStarted,
    SettingChanged,
    StepDone,
)

Recorder = Callable[[Event], object]

_KINDS = (
    RunStarted,
    SettingChanged,
    BatchReady,
    GradientsReady,
    StepDone,
    EpochDone,
    RunPaused,
    RunEnded,
)
_log = logging.getLogger(__name__)


class Audience:
    """The recorders of a run; they may come and go while it tells.

    A recorder is a callable that takes an event. With an attribute ``events``, a tuple of event classes, it
    is called for those only; without, for all of them.

    Args:
        history: where the failure of a recorder is noted.
        lock: held while somebody comes or goes; reentrant.
        recorders: the first ones.
    """

    def __init__(
        self, history: History, lock: AbstractContextManager[object], recorders: Iterable[Recorder] = ()
    ) -> None:
        self._history = history
        self._lock = lock
        self._recorders: tuple[Recorder, ...] = ()
        self._listeners: dict[type, tuple[Recorder, ...]] = {}
        self._seat(tuple(recorders))

    @property
    def recorders(self) -> tuple[Recorder, ...]:
        """Those who listen now."""
        return self._recorders

    def add(self, recorder: Recorder) -> None:
        """From the next event on."""
        with self._lock:
            self._seat((*self._recorders, recorder))

    def remove(self, recorder: Recorder) -> None:
        """One that is not there is no error."""
        with self._lock:
            self._seat(tuple(each for each in self._recorders if each is not recorder))

    def awaits(self, kind: type) -> bool:
        """Whether anyone wants events of this class."""
        return bool(self._listeners[kind])

    def tell(self, event: Event) -> None:
        """Call everyone who wants it; an exception costs a recorder its seat, not the run its life."""
        for recorder in self._listeners[type(event)]:
            try:
                recorder(event)
            except Exception as error:
                self._dismiss(recorder, event.step, error)

    def _dismiss(self, recorder: Recorder, step: int, error: Exception) -> None:
        self.remove(recorder)
        name = getattr(recorder, "__qualname__", type(recorder).__qualname__)
        text = f"{type(error).__name__}: {error}"
        self._history.note(step, "recorder removed", recorder=name, error=text)
        _log.warning("The recorder %s failed at step %d and was taken off: %s", name, step, text)

    def _seat(self, recorders: tuple[Recorder, ...]) -> None:
        self._recorders = recorders
        self._listeners = {
            kind: tuple(each for each in recorders if kind in getattr(each, "events", _KINDS))
            for kind in _KINDS
        }
