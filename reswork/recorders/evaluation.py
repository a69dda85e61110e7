"""What each epoch's evaluation found."""

from reswork.history import History
from reswork.training.events import EpochDone, Event
from reswork.training.recorder import BaseRecorder, Recorder


def evaluation(history: History) -> Recorder:
    """A recorder of each epoch's test metrics, its number and seconds, and of the last tables.

    Series ``loss/test``, ``epoch``, ``seconds/epoch`` (training alone) and those of the task's metrics, such as
    ``top1/test``; arrays as the task has them, such as ``confusion/test`` (K, K), rows are the true classes.
    """
    return _Evaluation(history)


class _Evaluation(BaseRecorder):
    name = "evaluation"
    events = (EpochDone,)

    def __init__(self, history: History) -> None:
        self._history = history

    def __call__(self, event: Event) -> None:
        if isinstance(event, EpochDone):
            metrics = {f"{name}/test": value for name, value in event.metrics.items()}
            self._history.record(
                event.step, {**metrics, "epoch": event.epoch, "seconds/epoch": event.seconds}
            )
            for name, table in event.tables.items():
                self._history.keep(f"{name}/test", event.step, table)
