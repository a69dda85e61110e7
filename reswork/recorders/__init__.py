"""Recorders: callables that turn the events of a training into series of a history."""

from collections.abc import Callable, Iterable, Sequence

from reswork.history import History
from reswork.recorders.activations import activations
from reswork.recorders.budget import Budget
from reswork.recorders.catalogue import CATALOGUE, RecorderKind, timed
from reswork.recorders.evaluation import evaluation
from reswork.recorders.forwarding import Forwarder
from reswork.recorders.gradient_norms import gradient_norms
from reswork.recorders.learning_rate import learning_rate
from reswork.recorders.losses import losses
from reswork.recorders.memory import memory
from reswork.recorders.mlflow import mlflow
from reswork.recorders.noise_scale import noise_scale
from reswork.recorders.price import Price, Timed
from reswork.recorders.signal_variance import signal_variance
from reswork.recorders.snapshot_observer import SnapshotObserver
from reswork.recorders.summands import shortcut_and_branch
from reswork.recorders.tensorboard import tensorboard
from reswork.recorders.throughput import throughput
from reswork.recorders.update_ratios import update_ratios
from reswork.training.recorder import BaseRecorder, FunctionRecorder, Listener, Recorder

__all__ = [
    "CATALOGUE",
    "SENDERS",
    "BaseRecorder",
    "Budget",
    "FunctionRecorder",
    "Listener",
    "Price",
    "Recorder",
    "RecorderFactory",
    "RecorderKind",
    "SnapshotObserver",
    "Timed",
    "activations",
    "default_recorders",
    "evaluation",
    "gradient_norms",
    "learning_rate",
    "losses",
    "made_by",
    "memory",
    "mlflow",
    "noise_scale",
    "shortcut_and_branch",
    "signal_variance",
    "tensorboard",
    "throughput",
    "timed",
    "update_ratios",
]


RecorderFactory = Callable[[History], Listener | Sequence[Listener]]
SENDERS: dict[str, Callable[..., Forwarder]] = {"tensorboard": tensorboard, "mlflow": mlflow}  # by label


def default_recorders(history: History, share: float | None = 0.05) -> list[Recorder]:
    """Those that a run has unless it is told otherwise, at their usual intervals, and the budget over them.

    Args:
        history: of the run.
        share: of a step's time that they may take together; None: no limit.

    Returns:
        The recorders, each a `Timed`, and last the `Budget`, which knows their prices.

    Example:
        >>> [each.name for each in default_recorders(History())][:3]
        ['losses', 'learning_rate', 'gradient_norms']
    """
    chosen = [timed(kind.name, history) for kind in CATALOGUE if kind.by_default]
    return [*chosen, Budget(history, chosen, share)]


def made_by(factories: Iterable[RecorderFactory], history: History) -> list[Listener]:
    """The recorders that factories make for a history; one may make several, as `default_recorders` does."""
    made: list[Listener] = []
    for make in factories:
        new = make(history)
        made += new if isinstance(new, Sequence) else [new]
    return made
