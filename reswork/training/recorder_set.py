"""Those who listen to a run: each recorder gets what it asked for, and one that fails is taken off."""

import logging
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any

from torch import Tensor

from reswork.history import History
from reswork.training.events import (
    BatchReady,
    CheckpointDue,
    EpochDone,
    EvaluationStopped,
    Event,
    GradientsReady,
    RunEnded,
    RunPaused,
    RunStarted,
    SettingChanged,
    StepDone,
)
from reswork.training.progress import TrainingState

Recorder = Callable[[Event], object]

_KINDS = (
    RunStarted,
    SettingChanged,
    BatchReady,
    GradientsReady,
    StepDone,
    EpochDone,
    EvaluationStopped,
    CheckpointDue,
    RunPaused,
    RunEnded,
)
_log = logging.getLogger(__name__)


class RecorderSet:
    """The recorders of a run; they may come and go while it tells.

    A recorder is a callable that takes an event. With an attribute ``events``, a tuple of event classes, it
    is called for those only; without, for all of them. One that keeps something between two measurements has a
    ``name``, ``state()``, which gives it as JSON values and tensors, and ``restore(...)``, which takes it back.

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

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """What the recorders that have a name and a ``state`` would go on with.

        Returns:
            Tensors as ``recorder/<name>/<key>``, and for each name its JSON values.
        """
        tensors: dict[str, Tensor] = {}
        values: dict[str, Any] = {}
        for name, recorder in self._lasting():
            kept = recorder.state()
            values[name] = {key: value for key, value in kept.items() if not isinstance(value, Tensor)}
            tensors |= {
                f"recorder/{name}/{key}": value for key, value in kept.items() if isinstance(value, Tensor)
            }
        return tensors, values

    def restore(self, state: TrainingState) -> None:
        """Let the recorders go on with what those of the same name had; one that cannot is taken off."""
        kept = state.values.get("recorders", {})
        for name, recorder in self._lasting():
            if name in kept:
                try:
                    recorder.restore({**kept[name], **state.part(f"recorder/{name}")})
                except Exception as error:
                    self._dismiss(recorder, state.step, error)

    def _lasting(self) -> list[tuple[str, Any]]:
        return [
            (recorder.name, recorder)
            for recorder in self._recorders
            if hasattr(recorder, "name") and hasattr(recorder, "state")
        ]

    def tell(self, event: Event) -> None:
        """Call everyone who wants it; an exception costs a recorder its seat, not the run its life."""
        for recorder in self._listeners[type(event)]:
            try:
                recorder(event)
            except Exception as error:
                self._dismiss(recorder, event.step, error)

    def _dismiss(self, recorder: Recorder, step: int, error: Exception) -> None:
        self.remove(recorder)
        usual = getattr(recorder, "__qualname__", type(recorder).__qualname__)
        name = str(getattr(recorder, "name", usual))
        text = f"{type(error).__name__}: {error}"
        self._history.note(step, "recorder removed", recorder=name, error=text)
        _log.warning("The recorder %s failed at step %d and was taken off: %s", name, step, text)

    def _seat(self, recorders: tuple[Recorder, ...]) -> None:
        self._recorders = recorders
        self._listeners = {
            kind: tuple(each for each in recorders if kind in getattr(each, "events", _KINDS))
            for kind in _KINDS
        }
