"""What others may ask of a training while it runs: changes, its end, and copies of the model."""

import copy
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

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


def snapshot_of(model: nn.Module) -> nn.Module:
    """A detached copy in evaluation mode, without gradients; between two steps only."""
    copied = copy.deepcopy(model).eval()
    copied.zero_grad()
    return copied


@dataclass(eq=False)
class SnapshotRequest:
    """Somebody waits for a snapshot; the run's thread fills it in."""

    served: bool = False
    model: nn.Module | None = None
    error: Exception | None = None
    seconds: float = 0.0  # that the copy took

    def fill(self, model: nn.Module) -> None:
        """Copy the model, or keep the reason why that does not work."""
        begin = time.perf_counter()
        try:
            self.model = snapshot_of(model)
        except Exception as error:  # goes to the one who asked
            self.error = error
        self.seconds = time.perf_counter() - begin
        self.served = True

    def taken(self) -> nn.Module:
        """The copy.

        Raises:
            RuntimeError: if the model cannot be copied.
        """
        if self.model is None:
            raise RuntimeError(f"the model cannot be copied: {self.error}") from self.error
        return self.model
