"""The residual blocks of any network: where each branch ends, and what the shortcut carries to the addition.

A block is found by running its own ``forward`` once, without numbers: on a ghost of the block whose layers are
stand-ins, with a trail in place of the tensor that remembers the layers it came through. Nothing of the model
is touched and nothing global is patched (as torch.fx does while it traces), so that another thread may train it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from reswork.models.blocks import ResidualBlock


@dataclass(frozen=True, eq=False)
class BlockAnatomy:
    """One residual block, y = F(x) + shortcut(x), and the layers at which both summands can be seen.

    Whoever hooks ``branch`` or ``shortcut`` must use or copy the output at once: many blocks add in place.

    Attributes:
        name: dotted name in the model, such as ``"layer1.0"``.
        module: the block itself; its input is x.
        branch: dotted name of the layer whose output is F(x) as it enters the addition; None where the branch
            is switched off.
        shortcut: the module whose output enters the addition over the shortcut; None for x itself, and where
            there is no shortcut.
        has_shortcut: False in a plain network's block, whose branch is all there is.
    """

    name: str
    module: nn.Module
    branch: str | None
    shortcut: nn.Module | None
    has_shortcut: bool

    @property
    def branch_module(self) -> nn.Module | None:
        """The layer that ``branch`` names."""
        if self.branch is None:
            return None
        return self.module.get_submodule(self.branch[len(self.name) + 1 if self.name else 0 :])


def residual_blocks(model: nn.Module) -> tuple[BlockAnatomy, ...]:
    """Every residual block of a network, from input to output as its modules are listed.

    Blocks built here are known by their plan, also those of plain networks and those whose branch is switched
    off. Any other module is one if its forward adds exactly once two values that both come from its input,
    both as a layer gave them (or one of them the input itself), and one came through more convolutions or
    linear layers: that one is the branch. So torchvision's, timm's and most hand-written blocks are found,
    whether they add in place or not. Of blocks inside blocks the inner ones count.

    Args:
        model: any network; unchanged.

    Returns:
        The blocks; empty where there are none.

    Example:
        >>> from torchvision.models import resnet18
        >>> [(block.name, block.branch) for block in residual_blocks(resnet18())][:2]
        [('layer1.0', 'layer1.0.bn2'), ('layer1.1', 'layer1.1.bn2')]
    """
    found = []
    for name, module in model.named_modules():
        if isinstance(module, ResidualBlock):
            plan = module.plan
            branch = _dotted(name, plan.branch[-1]) if plan.branch else None
            found.append(BlockAnatomy(name, module, branch, module.downsample, plan.shortcut != "none"))
        elif (block := _traced(name, module)) is not None:
            found.append(block)
    outer = {prefix for block in found for prefix in _prefixes(block.name)}
    return tuple(block for block in found if block.name not in outer)


def _traced(name: str, module: nn.Module) -> BlockAnatomy | None:
    """The block that one run of a ghost of the module tells of, if it is one."""
    if next(module.children(), None) is None:
        return None
    additions: list[tuple[_Trail, _Trail]] = []
    calls: list[str] = []
    try:
        type(module).forward(_ghost(module, calls), _Trail(additions, "", 0))
    except Exception:  # it wants to see numbers, or several inputs: no block that can be read
        return None
    if len(additions) != 1:
        return None
    shortcut, branch = sorted(additions[0], key=lambda trail: trail.weights)
    ends = [trail.layer for trail in (shortcut, branch) if trail.layer]
    if shortcut.layer is None or not branch.layer or shortcut.weights == branch.weights:
        return None
    if any(calls.count(layer) != 1 for layer in ends):  # a hook could not tell which call it sees
        return None
    carrier = module.get_submodule(shortcut.layer) if shortcut.layer else None
    if isinstance(carrier, nn.Identity) or (isinstance(carrier, nn.Sequential) and len(carrier) == 0):
        carrier = None
    return BlockAnatomy(name, module, _dotted(name, branch.layer), carrier, True)


def _ghost(module: nn.Module, calls: list[str]) -> nn.Module:
    """The same class and settings with stand-ins for the layers and copies of the tensors, in evaluation mode."""
    ghost: nn.Module = object.__new__(type(module))
    ghost.__dict__ = {
        **module.__dict__,
        "training": False,
        "_modules": {name: child and _standin(child, name, calls) for name, child in module._modules.items()},
        "_parameters": _copies(module._parameters),
        "_buffers": _copies(module._buffers),
    }
    return ghost


def _copies(tensors: dict[str, Any]) -> dict[str, Any]:
    return {name: None if tensor is None else tensor.detach().clone() for name, tensor in tensors.items()}


def _standin(module: nn.Module, name: str, calls: list[str]) -> Any:
    """In a layer's place; lists and dicts of layers stay lists and dicts."""
    if isinstance(module, nn.ModuleList):
        return [_standin(child, f"{name}.{index}", calls) for index, child in enumerate(module)]
    if isinstance(module, nn.ModuleDict):
        return {key: _standin(child, f"{name}.{key}", calls) for key, child in module.items()}
    return _Layer(module, name, calls)


class _Layer:
    """Stands in for a layer: lets a trail pass and notes that it did."""

    def __init__(self, module: nn.Module, name: str, calls: list[str]) -> None:
        self._module, self._name, self._calls = module, name, calls

    def __call__(self, *inputs: Any, **more: Any) -> "_Trail":
        first, *others = (value for value in (*inputs, *more.values()) if isinstance(value, _Trail))
        self._calls.append(self._name)
        own = sum(isinstance(m, nn.modules.conv._ConvNd | nn.Linear) for m in self._module.modules())
        most = max(trail.weights for trail in (first, *others))
        return _Trail(first.additions, self._name, most + own)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._module, name)
        return _standin(value, f"{self._name}.{name}", self._calls) if isinstance(value, nn.Module) else value

    def __iter__(self) -> Iterator[Any]:
        named = self._module.named_children()
        return (_standin(child, f"{self._name}.{name}", self._calls) for name, child in named)


class _Trail:
    """In a tensor's place.

    Attributes:
        additions: pairs of trails that were added, of the whole block.
        layer: the layer whose output this is; "" for the block's input, None for what a function made.
        weights: convolutions and linear layers that it came through.
    """

    __iter__: ClassVar[None] = None  # or Python would index for ever

    def __init__(self, additions: list[tuple["_Trail", "_Trail"]], layer: str | None, weights: int) -> None:
        self.additions, self.layer, self.weights = additions, layer, weights

    def add(self, other: Any, **_: Any) -> "_Trail":
        if not isinstance(other, _Trail):
            return self._changed()
        self.additions.append((self, other))
        return _Trail(self.additions, None, max(self.weights, other.weights))

    add_ = __add__ = __radd__ = __iadd__ = add

    def _changed(self, *_: Any, **__: Any) -> "_Trail":
        return _Trail(self.additions, None, self.weights)

    __call__ = __getitem__ = __neg__ = _changed
    __mul__ = __rmul__ = __truediv__ = __sub__ = __rsub__ = _changed

    def __getattr__(self, name: str) -> "_Trail":
        if name.startswith("__"):
            raise AttributeError(name)
        return self._changed()  # a method such as relu(), or a number such as shape

    @classmethod
    def __torch_function__(
        cls, function: Any, types: Any, inputs: tuple[Any, ...] = (), more: dict[str, Any] | None = None
    ) -> "_Trail":
        first, *others = (value for value in (*inputs, *(more or {}).values()) if isinstance(value, _Trail))
        if function in (torch.add, torch.Tensor.add, torch.Tensor.add_) and others:
            return first.add(others[0])
        return first._changed()


def _dotted(name: str, layer: str) -> str:
    return f"{name}.{layer}" if name else layer


def _prefixes(name: str) -> list[str]:
    """The names of everything that holds a module."""
    parts = name.split(".") if name else []
    return [".".join(parts[:count]) for count in range(len(parts))]
