"""How far each step moves each layer's weights, compared with their size."""

import torch
from torch import Tensor

from reswork.history import History
from reswork.recorders.layer_series import LayerSeries, norms
from reswork.training.events import Event, GradientsReady, StepDone
from reswork.training.recorder import Recorder


def update_ratios(history: History, every: int = 10) -> Recorder:
    """A recorder of ``update_ratio/<layer>``: ``|dw| / |w|`` of each conv and linear layer's weight in one step.

    ``w`` is the weight before the update and ``dw`` what the whole update changed: learning rate, momentum,
    weight decay and clipping together. About 1e-3 is usual while a net learns; 1e-1 means that the layer is
    thrown about, 1e-6 that it stands still. It is 0 for a frozen layer, and not a number where the weight was zero.

    Args:
        history: gets one value for each layer, labelled with its name.
        every: steps between two measurements; the first step that it sees is always measured.
    """
    return _UpdateRatios(history, every)


class _UpdateRatios(LayerSeries):
    def __init__(self, history: History, every: int) -> None:
        super().__init__(history, "update_ratios", "update_ratio", self._ratios, at=StepDone, every=every)
        self.events = (GradientsReady, *self.events)
        self._before: list[Tensor] | None = None

    def __call__(self, event: Event) -> None:
        match event:
            case GradientsReady():
                if self.interval.due(event.step):
                    self._before = [weight.detach().clone() for weight in self._weights(event)]
            case StepDone():
                if self._before:
                    self._collector.add(event.step, self._ratios(self._weights(event)))
                self._before = None
            case _:
                self._collector.flush()

    @torch.no_grad()
    def _ratios(self, weights: list[Tensor]) -> Tensor:
        """(L,) on the device, by fused operations; the copies are used up."""
        before = self._before or []
        sizes = norms(before)
        torch._foreach_sub_(before, [weight.detach() for weight in weights])
        return norms(before) / sizes
