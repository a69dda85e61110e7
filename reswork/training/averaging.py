"""Exponential moving average of a model's weights."""

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from reswork.training.progress import load_into


class MovingAverage:
    """A copy of the model whose weights and statistics follow the live ones slowly.

    The decay grows from 0.1 to the given one over the first updates, ``(1 + n) / (10 + n)``, so that short
    runs are not dominated by the random weights of the beginning.

    Args:
        model: followed; unchanged.
        decay: share of the average that each update keeps, 0 to below 1.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self._decay = decay
        self._updates = 0
        live = [*model.parameters(), *model.buffers()]
        mean = [*self.model.parameters(), *self.model.buffers()]
        floating = [tensor.is_floating_point() for tensor in live]
        self._live = [tensor.detach() for tensor, float_ in zip(live, floating, strict=True) if float_]
        self._mean = [tensor for tensor, float_ in zip(mean, floating, strict=True) if float_]
        self._live_counts = [tensor for tensor, float_ in zip(live, floating, strict=True) if not float_]
        self._counts = [tensor for tensor, float_ in zip(mean, floating, strict=True) if not float_]

    @torch.no_grad()
    def update(self) -> None:
        """Move the average towards the live weights; after each step."""
        self._updates += 1
        decay = min(self._decay, (1 + self._updates) / (10 + self._updates))
        torch._foreach_lerp_(self._mean, self._live, 1 - decay)
        if self._counts:
            torch._foreach_copy_(self._counts, self._live_counts)

    @property
    def updates(self) -> int:
        """How many it has followed."""
        return self._updates

    def restore(self, tensors: Mapping[str, Tensor], updates: int) -> None:
        """Go on with the weights and statistics of an average that followed so many updates.

        Raises:
            InvalidSetting: if they do not fit the model.
        """
        load_into(self.model, tensors, "the averaged weights")
        self._updates = updates

    @torch.no_grad()
    def copy_to(self, model: nn.Module) -> None:
        """Put the averaged weights and statistics into the live model."""
        model.load_state_dict(self.model.state_dict())
