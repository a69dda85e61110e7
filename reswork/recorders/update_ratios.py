"""How far each step moves each layer's weights, compared with their size."""

import numpy as np
import torch
from torch import Tensor

from reswork.history import History
from reswork.recorders.collecting import Collector
from reswork.recorders.gradient_norms import trained_weights
from reswork.recorders.interval import Interval
from reswork.training.events import (
    CheckpointDue,
    EpochDone,
    Event,
    GradientsReady,
    RunEnded,
    RunPaused,
    StepDone,
)
from reswork.training.recorder_set import Recorder


def update_ratios(history: History, every: int = 10) -> Recorder:
    """A recorder of ``update_ratio/<layer>``: ``|dw| / |w|`` of each conv and linear layer's weight in one step.

    ``w`` is the weight before the update and ``dw`` what the whole update changed: learning rate, momentum,
    weight decay and clipping together. About 1e-3 is usual while a net learns; 1e-1 means that the layer is
    thrown about, 1e-6 that it stands still. It is not a number where the weight was zero.

    Args:
        history: gets one value for each layer, labelled with its name.
        every: steps between two measurements; the first step that it sees is always measured.
    """
    return _UpdateRatios(history, every)


class _UpdateRatios:
    events = (GradientsReady, StepDone, CheckpointDue, EpochDone, RunPaused, RunEnded)

    def __init__(self, history: History, every: int) -> None:
        self.rhythm = Interval(every)
        self._history = history
        self._collector = Collector(self._write)
        self._weights: dict[str, Tensor] = {}
        self._before: list[Tensor] | None = None

    def __call__(self, event: Event) -> None:
        match event:
            case GradientsReady():
                if self.rhythm.due(event.step):
                    self._weights = self._weights or trained_weights(event.model)
                    self._before = [weight.detach().clone() for weight in self._weights.values()]
            case StepDone():
                if self._before:
                    self._collector.add(event.step, self._ratios(self._before))
                self._before = None
            case _:
                self._collector.flush()

    @torch.no_grad()
    def _ratios(self, before: list[Tensor]) -> Tensor:
        """(L,) on the device, by fused operations; the copies are used up."""
        sizes = torch.stack(torch._foreach_norm(before))
        torch._foreach_sub_(before, [weight.detach() for weight in self._weights.values()])
        return torch.stack(torch._foreach_norm(before)) / sizes

    def _write(self, steps: np.ndarray, ratios: np.ndarray) -> None:  # (n,), (n, L)
        for step, row in zip(steps.tolist(), ratios, strict=True):
            self._history.record_vector("update_ratio", step, tuple(self._weights), row)
