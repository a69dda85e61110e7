"""When a run first reached the accuracy that its recipe aims at."""

from reswork.history import History
from reswork.training.events import EpochDone


class Convergence:
    """Notes the first epoch whose test accuracy reaches a target.

    Args:
        target: fraction; None: nothing is noted.
        history: gets the note ``converged`` (accuracy, epoch, seconds) and the series ``steps_to_target``.
    """

    def __init__(self, target: float | None, history: History) -> None:
        self._target = None if "steps_to_target" in history.names else target  # noted before the run went on
        self._history = history

    def look(self, event: EpochDone, seconds: float) -> None:
        """Compare the accuracy of an epoch, so many seconds after the start."""
        target, reached = self._target, event.metrics.get("top1", 0.0)
        if target is None or reached < target:
            return
        self._target = None
        self._history.record(event.step, {"steps_to_target": event.step})
        self._history.note(
            event.step, "converged", target_accuracy=target, top1=reached, epoch=event.epoch, seconds=seconds
        )
