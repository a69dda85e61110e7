"""The norm of each layer's gradient, and of its weight."""

import torch
from torch import Tensor

from reswork.history import History
from reswork.recorders.layer_series import LayerSeries, norms
from reswork.training.events import GradientsReady, StepDone
from reswork.training.recorder import Recorder


def gradient_norms(history: History, every: int = 10) -> Recorder:
    """A recorder of ``grad_norm/<layer>``: the 2-norm of the gradient of each conv and linear layer's weight.

    Read from it whether the gradient reaches the first layers: over depth it should stay within a factor of
    ten or so. In a deep plain net it does not. It is 0 for a layer that is frozen or took no part.

    Args:
        history: gets one value for each layer, labelled with its name.
        every: steps between two measurements; the first step that it sees is always measured.

    Reference:
        arXiv:1512.03385, section 4.1, on the gradients of plain nets.
    """
    return LayerSeries(history, "gradient_norms", "grad_norm", _of_gradients, at=GradientsReady, every=every)


def _of_gradients(weights: list[Tensor]) -> Tensor:
    """(L,) on the device."""
    return norms(
        [weight.grad if weight.grad is not None else torch.zeros_like(weight[:1]) for weight in weights]
    )


def weight_norms(history: History, every: int = 10) -> Recorder:
    """A recorder of ``weight_norm/<layer>``: the 2-norm of each conv and linear layer's weight after an update.

    Read from it what weight decay and learning rate do together. Before a batch norm the length means nothing to the
    answer, yet the same step turns a weight twice as long half as far: growing norms slow the layer down.

    Args:
        history: gets one value for each layer, labelled with its name.
        every: steps between two measurements; the first step that it sees is always measured.

    Reference:
        arXiv:1706.05350, section 2.
    """
    return LayerSeries(history, "weight_norms", "weight_norm", norms, at=StepDone, every=every)
