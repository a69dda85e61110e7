"""What each epoch's evaluation found."""

from reswork.history import History
from reswork.training.events import EpochDone, Event
from reswork.training.recorder import BaseRecorder, Recorder


def evaluation(history: History) -> Recorder:
    """A recorder of each epoch's test metrics, its number and seconds, and of the last confusion matrix.

    Series ``loss/test``, ``top1/test``, ``top5/test``, ``precision/test``, ``recall/test``, ``f1/test``,
    ``epoch``, ``seconds/epoch`` (training alone); array ``confusion/test`` (K, K), rows are the true classes.
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
            if event.metrics:
                self._history.keep("confusion/test", event.step, event.confusion)
