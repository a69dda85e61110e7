"""When a run first reached the score that its recipe aims at."""

from reswork.history import History
from reswork.results.metrics import Metric
from reswork.training.events import EpochDone


class Convergence:
    """Notes the first epoch whose headline metric reaches a target on the test split.

    Args:
        target: of the metric; None: nothing is noted.
        metric: the task's headline.
        history: gets the note ``converged`` (target, score, epoch, seconds) and the series ``steps_to_target``.
    """

    def __init__(self, target: float | None, metric: Metric, history: History) -> None:
        self._target = None if "steps_to_target" in history.names else target  # noted before the run went on
        self._metric, self._history = metric, history

    def look(self, event: EpochDone, seconds: float) -> None:
        """Compare the score of an epoch, so many seconds after the start."""
        target, score = self._target, event.metrics.get(self._metric.name)
        if target is None or score is None or not self._metric.reaches(score, target):
            return
        self._target = None
        self._history.record(event.step, {"steps_to_target": event.step})
        found = {"target": target, self._metric.name: score, "epoch": event.epoch, "seconds": seconds}
        self._history.note(event.step, "converged", **found)
