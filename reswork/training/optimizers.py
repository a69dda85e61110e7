"""The recipe's optimizer, with a learning rate for each group of layers, with or without decay on norms and biases."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from reswork.training.muon import Muon, inner_weights
from reswork.training.recipe import Recipe, innermost

_NONE: Mapping[str, int] = {}
_ADAMS: Mapping[str, type[Adam]] = {"adam": Adam, "adamw": AdamW, "muon": Muon}


def optimizer_for(model: nn.Module, recipe: Recipe, joining: Mapping[str, int] = _NONE) -> Optimizer:
    """The optimizer of a recipe over the weights that want gradients now, and those that will later.

    The fused form is one kernel for all weights, and is told through ``found_inf`` on the device to leave
    them as they are, so that nobody needs to wait for the loss.
    """
    groups = parameter_groups(model, recipe, joining)
    try:
        return _built(groups, recipe, fused=True)
    except RuntimeError:  # a device without fused kernels
        return _built(groups, recipe, fused=False)


def parameter_groups(
    model: nn.Module, recipe: Recipe, joining: Mapping[str, int] = _NONE
) -> list[dict[str, Any]]:
    """The weights by learning rate, step from which they are trained, kind of step and, by choice, without decay.

    Norms and biases may be spared the decay; Muon has its own steps for the weights within a network. Without such
    settings it is one group. Weights that join later are a group of their own, because torch's fused SGD wants all
    momentum of a group to begin at once.

    Args:
        model: to be trained.
        recipe: of the training.
        joining: names of weights that want no gradient yet, with the first step in which they will.
    """
    groups: dict[tuple[bool, float, int, bool], dict[str, Any]] = {}
    inner = frozenset(inner_weights(model) if recipe.optimizer == "muon" else ())
    for name, weight in model.named_parameters():
        if not weight.requires_grad and name not in joining:
            continue
        layer = innermost(name, recipe.layer_rates)
        factor = 1.0 if layer is None else recipe.layer_rates[layer]
        spared = not recipe.decay_norm_and_bias and weight.ndim <= 1
        group = groups.setdefault((spared, factor, joining.get(name, 0), name in inner), {"params": []})
        group["params"].append(weight)
    for (spared, factor, _, orthogonal), group in groups.items():
        group["weight_decay"] = 0.0 if spared else recipe.weight_decay
        group |= {"spared": True} if spared else {}
        group |= {"rate_factor": factor} if recipe.layer_rates else {}
        group |= {"orthogonal": True} if orthogonal else {}
    return [
        groups[key] for key in sorted(groups, key=lambda key: key[0])
    ]  # as they come, the spared ones last


def set_learning_rate(optimizer: Optimizer, value: float) -> None:
    """The rate of the next update, in all groups; those of layers with a factor have that many times the rate."""
    for group in optimizer.param_groups:
        group["lr"] = value * group.get("rate_factor", 1.0)


def set_weight_decay(optimizer: Optimizer, value: float) -> None:
    """New weight decay, except where the recipe spares norms and biases."""
    for group in optimizer.param_groups:
        if not group.get("spared"):
            group["weight_decay"] = value


def set_momentum(optimizer: Optimizer, value: float) -> None:
    """New momentum, or first beta of Adam and AdamW."""
    for group in optimizer.param_groups:
        if "betas" in group:
            group["betas"] = (value, group["betas"][1])
        else:
            group["momentum"] = value
            group["nesterov"] = group["nesterov"] and value > 0


def _built(groups: list[dict[str, Any]], recipe: Recipe, *, fused: bool) -> Optimizer:
    if recipe.optimizer == "sgd":
        return SGD(
            groups, lr=recipe.learning_rate, momentum=recipe.momentum, nesterov=recipe.nesterov, fused=fused
        )
    kind = _ADAMS[recipe.optimizer]
    return kind(groups, lr=recipe.learning_rate, betas=(recipe.momentum, 0.999), fused=fused)


def is_fused(optimizer: Optimizer) -> bool:
    """Whether the optimizer obeys ``found_inf``."""
    return bool(optimizer.param_groups[0].get("fused"))


def leave_weights_if(optimizer: Optimizer, flag: torch.Tensor) -> None:
    """Make a fused optimizer's next update do nothing where the flag, () float32 on the device, is 1."""
    optimizer.found_inf = flag  # type: ignore[attr-defined]
