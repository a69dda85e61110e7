"""Gates: what a layer or a shortcut passes on is changed on its way, while all weights and their names stay."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from reswork.errors import InvalidSetting
from reswork.models.anatomy import BlockAnatomy, residual_blocks

_MOST = 10_000  # channels that one gate may name
_GATES = "_reswork_gates"
_SAVED_OFF = "_reswork_saved_off"


@dataclass(frozen=True)
class Gate:
    """One change of a signal (N, C, ...).

    Args:
        factor: what it is multiplied with; 0 gives zeros whatever it was.
        channels: those that are multiplied, or shuffled among themselves; empty: all.
        shuffle: seed of the order in which its channels come out; None: in their own.
        passes_by: the layer gives its input instead of its output.

    Raises:
        InvalidSetting: for values of which there is no such change.
    """

    factor: float = 1.0
    channels: tuple[int, ...] = ()
    shuffle: int | None = None
    passes_by: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "channels", tuple(self.channels))  # as JSON has it: a list
        if not _is_number(self.factor):
            raise InvalidSetting(
                "factor",
                f"factor={self.factor!r} is no finite number; choose 0 for nothing, 1 for as it is",
            )
        if len(self.channels) > _MOST or not all(_is_whole(one) for one in self.channels):
            raise InvalidSetting(
                "channels", f"channels={self.channels!r} are no numbers of channels; give such as (3, 7)"
            )
        if self.shuffle is not None and not _is_whole(self.shuffle):
            raise InvalidSetting("seed", f"seed={self.shuffle!r} is no seed; choose a whole number from 0")

    def __call__(self, output: Any, inputs: tuple[Any, ...]) -> Any:
        """What goes on instead of a layer's output.

        Raises:
            InvalidSetting: where the output has not these channels, or its form is not the input's.
        """
        if isinstance(output, tuple | list | Mapping):
            raise InvalidSetting("name", "the layer gives several tensors; choose one inside of it")
        if not isinstance(output, Tensor):  # the trail of an anatomy
            return output
        if self.passes_by:
            if inputs[0].shape != output.shape:
                raise InvalidSetting(
                    "name",
                    f"a signal of shape {tuple(inputs[0].shape[1:])} cannot pass by a block that makes "
                    f"{tuple(output.shape[1:])} of it; choose a block that keeps the shape",
                )
            return inputs[0]
        if self.channels:
            self.check_channels(_width(output))
        if self.shuffle is not None:
            output = output[:, torch.as_tensor(self.order(_width(output)))]
        if not self.channels:
            return torch.zeros_like(output) if self.factor == 0 else output * self.factor
        output = output.clone()
        chosen = list(self.channels)
        output[:, chosen] = 0 if self.factor == 0 else output[:, chosen] * self.factor
        return output

    def check_channels(self, width: int) -> None:
        """Refuse channels that a signal of so many has not."""
        if missing := [one for one in self.channels if one >= width]:
            raise InvalidSetting(
                "channels", f"channel {missing[0]} is not there; the layer has 0 to {width - 1}"
            )

    def order(self, width: int) -> np.ndarray:
        """Which channel comes out at each place of so many, int64 (C,)."""
        found = np.arange(width)
        if self.shuffle is not None:
            chosen = np.array(sorted(set(self.channels)), np.int64) if self.channels else found.copy()
            found[chosen] = chosen[channel_order(len(chosen), self.shuffle)]
        return found

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"channels": list(self.channels)}

    @classmethod
    def from_dict(cls, values: Any) -> "Gate":
        """The other way round.

        Raises:
            InvalidSetting: for what describes none.
        """
        try:
            made = cls(**values)
        except TypeError:
            raise InvalidSetting("gates", f"{str(values)[:80]} describes no change of a signal") from None
        return made


class Passage(nn.Module):
    """Carries x over a shortcut as it is, so that the shortcut can have gates where the block had nothing there."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape, kept."""
        return x


def add_gate(module: nn.Module, gate: Gate) -> None:
    """Let a layer pass its output through one more gate, behind those that it has.

    Names of weights, ``isinstance`` and `residual_blocks` stay as they are, and a copy of the layer has the gates too.
    """
    before = gates_of(module)
    if not before:
        module.__class__ = _gated(type(module))
    setattr(module, _GATES, (*before, gate))


def gates_of(module: nn.Module) -> tuple[Gate, ...]:
    """The gates of one layer, in the order in which a signal passes them."""
    found: tuple[Gate, ...] = module.__dict__.get(_GATES, ())
    return found


def has_gates(model: nn.Module) -> bool:
    """Whether any layer has one, so that the network is more than its settings and weights."""
    return any(_GATES in module.__dict__ for module in model.modules())


def end_of(layer: nn.Module) -> nn.Module:
    """The layer that gives the output of a list of layers; any other layer is its own."""
    while type(layer) is nn.Sequential and len(layer):
        layer = layer[-1]
    return layer


def is_off(layer: nn.Module | None) -> bool:
    """Whether gates let nothing through of a layer's output, or nothing of what it computes.

    So does a layer that was saved as zeros (`mark_saved_off`), as long as it has not learned anything since.
    """
    if layer is None:
        return False
    end = end_of(layer)
    saved = _SAVED_OFF in end.__dict__ and not any(bool(weight.any()) for weight in end.parameters())
    return saved or any(map(_shuts, gates_of(end)))


def layers_off(model: nn.Module) -> list[str]:
    """Names of the layers of which gates let nothing through."""
    return [name for name, layer in model.named_modules() if any(map(_shuts, gates_of(layer)))]


def mark_saved_off(model: nn.Module, names: Sequence[str]) -> None:
    """Remember that the zeros of these layers are those of a branch that was switched off, not a beginning.

    Nothing is computed otherwise; names that the network has not are passed by.
    """
    known = dict(model.named_modules())
    for name in names:
        if name in known:
            known[name].__dict__[_SAVED_OFF] = True


def shortcut_of(block: BlockAnatomy) -> nn.Module:
    """The module whose output goes over a block's shortcut; where x goes by itself, a `Passage` is put there.

    Raises:
        InvalidSetting: for a block without a shortcut, or one whose forward adds x where nothing can be put.
    """
    if not block.has_shortcut:
        raise InvalidSetting(
            "name", f"block {block.name!r} has no shortcut; choose a block of a residual network"
        )
    if block.shortcut is not None:
        return end_of(block.shortcut)
    passage = Passage()
    for name in _free_places(block.module):
        before, is_layer = getattr(block.module, name), name in block.module._modules
        setattr(block.module, name, passage)
        if any(each.shortcut is passage for each in residual_blocks(block.module)):
            return passage
        if not is_layer:
            delattr(block.module, name)
        setattr(block.module, name, before)
    raise InvalidSetting(
        "name",
        f"the forward of block {block.name!r} ({type(block.module).__name__}) adds its input by itself, with no layer "
        "on the shortcut that could be changed; delete its branch instead",
    )


def gate_records(model: nn.Module) -> list[dict[str, Any]]:
    """All gates of a network by the names of their layers, for JSON."""
    return [
        {
            "layer": name,
            "passage": isinstance(module, Passage),
            "gates": [gate.to_dict() for gate in gates_of(module)],
        }
        for name, module in model.named_modules()
        if gates_of(module)
    ]


def restore_gates(model: nn.Module, records: Any) -> None:
    """Put gates back that `gate_records` gave.

    Raises:
        InvalidSetting: if they do not describe changes of this network.
    """
    try:
        for record in records:
            name, _, own = str(record["layer"]).rpartition(".")
            parent = model.get_submodule(name)
            if record["passage"] and own in _free_places(parent):
                setattr(parent, own, Passage())
            layer = model.get_submodule(str(record["layer"]))
            for values in record["gates"]:
                add_gate(layer, Gate.from_dict(values))
    except (AttributeError, TypeError, KeyError) as error:
        raise InvalidSetting(
            "gates", f"the operations in the file do not fit this network: {error}"
        ) from None


def channel_order(width: int, seed: int) -> np.ndarray:
    """The order into which a seed shuffles channels, int64 (C,); it moves at least one where there are two."""
    stream = np.random.RandomState(seed)  # frozen across versions
    order = stream.permutation(width)
    while width > 1 and (order == np.arange(width)).all():
        order = stream.permutation(width)
    return order


def _gated(kind: type[nn.Module]) -> type[nn.Module]:
    """A layer's class again, with gates behind its output."""

    def forward(self: nn.Module, *inputs: Any, **more: Any) -> Any:
        output = kind.forward(self, *inputs, **more)
        for gate in gates_of(self):
            output = gate(output, inputs)
        return output

    def extra_repr(self: nn.Module) -> str:
        own = kind.extra_repr(self)
        return f"{own}, gates={gates_of(self)}" if own else f"gates={gates_of(self)}"

    return type(
        kind.__name__,
        (kind,),
        {"forward": forward, "extra_repr": extra_repr, "__module__": kind.__module__},
    )


def _free_places(block: nn.Module) -> list[str]:
    """Names under which a block has nothing, where others of its kind have a layer."""
    empty = [name for name, value in block.__dict__.items() if value is None and not name.startswith("_")]
    children = [
        name
        for name, child in block._modules.items()
        if child is None
        or isinstance(child, nn.Identity)
        or (isinstance(child, nn.Sequential) and not len(child))
    ]
    return [*empty, *children]


def _width(output: Tensor) -> int:
    if output.dim() < 2:
        raise InvalidSetting("name", f"a signal of shape {tuple(output.shape)} has no channels")
    return int(output.shape[1])


def _shuts(gate: Gate) -> bool:
    return gate.passes_by or (gate.factor == 0 and not gate.channels)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))
