"""How far a training has come: all that it needs to go on as if it had never stopped."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from reswork.errors import InvalidSetting


@dataclass(frozen=True, slots=True)
class TrainingState:
    """Weights, optimizer and settings between two steps.

    Job, augmentation, mixup and dropout of every step follow from the recipe's seed and the step's number, so
    that no random state belongs to it.

    Args:
        step: updates made.
        tensors: ``model/<name>``, ``optimizer/<name of the weight>/<name>``, ``average/<name>``,
            ``recorder/<name>/<key>``. Those of a run that goes on are its own: copy them before its next step.
        values: the rest as JSON values. Where it is empty, and there are tensors of the model alone, the optimizer
            begins afresh, and schedule and order of the images go on at the step.
    """

    step: int
    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)

    def part(self, name: str) -> dict[str, Tensor]:
        """The tensors whose names begin with ``name/``, without that."""
        return {
            key.removeprefix(f"{name}/"): tensor
            for key, tensor in self.tensors.items()
            if key.startswith(f"{name}/")
        }


def load_weights(model: nn.Module, state: TrainingState) -> None:
    """Put a state's weights and statistics into a model.

    Raises:
        InvalidSetting: if they do not fit it.
    """
    load_into(model, state.part("model"), f"the weights of step {state.step:,}")


def leave_untrained(model: nn.Module, state: TrainingState) -> None:
    """Let those weights want no gradient that wanted none in the training that the state is of.

    Raises:
        InvalidSetting: if the model has not all of them.
    """
    weights = dict(model.named_parameters())
    for name in state.values.get("untrained", ()):
        if name not in weights:
            raise InvalidSetting(
                "start",
                f"step {state.step:,} left {name!r} untrained, which this network has not; go on with its own",
            )
        weights[name].requires_grad_(False)


def load_into(model: nn.Module, tensors: Mapping[str, Tensor], what: str) -> None:
    """`load_state_dict`, all or nothing, with one sentence where it does not fit."""
    check_tensors(model, tensors, what)
    model.load_state_dict(dict(tensors), strict=False)


def check_tensors(model: nn.Module, tensors: Mapping[str, Tensor], what: str) -> None:
    """Refuse tensors that are not those of a model, by their names and shapes; it may be on "meta".

    Raises:
        InvalidSetting: naming the first that does not fit.
    """
    own = {name: value for name, value in model.state_dict().items() if isinstance(value, Tensor)}
    wrong = sorted(own.keys() ^ tensors.keys()) or [
        name for name, value in own.items() if value.shape != tensors[name].shape
    ]
    if wrong:
        raise InvalidSetting(
            "start",
            f"{what} do not fit this network, beginning with {wrong[0]!r}; go on with the network that they are of",
        )


def optimizer_tensors(optimizer: Optimizer, model: nn.Module) -> dict[str, Tensor]:
    """What an optimizer remembers of each weight of a model, as ``optimizer/<name of the weight>/<name>``."""
    return {
        f"optimizer/{name}/{key}": value
        for name, weight in model.named_parameters()
        for key, value in optimizer.state.get(weight, {}).items()
        if isinstance(value, Tensor)
    }


def optimizer_settings(optimizer: Optimizer) -> list[dict[str, Any]]:
    """Learning rate and the like of each group, as JSON values."""
    return [
        {key: value for key, value in group.items() if isinstance(value, bool | int | float | list | tuple)}
        | {"params": len(group["params"])}
        for group in optimizer.param_groups
    ]


def load_optimizer(
    optimizer: Optimizer, model: nn.Module, tensors: Mapping[str, Tensor], settings: list[dict[str, Any]]
) -> None:
    """Give an optimizer its memory back, in the memory format of the weights.

    Args:
        optimizer: new, over the same weights.
        model: whose weights they are.
        tensors: as `optimizer_tensors` gives them, without ``optimizer/``; or with the places of the weights in the
            optimizer instead of their names, as they were kept at first.
        settings: as `optimizer_settings` gives them.

    Raises:
        InvalidSetting: if they are of another optimizer or other weights.
    """
    held = [weight for group in optimizer.param_groups for weight in group["params"]]
    known = {id(weight) for weight in held}
    weights = {str(index): weight for index, weight in enumerate(held)}
    weights |= {name: weight for name, weight in model.named_parameters() if id(weight) in known}
    sizes = [len(group["params"]) for group in optimizer.param_groups]
    if sizes != [each.get("params") for each in settings]:
        raise _misfit()
    for key, value in tensors.items():
        owner, _, name = key.rpartition("/")
        weight = weights.get(owner)
        if weight is None or value.shape not in (weight.shape, torch.Size()):
            raise _misfit()
        optimizer.state[weight][name] = _like(weight, value, on_device=bool(optimizer.defaults.get("fused")))
    for group, kept in zip(optimizer.param_groups, settings, strict=True):
        for key, value in kept.items():
            if key != "params" and key in group:
                group[key] = tuple(value) if isinstance(group[key], tuple) else value


def _like(weight: Tensor, value: Tensor, *, on_device: bool) -> Tensor:
    if value.shape == weight.shape and value.dim():
        return torch.empty_like(weight, dtype=value.dtype, requires_grad=False).copy_(value)
    return value.detach().clone().to(weight.device if on_device else "cpu")


def _misfit() -> InvalidSetting:
    return InvalidSetting(
        "start", "what the optimizer remembers does not fit this network and recipe; go on with the run's own"
    )
