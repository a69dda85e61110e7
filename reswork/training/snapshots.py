"""Copies of a model for those who want to look at it while it learns."""

import copy
import time
from dataclasses import dataclass

from torch import nn


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
