"""Does a map depend on what the net has learned? Shuffle its weights from the top down, and see."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn


def shuffled_cascade(net: nn.Module, points: int, seed: int) -> Iterator[str]:
    """Shuffle the weights of one layer after the other, the last first, and halt at some places on the way.

    Each weight keeps its values and loses their order. Given weights are not written to: shuffled ones take
    their place.

    Args:
        net: a private copy; it is changed.
        points: how often to halt, evenly over the layers; at the end everything is shuffled.
        seed: of the shuffling.

    Yields:
        The name of the layer that was shuffled last.

    Reference:
        Adebayo 2018, arXiv:1810.03292, section 3.1 (cascading randomization).
    """
    generator = torch.Generator().manual_seed(seed)
    layers = [
        (name, module)
        for name, module in net.named_modules()
        if any(weight.numel() > 1 for weight in module.parameters(recurse=False))
    ][::-1]
    halts = set(np.linspace(0, len(layers), points + 1).round().astype(int)[1:].tolist())
    for index, (name, module) in enumerate(layers, start=1):
        for part, weight in list(module.named_parameters(recurse=False)):
            order = torch.randperm(weight.numel(), generator=generator).to(weight.device)
            mixed: Tensor = weight.detach().flatten()[order].view_as(weight)
            module._parameters[part] = nn.Parameter(mixed, requires_grad=False)
        if index in halts:
            yield name


def rank_correlation(first: ArrayLike, second: ArrayLike) -> float:
    """Spearman's correlation of two maps' absolute values; 0 where one of them is the same everywhere.

    Example:
        >>> rank_correlation([1.0, -2.0, 3.0], [10.0, 20.0, 90.0])
        1.0
    """
    ranks = [
        _ranks(np.abs(np.nan_to_num(np.asarray(values, np.float64).ravel()))) for values in (first, second)
    ]
    one, other = (values - values.mean() for values in ranks)
    length = np.sqrt((one**2).sum() * (other**2).sum())
    return float((one * other).sum() / length) if length > 0 else 0.0


def _ranks(values: np.ndarray) -> np.ndarray:
    """Mean ranks: equal values share one."""
    _, index, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[index]
