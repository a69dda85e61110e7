"""Layers that stand still for a whole training or for its beginning."""

from dataclasses import dataclass

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from reswork.training.recipe import Recipe, innermost


@dataclass(frozen=True, slots=True)
class FrozenReport:
    """What stands still when a training begins, and what only seems to."""

    layers: tuple[str, ...]  # of the recipe's `frozen`
    weights: int  # numbers in them that would have been trained
    kept: tuple[str, ...]  # norms that keep their statistics: those in them, or all
    untrained: tuple[str, ...]  # those of `kept` whose statistics have never followed an image
    moving: tuple[str, ...]  # norms whose weights somebody froze by hand: their statistics follow the images


class FrozenLayers:
    """Which layers stand still in a step, as a recipe's `frozen`, `unfreeze_epochs` and `norm_statistics` say.

    A frozen layer's weights want no gradient, so that no optimizer, clipping or decay touches them, and its norms with
    running statistics are in evaluation form, so that these stay; with ``norm_statistics="kept"`` all norms are.
    Weights that wanted no gradient before are somebody else's choice, and are left alone.

    Args:
        model: in training form; changed by `turn_to`.
        recipe: names the layers.
        per_epoch: steps of one epoch.

    Attributes:
        joining: names of the weights that are trained later, with the first step in which they are.
    """

    def __init__(self, model: nn.Module, recipe: Recipe, per_epoch: int) -> None:
        self._model, self._recipe = model, recipe
        self._keeps_all = recipe.norm_statistics == "kept"
        self._steps = {  # layers with the first step in which they are trained; one step at least is made without
            layer: max(1, round(epochs * per_epoch)) + 1 for layer, epochs in recipe.unfreeze_epochs.items()
        }
        self._weights = {
            name: weight
            for name, weight in model.named_parameters()
            if weight.requires_grad and innermost(name, recipe.frozen) is not None
        }
        self._norms = {
            name: norm
            for name, norm in _norms(model).items()
            if self._keeps_all or innermost(name, recipe.frozen) is not None
        }
        self.joining = {name: step for name in self._weights if (step := self._step(name)) is not None}

    def turn_to(self, step: int) -> None:
        """Let each layer stand still or learn, as it is in this step."""
        for name, weight in self._weights.items():
            weight.requires_grad_(not self.is_frozen(name, step))
        for name, norm in self._norms.items():
            norm.training = not (self._keeps_all or self.is_frozen(name, step))

    def joins(self, step: int) -> tuple[str, ...]:
        """Names of the layers that learn from this step on, and did not before."""
        return tuple(layer for layer, first in self._steps.items() if first == step)

    def is_frozen(self, name: str, step: int) -> bool:
        """Whether a layer or weight stands still in a step because the recipe says so."""
        first = self._step(name)
        return innermost(name, self._recipe.frozen) is not None and (first is None or step < first)

    def release(self) -> None:
        """Let all its weights want gradients again, as they did before."""
        for weight in self._weights.values():
            weight.requires_grad_(True)

    def report(self) -> FrozenReport:
        """What stands still now."""
        moving = tuple(
            name for name, norm in _norms(self._model).items() if norm.training and _wants_nothing(norm)
        )
        untrained = tuple(name for name, norm in self._norms.items() if _is_untrained(norm))
        count = sum(weight.numel() for weight in self._weights.values())
        return FrozenReport(self._recipe.frozen, count, tuple(self._norms), untrained, moving)

    def _step(self, name: str) -> int | None:
        """The first step in which a frozen layer or weight is trained; None: it never is."""
        layer = innermost(name, self._steps)
        return None if layer is None else self._steps[layer]


def _norms(model: nn.Module) -> dict[str, _NormBase]:
    """Those with running statistics, by name."""
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, _NormBase) and module.running_mean is not None
    }


def _wants_nothing(norm: _NormBase) -> bool:
    """Whether a norm has weights, and none wants a gradient."""
    weights = list(norm.parameters())
    return bool(weights) and not any(weight.requires_grad for weight in weights)


def _is_untrained(norm: _NormBase) -> bool:
    mean, variance = norm.running_mean, norm.running_var
    return mean is not None and variance is not None and bool((mean == 0).all() and (variance == 1).all())
