"""`Recorder`: what a run tells its events to, and what makes one out of a plain function."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, get_args, runtime_checkable

from reswork.errors import InvalidSetting
from reswork.training.events import Event
from reswork.training.interval import Interval

EVENTS: tuple[type[Event], ...] = get_args(Event)
Listener = Callable[[Event], object]  # what a run takes: a `Recorder`, or any callable that takes an event


@runtime_checkable
class Recorder(Protocol):
    """What a run asks of a recorder; `BaseRecorder` has all but the call."""

    @property
    def name(self) -> str:
        """For notes and prices, and in checkpoints before what `state` gives."""

    @property
    def events(self) -> tuple[type[Event], ...]:
        """The classes of the events that it is called for; no others reach it."""

    @property
    def interval(self) -> Interval | None:
        """Which steps it measures, and what a budget stretches; None: it looks at every one, or by the clock."""

    def __call__(self, event: Event) -> object:
        """Take one event, in the run's own thread."""

    def state(self) -> dict[str, Any]:
        """What it must have again to go on from a checkpoint: JSON values and tensors; empty: nothing."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on as one with this state would have."""


class BaseRecorder:
    """Inherit from it and write ``__call__``: it is then told every event, keeps nothing, and measures when it likes.

    Set ``events`` to hear some kinds only: batches and gradients are shown for nobody but those who ask. Its ``name``
    is that of the class unless you give one.

    Example:
        >>> from reswork.training.events import StepDone
        >>> class Losses(BaseRecorder):
        ...     events = (StepDone,)
        ...     def __call__(self, event):
        ...         print(event.loss.item())
        >>> Losses().name, isinstance(Losses(), Recorder)
        ('Losses', True)
    """

    name: str
    events: tuple[type[Event], ...] = EVENTS
    interval: Interval | None = None

    def __init_subclass__(cls) -> None:
        if "name" not in cls.__dict__:
            cls.name = cls.__name__

    def __call__(self, event: Event) -> object:
        """Take one event."""
        raise NotImplementedError

    def state(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Nothing is needed."""


class FunctionRecorder(BaseRecorder):
    """A plain callable as a recorder.

    Args:
        function: takes an event.
        events: that it is called for; all of them unless you say which.
    """

    def __init__(self, function: Listener, events: tuple[type[Event], ...] = EVENTS) -> None:
        self.name = str(getattr(function, "__qualname__", type(function).__qualname__))
        self.events = events
        self._function = function

    def __call__(self, event: Event) -> object:
        """Hand it on."""
        return self._function(event)


def as_recorder(given: Listener) -> Recorder:
    """The recorder itself, or one that calls a plain function for every event.

    Raises:
        InvalidSetting: for what cannot be called, or has only a part of what a recorder has, so that the rest of
            it would be passed over in silence.
    """
    if isinstance(given, Recorder):
        return given
    parts = [part for part in ("events", "interval", "state", "restore") if hasattr(given, part)]
    if parts or not callable(given):
        what = f"has {', '.join(parts)}, but not all that a recorder has" if parts else "cannot be called"
        raise InvalidSetting(
            "recorders",
            f"{type(given).__name__} {what}; inherit from rw.recorders.BaseRecorder, or give a function that "
            "takes an event",
        )
    return FunctionRecorder(given)
