"""What others may ask of a training loop while it runs."""

from collections import deque
from collections.abc import Iterator

from reswork.training.recipe import check_live_setting


class Controls:
    """A letter box: anyone puts requests in, the loop looks into it between two steps.

    Attributes:
        stop: set it to end the loop; also seen between the batches of an evaluation and of a timing.
        wants_batches: False spares the loop its ``BatchReady`` events.
        wants_gradients: False spares the loop its ``GradientsReady`` events.
        idle_s: seconds that the loop was kept waiting, so that they do not count as training.
    """

    def __init__(self) -> None:
        self.stop = False
        self.wants_batches = True
        self.wants_gradients = True
        self.idle_s = 0.0
        self._changes: deque[tuple[str, float]] = deque()  # append and popleft are atomic

    def set(self, **settings: float) -> None:
        """Ask for a new learning rate, weight decay or momentum from the next step on."""
        for name, value in settings.items():
            check_live_setting(name, value)
        self._changes.extend(settings.items())

    def changes(self) -> Iterator[tuple[str, float]]:
        """The requests so far, which are thereby taken out."""
        while self._changes:
            yield self._changes.popleft()
