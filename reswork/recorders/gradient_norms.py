"""The gradient norm of each layer."""

import numpy as np
import torch
from torch import Tensor, nn

from reswork.history import History
from reswork.recorders.collecting import Collector
from reswork.recorders.interval import Interval
from reswork.training.events import CheckpointDue, EpochDone, Event, GradientsReady, RunEnded, RunPaused
from reswork.training.recorder_set import Recorder


def gradient_norms(history: History, every: int = 10) -> Recorder:
    """A recorder of ``grad_norm/<layer>``: the 2-norm of the gradient of each conv and linear layer's weight.

    Read from it whether the gradient reaches the first layers: over depth it should stay within a factor of
    ten or so. In a deep plain net it does not.

    Args:
        history: gets one value for each layer, labelled with its name.
        every: steps between two measurements; the first step that it sees is always measured.

    Reference:
        arXiv:1512.03385, section 4.1, on the gradients of plain nets.
    """
    return _GradientNorms(history, every)


def trained_weights(model: nn.Module) -> dict[str, Tensor]:
    """The weights of the conv and linear layers that have a gradient now, by the names of the layers."""
    return {
        name: module.weight
        for name, module in model.named_modules()
        if isinstance(module, nn.modules.conv._ConvNd | nn.Linear) and module.weight.grad is not None
    }


class _GradientNorms:
    events = (GradientsReady, CheckpointDue, EpochDone, RunPaused, RunEnded)

    def __init__(self, history: History, every: int) -> None:
        self._history = history
        self.rhythm = Interval(every)
        self._collector = Collector(self._write)
        self._names: tuple[str, ...] = ()
        self._weights: list[Tensor] = []

    def __call__(self, event: Event) -> None:
        if not isinstance(event, GradientsReady):
            self._collector.flush()
        elif self.rhythm.due(event.step):
            if not self._names:
                self._find_layers(event.model)
            if self._names:
                self._collector.add(event.step, self._norms())

    def _find_layers(self, model: nn.Module) -> None:
        layers = trained_weights(model)
        self._names, self._weights = tuple(layers), list(layers.values())

    def _norms(self) -> Tensor:
        """(L,) on the device, by one fused operation; 0 for a layer that took no part."""
        gradients = [
            weight.grad if weight.grad is not None else torch.zeros_like(weight) for weight in self._weights
        ]
        return torch.stack(torch._foreach_norm(gradients))

    def _write(self, steps: np.ndarray, norms: np.ndarray) -> None:  # (n,), (n, L)
        for step, row in zip(steps.tolist(), norms, strict=True):
            self._history.record_vector("grad_norm", step, self._names, row)
