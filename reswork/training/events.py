"""What a training run tells: frozen events, yielded at the moments at which it is safe to look."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from torch import Tensor, nn

from reswork.tasks import Task
from reswork.training.frozen_layers import FrozenReport
from reswork.training.modes import Mode
from reswork.training.progress import TrainingState


class RunState(Enum):
    """Where a run is; the last three are for good."""

    READY = "ready"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def over(self) -> bool:
        """Whether nothing more will happen."""
        return self in (RunState.FINISHED, RunState.STOPPED, RunState.FAILED)


@dataclass(frozen=True, slots=True)
class RunStarted:
    """The mode is chosen and the model is on its device; the first step has not been made yet."""

    step: int  # updates made before: 0, or where it goes on
    model: nn.Module
    total_steps: int
    steps_per_epoch: int
    device: str
    mode: str  # the chosen mode and its reason, a sentence
    choice: Mode  # the same, to compute with
    task: Task  # what is learned
    state: Callable[[], TrainingState]  # of the moment; to be called between two steps, within a later event
    frozen: FrozenReport | None = None  # what stands still


@dataclass(frozen=True, slots=True)
class SettingChanged:
    """A learning rate, weight decay or momentum that somebody asked for takes effect in this step."""

    step: int
    name: str
    value: float


@dataclass(frozen=True, slots=True)
class LayersUnfrozen:
    """Layers that stood still learn from this step on."""

    step: int
    layers: tuple[str, ...]  # names, with all that is in them and not frozen longer


@dataclass(frozen=True, slots=True)
class BatchReady:
    """Before the forward pass of a step: the weights are the old ones, the inputs are those that it will use.

    ``step`` is the number that this update will have. Only told when somebody listens.
    """

    step: int
    epoch: int
    model: nn.Module
    inputs: Tensor  # (N, C, H, W) float32, augmented and normalised; not to be changed
    targets: Tensor  # as the task has them, such as (N,) int64 labels; not to be changed
    task: Task


@dataclass(frozen=True, slots=True)
class CompilingStarted:
    """This step's forward and backward pass are compiled before they are computed, which takes a while."""

    step: int
    seconds: float  # that it takes, roughly


@dataclass(frozen=True, slots=True)
class CompilingDone:
    """They are compiled and computed; or the compiler failed, and the step was computed as before without it."""

    step: int
    seconds: float  # that both took
    mode: str  # as in RunStarted, from this step on
    choice: Mode
    failure: str  # what the compiler said; "" where it did not fail


@dataclass(frozen=True, slots=True)
class GradientsReady:
    """After the backward pass, unscaled and before clipping; the weights are still the old ones.

    ``step`` is the number that this update will have. Only told when somebody listens.
    """

    step: int
    epoch: int
    model: nn.Module


@dataclass(frozen=True, slots=True)
class StepDone:
    """One optimizer update is made; ``loss`` and ``score`` stay on the device until somebody looks."""

    step: int  # updates so far, from 1
    epoch: int  # from 1
    loss: Tensor  # () float32, of this batch, before the update
    score: Tensor  # () float32, the headline metric of this batch
    metric: str  # name of the headline metric
    examples: int  # in this batch
    learning_rate: float  # that made this update
    model: nn.Module
    layer_rates: Mapping[str, float] = field(default_factory=dict)  # in layers with a rate of their own


@dataclass(frozen=True, slots=True)
class EpochDone:
    """An epoch (or the last, broken one) is over and the test split has been evaluated."""

    step: int
    epoch: int
    seconds: float  # of training in this epoch: without evaluation and pauses
    metrics: Mapping[
        str, float
    ]  # loss and the task's metrics on the test split; empty where that has no images
    tables: Mapping[str, np.ndarray]  # such as confusion (K, K), as the task's evaluation has them
    model: nn.Module  # the one evaluated: the averaged one where the recipe asks for EMA


@dataclass(frozen=True, slots=True)
class EvaluationStopped:
    """The run was ended while it was being evaluated; the weights are still those of the step."""

    step: int
    model: nn.Module


@dataclass(frozen=True, slots=True)
class CheckpointDue:
    """It is time to save, between two steps; whoever collects should write what they have."""

    step: int
    state: Callable[[], TrainingState]  # complete, with the recorders' own; only within this event


@dataclass(frozen=True, slots=True)
class RunPaused:
    """A run stands still between two steps; whoever collects should write what they have."""

    step: int


@dataclass(frozen=True, slots=True)
class RunEnded:
    """Nothing more will come."""

    step: int
    state: RunState  # FINISHED, STOPPED or FAILED
    error: BaseException | None


Event = (
    RunStarted
    | SettingChanged
    | LayersUnfrozen
    | BatchReady
    | CompilingStarted
    | CompilingDone
    | GradientsReady
    | StepDone
    | EpochDone
    | EvaluationStopped
    | CheckpointDue
    | RunPaused
    | RunEnded
)
