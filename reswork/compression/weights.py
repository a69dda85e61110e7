"""`prune_weights`: single weights set to zero; smaller when packed, but no faster."""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import prune

from reswork.errors import InvalidSetting
from reswork.probes.layer_lookup import unwrapped
from reswork.probes.private_copy import private_copy
from reswork.reporting.answers import model_of


def prune_weights(model: Any, share: float = 0.5) -> nn.Module:
    """A new network in which the smallest weights of all convolutions and linear layers are zero.

    Nothing gets faster by it, and a file only when it is packed: engines multiply by zeros as by other numbers. It
    shows how much of what was learned is needed.

    Args:
        model: any network, a run or an opened checkpoint; it stays as it is.
        share: of these weights that become zero, 0 to below 1.

    Returns:
        A network of its own, in evaluation mode; `tune` keeps the zeros.

    Raises:
        InvalidSetting: no share, or a network without such layers.

    Reference:
        arXiv 1506.02626.

    Example:
        >>> from reswork.models.network import resnet
        >>> net = prune_weights(resnet(depth=8), 0.9)
        >>> float((net.layer1[0].conv1.weight == 0).float().mean()) > 0.5
        True
    """
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share < 1:
        raise InvalidSetting("share", f"share={share!r} is no share; choose a number from 0 to below 1")
    found = copy.deepcopy(private_copy(unwrapped(model_of(model)))[0]).requires_grad_(True)
    layers = weighted_layers(found)
    if not layers:
        raise InvalidSetting(
            "model", f"{type(found).__name__} has no convolution and no linear layer to be pruned"
        )
    if share:
        found.to(
            memory_format=torch.contiguous_format
        )  # a network that was trained may have its channels last
        named = [(layer, "weight") for layer in layers]
        prune.global_unstructured(named, pruning_method=prune.L1Unstructured, amount=float(share))
        for layer in layers:
            prune.remove(layer, "weight")
    return found.eval()


def weighted_layers(model: nn.Module) -> list[nn.Module]:
    """Its convolutions and linear layers."""
    return [each for each in model.modules() if isinstance(each, nn.modules.conv._ConvNd | nn.Linear)]


def zeros(model: nn.Module) -> list[tuple[Tensor, Tensor]]:
    """Each weight that has zeros, and where the others are."""
    weights = [each.weight for each in weighted_layers(model) if isinstance(each.weight, Tensor)]
    return [(weight, weight != 0) for weight in weights if bool((weight == 0).any())]


@torch.no_grad()
def count_nonzero(model: nn.Module) -> int:
    """Learned numbers that are not zero."""
    return sum(int(torch.count_nonzero(each)) for each in model.parameters())
