"""A private copy of a model, so that whatever a probe does to it, the given one stays as it is."""

from collections import OrderedDict
from typing import Any

import torch
from torch import nn

from reswork.errors import InvalidSetting
from reswork.models.quick_copy import quick_copy
from reswork.probes.layer_lookup import unwrapped
from reswork.probes.readable import check_readable

_RUN = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_HALVES = (torch.float16, torch.bfloat16)


def private_copy(model: nn.Module) -> tuple[nn.Module, tuple[str, ...]]:
    """The model again, in evaluation mode, without hooks and gradients, in single precision at least.

    Weights share the memory of the given ones (nothing here writes to them), buffers and everything else are
    copies: a small part of the time of a whole copy, and next to no memory. A model that is being trained in
    another thread changes under the copy; give a snapshot of it.

    Args:
        model: any module; what is compiled or wrapped for several devices, the whole or a part, is taken bare.

    Returns:
        The copy, and sentences about what differs from the model as it was given.

    Raises:
        InvalidSetting: if it cannot be looked at (see `check_readable`) or copied.
    """
    check_readable(model)
    inner = unwrapped(model)
    try:
        memo = _shared(list(inner.modules()))
        copied = quick_copy(inner, memo, opened=unwrapped, changed={"training": False})
    except Exception as error:
        raise InvalidSetting(
            "model",
            f"this {type(inner).__name__} cannot be copied ({error}); give one that copy.deepcopy takes",
        ) from error
    half = any(weight.dtype in _HALVES for weight in inner.parameters())
    return (copied.float() if half else copied), _notes(inner, half)


def _shared(modules: list[nn.Module]) -> dict[int, Any]:
    """Weights as frozen views, buffers as copies, hooks left out."""
    memo: dict[int, Any] = {}
    for module in modules:
        for weight in module._parameters.values():
            if weight is not None and id(weight) not in memo:
                kept = weight.detach()
                if kept.is_inference():  # autograd refuses those
                    kept = kept.clone()
                memo[id(weight)] = nn.Parameter(kept, requires_grad=False)
        for buffer in module._buffers.values():
            if buffer is not None and id(buffer) not in memo:
                memo[id(buffer)] = buffer.detach().clone()
        for name in _RUN:
            if hooks := getattr(module, name):
                own = "torch.nn.utils"  # weight norm and pruning hook themselves in: part of what is computed
                kept_hooks = {k: hook for k, hook in hooks.items() if type(hook).__module__.startswith(own)}
                memo[id(hooks)] = OrderedDict(kept_hooks)
    return memo


def _notes(model: nn.Module, half: bool) -> tuple[str, ...]:
    notes = []
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.training]
    if norms:
        notes.append(
            f"{len(norms)} batch norms were in training mode; the map is of a copy in evaluation mode, where "
            "each picture is judged by itself."
        )
        if all(norm.num_batches_tracked is not None and int(norm.num_batches_tracked) == 0 for norm in norms):
            notes.append("The batch norms have seen no batch yet: the net is untrained, and so is its map.")
    if half:
        notes.append("The weights are of half precision; the map is computed in single precision.")
    return tuple(notes)
