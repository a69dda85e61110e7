"""A private copy of a model, so that whatever a probe does to it, the given one stays as it is."""

import copy
import copyreg
from collections import OrderedDict
from typing import Any

import torch
from torch import nn

from reswork.errors import InvalidSetting
from reswork.probes.layer_lookup import is_wrapper, unwrapped
from reswork.probes.readable import check_readable

_RUN = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_HOOKS = frozenset(name for name in vars(nn.Module()) if "_hooks" in name)  # and what is noted about them
_EMPTY = _HOOKS | {"_parameters", "_buffers", "_modules", "_non_persistent_buffers_set"}  # mostly
_FIXED = (bool, int, float, str, type(None))
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
        copied = copy.deepcopy(inner, _begun(inner))
    except Exception as error:
        raise InvalidSetting(
            "model",
            f"this {type(inner).__name__} cannot be copied ({error}); give one that copy.deepcopy takes",
        ) from error
    half = any(weight.dtype in _HALVES for weight in inner.parameters())
    return (copied.float() if half else copied), _notes(inner, half)


def _begun(model: nn.Module) -> dict[int, Any]:
    """What deepcopy shall take instead of copying: all that can be had in a quicker way, modules first."""
    modules = list(model.modules())
    memo = _shared(modules)
    states = {id(module): state for module in modules if (state := _plain_state(module)) is not None}
    memo.update(
        (id(module), type(module).__new__(type(module))) for module in modules if id(module) in states
    )
    for module in reversed(modules):  # parts before what holds them
        state = states.get(id(module))
        if state is None:
            memo[id(module)] = copy.deepcopy(unwrapped(module), memo)
            for part in memo[id(module)].modules():
                part.training = False  # not .eval(): some networks override it with work of their own
            continue
        for name in ("_parameters", "_buffers", "_modules"):
            if parts := state[name]:
                memo[id(parts)] = type(parts)((key, memo.get(id(part))) for key, part in parts.items())
        own = {
            name: type(value)() if name in _EMPTY and not value else _taken(value, memo)
            for name, value in state.items()
        }
        memo[id(module)].__setstate__(own | {"training": False})
    return memo


def _taken(value: Any, memo: dict[int, Any]) -> Any:
    """As deepcopy, quicker for what most of a module's attributes are."""
    if id(value) in memo:
        return memo[id(value)]
    kind = type(value)
    if kind in _FIXED or (kind is tuple and all(type(part) in _FIXED for part in value)):
        return value
    if isinstance(value, torch.Tensor) and not value.is_leaf:  # weight_norm and pruning leave some
        return memo.setdefault(id(value), value.detach())
    return copy.deepcopy(value, memo)


def _plain_state(module: nn.Module) -> dict[str, Any] | None:
    """What deepcopy would copy of a module; None where the module has a way of its own."""
    if hasattr(type(module), "__deepcopy__") or is_wrapper(module):
        return None
    reduced: Any = module.__reduce_ex__(4)
    make, given, state = reduced[:3]
    plain = make is copyreg.__newobj__ and given == (type(module),) and isinstance(state, dict)  # type: ignore[attr-defined]
    return state if plain else None


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
