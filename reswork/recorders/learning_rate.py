"""The learning rate of every step."""

from reswork.history import History
from reswork.training.events import Event, StepDone
from reswork.training.recorder import BaseRecorder, Recorder


def learning_rate(history: History) -> Recorder:
    """A recorder of ``learning_rate``, as the update used it: schedule and live changes together.

    Layers with a rate of their own (``Recipe.layer_rates``) have a series each, ``learning_rate/<layer>``, which begins
    when they are trained.
    """
    return _LearningRate(history)


class _LearningRate(BaseRecorder):
    name = "learning_rate"
    events = (StepDone,)

    def __init__(self, history: History) -> None:
        self._history = history

    def __call__(self, event: Event) -> None:
        if isinstance(event, StepDone):
            layers = {f"learning_rate/{layer}": rate for layer, rate in event.layer_rates.items()}
            self._history.record(event.step, {"learning_rate": event.learning_rate, **layers})
