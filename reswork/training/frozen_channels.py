"""Single channels that stand still for a whole training, while the rest of their layer learns."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from reswork.models.channel_rows import channel_rows, split_channels


class FrozenChannels:
    """Keeps the rows that belong to some channels: of weights and biases, and of a norm's running statistics.

    Their gradients are taken away before clipping, and what decay or momentum still moves is put back after each
    update, so that they keep their values to the last bit. While training, a batch norm goes on normalising with the
    statistics of the batch, those channels too.

    Args:
        model: in training form, with the weights that it begins or goes on with.
        frozen: a recipe's; only names with channels count, such as ``"layer1.0.conv1[3, 7]"``.

    Raises:
        InvalidSetting: for a layer whose weights do not belong to its channels, and for a channel that it has not.
    """

    def __init__(self, model: nn.Module, frozen: Iterable[str]) -> None:
        layers = dict(model.named_modules())
        self._kept: list[tuple[Tensor, Tensor, Tensor]] = []  # tensor in use, rows, their values
        for layer, channels in map(split_channels, frozen):
            if not channels:
                continue
            for values in channel_rows(layers[layer], layer, channels).values():
                rows = torch.tensor(sorted(set(channels)), device=values.device)
                self._kept.append((values, rows, values.detach()[rows].clone()))

    def drop_gradients(self) -> None:
        """No gradient for what stands still."""
        for values, rows, _ in self._kept:
            if values.grad is not None:
                values.grad.index_fill_(0, rows, 0.0)

    @torch.no_grad()
    def put_back(self) -> None:
        """The values as they were."""
        for values, rows, kept in self._kept:
            values.index_copy_(0, rows, kept)
