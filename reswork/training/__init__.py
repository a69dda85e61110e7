"""Training: `fit`, the loop as a generator of events, and `Run`, which pulls it in a thread."""

from reswork.tasks import Evaluation
from reswork.training.controls import Controls
from reswork.training.evaluation import evaluate
from reswork.training.events import (
    BatchReady,
    CheckpointDue,
    CompilingDone,
    CompilingStarted,
    EpochDone,
    EvaluationStopped,
    Event,
    GradientsReady,
    LayersUnfrozen,
    RunEnded,
    RunPaused,
    RunStarted,
    SettingChanged,
    StepDone,
)
from reswork.training.failures import NonFiniteLoss, OutOfMemory
from reswork.training.loop import fit
from reswork.training.modes import Mode
from reswork.training.progress import TrainingState
from reswork.training.recipe import Recipe, steps_per_epoch, total_steps
from reswork.training.run import Run, RunState, active_runs
from reswork.training.schedules import learning_rates

__all__ = [
    "BatchReady",
    "CheckpointDue",
    "CompilingDone",
    "CompilingStarted",
    "Controls",
    "EpochDone",
    "Evaluation",
    "EvaluationStopped",
    "Event",
    "GradientsReady",
    "LayersUnfrozen",
    "Mode",
    "NonFiniteLoss",
    "OutOfMemory",
    "Recipe",
    "Run",
    "RunEnded",
    "RunPaused",
    "RunStarted",
    "RunState",
    "SettingChanged",
    "StepDone",
    "TrainingState",
    "active_runs",
    "evaluate",
    "fit",
    "learning_rates",
    "steps_per_epoch",
    "total_steps",
]
