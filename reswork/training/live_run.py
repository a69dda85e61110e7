"""`LiveRun`: what every run that can be steered has, wherever it computes."""

from abc import ABC, abstractmethod

from torch import nn

from reswork.history import History
from reswork.training.modes import Mode
from reswork.training.recipe import Recipe
from reswork.training.state import RunState


class LiveRun(ABC):
    """A training that can be watched and steered: `Run` in a thread of this kernel, `ProcessRun` in a process.

    What each request means in each state stands in `Run`; it is the same for both.

    Attributes:
        model: what is trained.
        name: for lists and logs.
        recipe: how it is trained.
        history: the record so far.
        dataset_name: of the data set.
        classes: their names.
        total_steps: optimizer updates of the whole run.
        steps_per_epoch: updates in one pass.
    """

    model: nn.Module
    name: str
    recipe: Recipe
    history: History
    dataset_name: str
    classes: tuple[str, ...]
    total_steps: int
    steps_per_epoch: int

    @property
    @abstractmethod
    def state(self) -> RunState:
        """Where the run is."""

    @property
    @abstractmethod
    def error(self) -> BaseException | None:
        """What made it fail."""

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
        return self.state.over

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

    @abstractmethod
    def wait(self, timeout_s: float | None = None) -> RunState:
        """Wait until it is over, or for so many seconds; raises the error of a run that failed."""

    @abstractmethod
    def wait_until_still(self, timeout_s: float | None = None) -> RunState:
        """Wait until it is paused or over, or for so many seconds; raises nothing."""

    @abstractmethod
    def wait_for_change(self, state: RunState, step: int, timeout_s: float) -> bool:
        """Wait until it is in another state, or stands still after another step, or for so many seconds."""

    @abstractmethod
    def set(self, **settings: float) -> None:
        """Change learning_rate, weight_decay or momentum from the next step on."""

    @abstractmethod
    def snapshot(self) -> nn.Module:
        """A detached copy of the model between two steps, in evaluation mode."""
