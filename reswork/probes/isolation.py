"""Looking without a trace: modes, buffers, hooks and random numbers are afterwards what they were before."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from reswork.probes.layer_lookup import is_wrapper, unwrapped
from reswork.probes.readable import check_readable


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[nn.Module]:
    """The network in evaluation mode, unwrapped, to be called and looked at; afterwards all is as it was.

    Each submodule gets its own mode back, each buffer its values, also after an exception. What the network
    draws meanwhile comes from a stream of its own, so the global one does not move, not even when another
    thread draws from it at the same time. While a network is being trained, look at ``run.snapshot()``.

    Args:
        model: any ``nn.Module``; a compiled or ``DataParallel`` one is unwrapped.

    Raises:
        InvalidSetting: for what cannot be looked at, see `check_readable`.
    """
    with at_rest(model) as bare, OwnRandomness():
        yield bare


@contextmanager
def at_rest(model: nn.Module) -> Iterator[nn.Module]:
    """As `undisturbed`, for a network that draws no random numbers: nothing slows its operations."""
    check_readable(model)
    bare = unwrapped(model)
    with ExitStack() as stack:
        for keep in (_without_wrappers, _without_compilation, _same_modes, _same_buffers):
            stack.enter_context(keep(bare))
        for module in bare.modules():
            module.training = False  # not .eval(): some networks override it with work of their own
        yield bare


class OwnRandomness(TorchDispatchMode):
    """Within it, random operations of this thread draw from a stream of their own, the same each time.

    Operations that are given a generator draw from that one.

    Args:
        seed: another one gives another stream.

    Attributes:
        draws: how many there were.
    """

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.draws = 0
        self._start = seed * 1_000_003

    def if_drawn(self) -> "AbstractContextManager[object]":
        """The same again for a network that has drawn within this; for any other nothing, which is quicker."""
        return OwnRandomness() if self.draws else nullcontext()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run one operation."""
        kwargs = kwargs or {}
        if torch.Tag.nondeterministic_seeded not in func.tags or kwargs.get("generator") is not None:
            return func(*args, **kwargs)
        self.draws += 1
        generators = _generators(args, kwargs)
        states = [generator.get_state() for generator in generators]
        try:
            for generator in generators:
                generator.manual_seed(self._start + self.draws)
            return func(*args, **kwargs)
        finally:
            for generator, state in zip(generators, states, strict=True):
                generator.set_state(state)


def _generators(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[torch.Generator]:
    """The global generators that an operation on these arguments may draw from."""
    found = [torch.default_generator]
    leaves = [*tree_leaves((args, kwargs)), kwargs.get("device")]
    devices = {leaf.device if isinstance(leaf, Tensor) else leaf for leaf in leaves}
    for device in devices:
        if isinstance(device, torch.device) and device.type == "cuda":
            index = torch.cuda.current_device() if device.index is None else device.index
            found.append(torch.cuda.default_generators[index])
        elif isinstance(device, torch.device) and device.type == "mps":
            found.append(torch.mps._get_default_mps_generator())
    return found


@contextmanager
def _without_wrappers(model: nn.Module) -> Iterator[None]:
    """Compiled and data-parallel parts are replaced by what they wrap: hooks are sure to be called there."""
    replaced = []
    try:
        for parent in list(model.modules()):
            for name, child in parent._modules.items():
                if child is not None and is_wrapper(child):
                    replaced.append((parent, name, child))
        for parent, name, child in replaced:
            parent._modules[name] = unwrapped(child)
        yield
    finally:
        for parent, name, child in replaced:
            parent._modules[name] = child


@contextmanager
def _without_compilation(model: nn.Module) -> Iterator[None]:
    """What ``module.compile()`` left is put aside: a compiled call does not see new hooks."""
    compiled = {
        module: module.__dict__.pop("_compiled_call_impl")
        for module in model.modules()
        if module.__dict__.get("_compiled_call_impl") is not None
    }
    try:
        yield
    finally:
        for module, call in compiled.items():
            module.__dict__["_compiled_call_impl"] = call


@contextmanager
def _same_modes(model: nn.Module) -> Iterator[None]:
    flags = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, flag in flags:
            module.training = flag


@contextmanager
def _same_buffers(model: nn.Module) -> Iterator[None]:
    """The same tensors with the same values, and none that the forward pass added."""
    kept = [(module._buffers, dict(module._buffers)) for module in model.modules() if module._buffers]
    values = {
        id(tensor): tensor.detach().clone()
        for _, buffers in kept
        for tensor in buffers.values()
        if tensor is not None
    }
    empty = [module._buffers for module in model.modules() if not module._buffers]
    try:
        yield
    finally:
        for now, before in [*kept, *((buffers, {}) for buffers in empty)]:
            if now or before:
                now.clear()
                now.update(before)
        with torch.no_grad():
            for _, before in kept:
                for tensor in before.values():
                    if tensor is not None and not torch.equal(tensor, values[id(tensor)]):
                        tensor.copy_(values[id(tensor)])
