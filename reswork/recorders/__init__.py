"""Recorders: callables that turn the events of a training into series of a history."""

from collections.abc import Callable, Iterable, Sequence

from reswork.history import History
from reswork.recorders import catalogue
from reswork.recorders.budget import Budget
from reswork.recorders.catalogue import *
from reswork.recorders.forwarder import Forwarder
from reswork.recorders.mlflow import mlflow
from reswork.recorders.price import Price, Timed
from reswork.recorders.snapshot_observer import SnapshotObserver
from reswork.recorders.tensorboard import tensorboard
from reswork.training.recorder import BaseRecorder, FunctionRecorder, Listener, Recorder

__all__ = [
    "SENDERS",
    "BaseRecorder",
    "Budget",
    "FunctionRecorder",
    "Listener",
    "Price",
    "Recorder",
    "RecorderFactory",
    "SnapshotObserver",
    "Timed",
    "default_recorders",
    "made_by",
    "mlflow",
    "tensorboard",
]
__all__ += catalogue.__all__  # the quantities: what stands in the catalogue is public


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
    chosen = [timed(each.name, history) for each in CATALOGUE if each.by_default]
    return [*chosen, Budget(history, chosen, share)]


def made_by(factories: Iterable[RecorderFactory], history: History) -> list[Listener]:
    """The recorders that factories make for a history; one may make several, as `default_recorders` does."""
    made: list[Listener] = []
    for make in factories:
        new = make(history)
        made += new if isinstance(new, Sequence) else [new]
    return made
