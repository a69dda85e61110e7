"""The recipe's optimizer, with or without decay on norms and biases."""

from typing import Any

import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from reswork.training.recipe import Recipe


def optimizer_for(model: nn.Module, recipe: Recipe) -> Optimizer:
    """The optimizer of a recipe over the weights that want gradients.

    The fused form is one kernel for all weights, and is told through ``found_inf`` on the device to leave
    them as they are, so that nobody needs to wait for the loss.
    """
    groups = parameter_groups(model, recipe)
    try:
        return _built(groups, recipe, fused=True)
    except RuntimeError:  # a device without fused kernels
        return _built(groups, recipe, fused=False)


def parameter_groups(model: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """One group with the recipe's weight decay and, by choice, one of norms and biases without."""
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    spared = [] if recipe.decay_norm_and_bias else [weight for weight in trained if weight.ndim <= 1]
    held = {id(weight) for weight in spared}
    decayed = [weight for weight in trained if id(weight) not in held]
    groups: list[dict[str, Any]] = [
        {"params": decayed, "weight_decay": recipe.weight_decay},
        {"params": spared, "weight_decay": 0.0, "spared": True},
    ]
    return [group for group in groups if group["params"]]


def set_learning_rate(optimizer: Optimizer, value: float) -> None:
    """The rate of the next update, in all groups."""
    for group in optimizer.param_groups:
        group["lr"] = value


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
    kind: type[Adam] = AdamW if recipe.optimizer == "adamw" else Adam
    return kind(groups, lr=recipe.learning_rate, betas=(recipe.momentum, 0.999), fused=fused)


def is_fused(optimizer: Optimizer) -> bool:
    """Whether the optimizer obeys ``found_inf``."""
    return bool(optimizer.param_groups[0].get("fused"))


def leave_weights_if(optimizer: Optimizer, flag: torch.Tensor) -> None:
    """Make a fused optimizer's next update do nothing where the flag, () float32 on the device, is 1."""
    optimizer.found_inf = flag  # type: ignore[attr-defined]
