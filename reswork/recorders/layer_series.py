"""A recorder of one number for each convolution's and linear layer's weight."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from reswork.history import History
from reswork.recorders.collector import Collector
from reswork.training.events import (
    CheckpointDue,
    EpochDone,
    Event,
    GradientsReady,
    RunEnded,
    RunPaused,
    StepDone,
)
from reswork.training.interval import Interval
from reswork.training.recorder import BaseRecorder

Measure = Callable[[list[Tensor]], Tensor]  # L weights -> (L,) numbers on their device


class LayerSeries(BaseRecorder):
    """Measures the weights of all convolutions and linear layers, frozen ones too, every so many steps.

    The layers are the same at every step, whatever is trained meanwhile. Where the model has none, the history gets
    one note that says so.

    Args:
        history: gets one value for each layer, labelled with its name.
        name: of the recorder.
        group: name of the quantity.
        measure: gets the weights, whose ``grad`` is there at `GradientsReady` and gone at `StepDone`.
        at: the moment: `GradientsReady`, with the weights before the update, or `StepDone`, with those after it.
        every: steps between two measurements; the first step that it sees is always measured.
    """

    interval: Interval

    def __init__(
        self,
        history: History,
        name: str,
        group: str,
        measure: Measure,
        *,
        at: type[GradientsReady] | type[StepDone],
        every: int,
    ) -> None:
        self.name, self.interval = name, Interval(every)
        self.events = (at, CheckpointDue, EpochDone, RunPaused, RunEnded)
        self._history, self._group, self._measure, self._at = history, group, measure, at
        self._collector = Collector(self._write)
        self._layers: dict[str, Tensor] | None = None

    def __call__(self, event: Event) -> None:
        """Take one event."""
        if not isinstance(event, self._at):
            self._collector.flush()
        elif self.interval.due(event.step) and (weights := self._weights(event)):
            with torch.no_grad():
                self._collector.add(event.step, self._measure(weights))

    def _weights(self, event: GradientsReady | StepDone) -> list[Tensor]:
        if self._layers is None:
            self._layers = layer_weights(event.model)
            if not self._layers:
                reason = f"{type(event.model).__name__} has no convolutions or linear layers"
                self._history.note(event.step, "nothing to record", recorder=self.name, reason=reason)
        return list(self._layers.values())

    def _write(self, steps: np.ndarray, values: np.ndarray) -> None:  # (n,), (n, L)
        for step, row in zip(steps.tolist(), values, strict=True):
            self._history.record_vector(self._group, step, tuple(self._layers or ()), row)


def layer_weights(model: nn.Module) -> dict[str, Tensor]:
    """The weights of the conv and linear layers, by the names of the layers."""
    return {
        name: module.weight
        for name, module in model.named_modules()
        if isinstance(module, nn.modules.conv._ConvNd | nn.Linear)
    }


def norms(tensors: list[Tensor]) -> Tensor:
    """(L,) 2-norms, by one fused operation."""
    return torch.stack(torch._foreach_norm(tensors))
