"""`LiveRun`: what every run that can be steered has, wherever it computes."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

from torch import nn

from reswork.datasets.dataset import Dataset
from reswork.errors import InvalidSetting
from reswork.history import History
from reswork.models.config import ResNetConfig
from reswork.results.metrics import Metric
from reswork.tasks import Task
from reswork.training.events import RunState
from reswork.training.modes import Mode
from reswork.training.recipe import Recipe, check_live_setting
from reswork.training.recorder import Listener

if TYPE_CHECKING:
    from threading import Condition

    from reswork.recorders.recorder_controls import RecorderControls  # given to it from above


_PROBLEMS = (  # kind of note, the kind that says it is over, the sentence
    ("not_saved", "saved_again", "This run is not saved: {reason}."),
    ("no_checkpoint", "checkpoint_again", "The last checkpoint of this run could not be made: {reason}."),
    ("moments_not_saved", "moments_again", "The last moment to look back at could not be kept: {reason}."),
    ("not_sent", "sent_again", "This run is not sent to {recorder}: {reason}."),
    ("recorder removed", "recorder started", "{recorder} failed and was taken off: {error}."),
)
_UNKNOWN = dict.fromkeys(("reason", "recorder", "error"), "unknown")  # in a file that somebody changed


def problems_of(history: History) -> str:
    """A sentence on each thing that failed beside the training and still does; ``""`` where all is well."""
    found, notes = [], history.notes
    for begins, ends, sentence in _PROBLEMS:
        last = {str(note.details.get("recorder")): note for note in notes if note.kind in (begins, ends)}
        found += [sentence.format(**_UNKNOWN | note.details) for note in last.values() if note.kind == begins]
    return " ".join(found)


class MomentsBudget(Protocol):
    """What keeps a run's moments.

    Attributes:
        most_bytes: that all of them may have on the disk; may be set while the run goes on.
    """

    most_bytes: int


class LiveRun(ABC):
    """A training that can be watched and steered, wherever it computes: what `train` returns for every engine.

    What each request means in each state stands in `Run`; it is the same for all.

    Attributes:
        is_live: True; False for one from disk, `SavedRun`, which tells the same but cannot be steered.
        model: what is trained.
        name: for lists and logs.
        task: what is learned.
        recipe: how it is trained.
        history: the record so far.
        dataset_name: of the data set.
        classes: their names.
        total_steps: optimizer updates of the whole run.
        steps_per_epoch: updates in one pass.
        directory: its folder; None where it is not saved.
        recorder_controls: its recorders by their names in the catalogue, to be switched and paced; None for a `Run`
            that was put together by hand.
        moments: the budget of the weights that it keeps; None where none are kept, or it is not known here.
    """

    is_live: ClassVar[Literal[True]] = True
    model: nn.Module
    name: str
    task: Task
    recipe: Recipe
    history: History
    dataset_name: str
    classes: tuple[str, ...]
    total_steps: int
    steps_per_epoch: int
    directory: Path | None = None
    recorder_controls: "RecorderControls | None" = None
    moments: MomentsBudget | None = None
    _changed: "Condition"  # guards the state and the error, and tells of their changes
    _state: RunState
    _error: BaseException | None

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """What judges it, the headline first."""
        return self.task.metrics

    @property
    def task_kind(self) -> str:
        """The task's name, as a run from disk has it."""
        return self.task.kind

    @property
    def headline(self) -> Metric:
        """The metric that tables show and by which the best checkpoint is kept."""
        return self.task.metrics[0]

    @property
    def state(self) -> RunState:
        """Where the run is."""
        return self._state

    @property
    def error(self) -> BaseException | None:
        """What made it fail."""
        return self._error

    @property
    def config(self) -> ResNetConfig | None:
        """Settings of its network; None where that was not built here."""
        found = getattr(self.model, "config", None)
        return found if isinstance(found, ResNetConfig) else None

    @property
    @abstractmethod
    def data(self) -> Dataset:
        """What it learns from.

        Raises:
            InvalidSetting: for one that another kernel started, if its data set is not a built-in one.
        """

    @property
    @abstractmethod
    def mode(self) -> Mode | None:
        """How it computes and why; None until that is chosen."""

    @property
    @abstractmethod
    def steps_done(self) -> int:
        """Optimizer updates so far."""

    @property
    @abstractmethod
    def seconds_left(self) -> float | None:
        """Estimate from the pace so far; None while unknown, 0 when it is over."""

    @property
    def pid(self) -> int | None:
        """Number of the process that it has for itself; None: it has none."""
        return None

    @property
    def snapshot_s(self) -> float:
        """Seconds of the run's own thread that the copy for the last snapshot took; 0 where that is not known."""
        return 0.0

    @property
    def done(self) -> bool:
        """Whether it is over: finished, stopped or failed."""
        return self._state.over

    @abstractmethod
    def start(self) -> None:
        """Begin."""

    @abstractmethod
    def pause(self) -> None:
        """Stand still after the step that is being made."""

    @abstractmethod
    def step(self, n: int = 1) -> None:
        """Make n more steps and then stand still."""

    @abstractmethod
    def resume(self) -> None:
        """Go on."""

    @abstractmethod
    def stop(self) -> None:
        """End after the step that is being made."""

    def kill(self) -> None:
        """End its process at once, for one that does not answer; what was not saved is lost.

        Raises:
            InvalidSetting: if it has no process of its own.
        """
        raise InvalidSetting("run", "This run has no process of its own; press Stop.")

    @property
    @abstractmethod
    def recorders(self) -> tuple[Listener | str, ...]:
        """Those who get the events now; of a run in another process their names."""

    @abstractmethod
    def add_recorder(self, recorder: Listener | str) -> None:
        """Let a recorder, or one of ``rw.recorders.CATALOGUE`` by its name, have the events from the next one on.

        Raises:
            InvalidSetting: for what the run cannot take.
        """

    @abstractmethod
    def remove_recorder(self, recorder: Listener | str) -> None:
        """Let it have no more; one that is not there is no error."""

    def wait(self, timeout_s: float | None = None) -> RunState:
        """Wait until it is over, or for so many seconds.

        Returns:
            The state then; RUNNING or PAUSED after a time-out. Where its record is not on the disk, a warning says
            why.

        Raises:
            RuntimeError: if it was never started.
            BaseException: the error of a run that failed.
        """
        with self._changed:
            if self._state is RunState.READY:
                raise RuntimeError("this run was not started; call start() first")
            self._changed.wait_for(lambda: self.done, timeout_s)
            if self._error is not None:
                raise self._error
            state = self._state
        if state.over and (problem := problems_of(self.history)):
            warnings.warn(problem, RuntimeWarning, stacklevel=2)
        return state

    def wait_until_still(self, timeout_s: float | None = None) -> RunState:
        """Wait until it is paused or over, or for so many seconds; gives the state, raises nothing."""
        with self._changed:
            self._changed.wait_for(lambda: self._state is not RunState.RUNNING, timeout_s)
            return self._state

    def wait_for_change(self, state: RunState, step: int, timeout_s: float) -> bool:
        """Wait until it is in another state, or stands still after another step, or for so many seconds.

        For a view that shows a state and a step, and must not be late.

        Returns:
            Whether it is; False after a time-out.
        """
        with self._changed:
            return self._changed.wait_for(
                lambda: self._state is not state or (state is RunState.PAUSED and self.steps_done != step),
                timeout_s,
            )

    @abstractmethod
    def set(self, **settings: float) -> None:
        """Change learning_rate, weight_decay or momentum from the next step on."""

    @abstractmethod
    def snapshot(self) -> nn.Module:
        """A detached copy of the model between two steps, in evaluation mode."""

    def _check_change(self, settings: Mapping[str, float]) -> None:
        """Refuse what cannot be set while a run goes on, or any more.

        Raises:
            InvalidSetting: for another setting, an impossible value, or a run that is over.
        """
        for name, value in settings.items():
            check_live_setting(name, value)
            if self.done:
                raise InvalidSetting(
                    name, f"this run is {self._state.value}, {name} stays; start a new run with it"
                )
