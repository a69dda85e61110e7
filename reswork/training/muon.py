"""Muon: steps along a momentum that is made orthogonal, for the weights within a network, and AdamW for all others."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW

_POLYNOMIAL = (3.4445, -4.7750, 2.0315)  # of singular values; Jordan's, which pull small ones up quickly
_ROUNDS = 5
_SIZE = 10.0  # of a step over its rate; so one rate fits AdamW's weights and these
_LEAST = 1e-7  # nothing is divided by less


class Muon(AdamW):
    """An update of Muon for groups with ``orthogonal`` set, and of AdamW for the others, with one rate for both.

    A weight with more than two dimensions is seen as a matrix with a row for each output channel. Its update is the
    Nesterov momentum of its gradient, made nearly orthogonal (all singular values between about 0.7 and 1.2), so that
    no direction is left behind because its gradient is small, times 10 and, where a matrix has more rows than columns,
    the root of their ratio. So it is equally large in networks of any width. Weight decay is apart from the gradient,
    as in AdamW.

    torch.optim.Muon takes matrices alone, and one after another; here those of one shape are one product, in the
    smaller of the two squares that a matrix has.

    Args:
        groups: of weights, as an optimizer takes them; ``betas[0]`` is the momentum of the orthogonal ones.
        how: as AdamW takes it.

    References:
        Jordan et al. 2024, https://kellerjordan.github.io/posts/muon.
    """

    def __init__(self, groups: Iterable[dict[str, Any]], **how: Any) -> None:
        super().__init__(groups, **how)
        for group in self.param_groups:
            group.setdefault("orthogonal", False)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Change all weights that have a gradient."""
        apart = [
            (group, [weight for weight in group["params"] if weight.grad is not None])
            for group in self.param_groups
            if group["orthogonal"]
        ]
        gradients = {weight: weight.grad for _, weights in apart for weight in weights}
        for weight in gradients:
            weight.grad = None  # those without one are not AdamW's
        super().step()
        for weight, gradient in gradients.items():
            weight.grad = gradient
        for group, weights in apart:
            by_shape: dict[torch.Size, list[Tensor]] = {}
            for weight in weights:
                by_shape.setdefault(weight.shape, []).append(weight)
            for alike in by_shape.values():
                self._change(alike, group)

    def _change(self, weights: Sequence[Tensor], group: Mapping[str, Any]) -> None:
        """Weights of one shape."""
        momentum, rate = group["betas"][0], group["lr"]
        gradients = torch.stack([_gradient(weight).flatten(1) for weight in weights])
        kept = [self._momentum(weight) for weight in weights]
        before = torch.stack([each.flatten(1) for each in kept])
        after = torch.lerp(before, gradients, 1 - momentum)
        step = orthogonalised(torch.lerp(gradients, after, momentum))
        rows, columns = step.shape[1:]
        step.mul_(-rate * _SIZE * math.sqrt(max(1.0, rows / columns)))
        decay = 1 - rate * group["weight_decay"]
        bad = getattr(self, "found_inf", None)  # as fused optimizers are told to do nothing
        if bad is not None:
            is_good = bad == 0
            after, step = torch.where(is_good, after, before), torch.where(is_good, step, 0.0)
            decay = torch.where(is_good, decay, 1.0)
        for weight, own, momentum_after, update in zip(weights, kept, after, step, strict=True):
            own.copy_(momentum_after.view(weight.shape))
            weight.mul_(decay).add_(update.view(weight.shape))

    def _momentum(self, weight: Tensor) -> Tensor:
        state = self.state[weight]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(weight)
        kept: Tensor = state["momentum_buffer"]
        return kept


def orthogonalised(matrices: Tensor) -> Tensor:
    """(N, R, C) as UV' of their singular value decompositions UDV', nearly: D becomes about 1 instead of just that.

    Five rounds of a Newton-Schulz iteration of fifth order. It is computed with the products of rows by rows (or of
    columns by columns, where these are fewer), which alone decide by which matrix each is multiplied at last.
    """
    if matrices.shape[1] > matrices.shape[2]:
        return orthogonalised(matrices.mT).mT
    first, third, fifth = _POLYNOMIAL
    scaled = matrices / matrices.norm(dim=(1, 2), keepdim=True).clamp(min=_LEAST)
    square = scaled @ scaled.mT
    whole = None
    for round_ in range(_ROUNDS):
        factor = torch.baddbmm(square, square, square, beta=third, alpha=fifth)
        factor.diagonal(dim1=1, dim2=2).add_(first)
        whole = factor if whole is None else factor @ whole
        if round_ + 1 < _ROUNDS:
            square = factor @ square @ factor
    assert whole is not None
    return whole @ scaled


def inner_weights(model: nn.Module) -> list[str]:
    """Names of the weights that Muon is for: those of two dimensions or more, but for the first and the last one.

    What comes from the outside (pixels, numbers of words) and what goes there (answers) has rows and columns with a
    meaning of their own, which no rotation may mix.
    """
    matrices = [name for name, weight in model.named_parameters() if weight.ndim > 1]
    return matrices[1:-1]


def muon_operations(model: nn.Module) -> int:
    """Additions and products of one update, for all inner weights together."""
    sizes = {name: weight.shape for name, weight in model.named_parameters()}
    count = 0
    for name in inner_weights(model):
        rows, columns = sizes[name][0], sizes[name][1:].numel()
        low, high = min(rows, columns), max(rows, columns)
        squares = _ROUNDS * 4 - 3  # of low x low: 1 + 1 + 2 a round, less those that the ends do not need
        count += 2 * (2 * low * low * high + squares * low**3)
    return count


def _gradient(weight: Tensor) -> Tensor:
    assert weight.grad is not None
    return weight.grad
