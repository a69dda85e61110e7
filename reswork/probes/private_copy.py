"""A private copy of a model, so that whatever a probe does to it, the given one stays as it is."""

import copy
from collections import OrderedDict
from typing import Any, cast

import torch
from torch import nn

from reswork.errors import InvalidSetting

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_HALVES = (torch.float16, torch.bfloat16)


def private_copy(model: nn.Module) -> tuple[nn.Module, tuple[str, ...]]:
    """The model again, in evaluation mode, without hooks and gradients, in single precision at least.

    Weights share the memory of the given ones (nothing here writes to them), buffers and everything else are
    copies: half the time of a whole copy, and next to no memory. A model that is being trained in another
    thread changes under the copy; give a snapshot of it.

    Args:
        model: any module; of one that is compiled or wrapped for several devices, the module inside is taken.

    Returns:
        The copy, and sentences about what differs from the model as it was given.

    Raises:
        InvalidSetting: if it is no module or cannot be copied.
    """
    if not isinstance(model, nn.Module):
        raise InvalidSetting("model", f"model is a {type(model).__name__}: give a torch.nn.Module")
    inner = _unwrapped(model)
    try:
        copied = copy.deepcopy(inner, _shared(inner))
    except Exception as error:
        raise InvalidSetting(
            "model",
            f"this {type(inner).__name__} cannot be copied ({error}); give one that copy.deepcopy takes",
        ) from error
    notes = _notes(inner)
    copied.eval()
    if any(weight.dtype in _HALVES for weight in copied.parameters()):
        copied.float()
    return copied, notes


def _unwrapped(model: nn.Module) -> nn.Module:
    while True:
        if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            model = model.module
        elif isinstance(getattr(model, "_orig_mod", None), nn.Module):  # torch.compile's wrapper
            model = cast(nn.Module, model._orig_mod)
        else:
            return model


def _shared(model: nn.Module) -> dict[int, Any]:
    """What deepcopy shall take instead of copying: weights as frozen views, hooks left out."""
    memo: dict[int, Any] = {
        id(weight): nn.Parameter(weight.detach(), requires_grad=False) for weight in model.parameters()
    }
    for module in model.modules():
        for name in _HOOKS:
            hooks = getattr(module, name)
            memo[id(hooks)] = OrderedDict((key, hook) for key, hook in hooks.items() if _belongs(hook))
        for value in vars(module).values():
            if isinstance(value, torch.Tensor) and not value.is_leaf:  # weight_norm and pruning leave some
                memo[id(value)] = value.detach()
    return memo


def _belongs(hook: object) -> bool:
    """Whether a hook is part of what the module computes, as torch's own weight norm and pruning are."""
    return type(hook).__module__.startswith("torch.nn.utils")


def _notes(model: nn.Module) -> tuple[str, ...]:
    notes = []
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.training]
    if norms:
        notes.append(
            f"{len(norms)} batch norms were in training mode; the map is of a copy in evaluation mode, where "
            "each picture is judged by itself."
        )
        if all(norm.num_batches_tracked is not None and int(norm.num_batches_tracked) == 0 for norm in norms):
            notes.append("The batch norms have seen no batch yet: the net is untrained, and so is its map.")
    if any(weight.dtype in _HALVES for weight in model.parameters()):
        notes.append("The weights are of half precision; the map is computed in single precision.")
    return tuple(notes)
