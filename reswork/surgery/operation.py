"""What can be done to a trained network: each operation is a frozen record with a sentence, JSON, and one `apply`."""

import copy
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import nn

from reswork.datasets.dataset import Dataset
from reswork.errors import InvalidSetting
from reswork.models.anatomy import BlockAnatomy, residual_blocks
from reswork.models.blocks import ResidualBlock
from reswork.models.channel_rows import channel_count, channel_rows, split_channels
from reswork.models.gates import Gate, add_gate, end_of, shortcut_of
from reswork.models.network import ResNet
from reswork.probes.isolation import OwnRandomness
from reswork.probes.layer_lookup import find_layers
from reswork.surgery.statistics import reestimate_norms, training_batches

Part = Literal["branch", "shortcut"]
_FEWEST = 2  # images: a norm needs two to have a variance


@dataclass(frozen=True, eq=False)
class Ground:
    """What operations may look at besides the network that they change.

    Attributes:
        original: the network before all operations.
        initial: it before its training; None: not known.
        data: what it learned from; None: not known.
    """

    original: nn.Module
    initial: nn.Module | None = None
    data: Dataset | None = None


@dataclass(frozen=True)
class Operation:
    """One change of a network; `Delete`, `Scale` and the others say which."""

    kind: ClassVar[str] = ""

    @property
    def sentence(self) -> str:
        """What it does, in a few words."""
        raise NotImplementedError

    def apply(self, model: nn.Module, ground: Ground) -> None:
        """Change a network that nobody else holds.

        Raises:
            InvalidSetting: where this cannot be done to this network, in one sentence.
        """
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """For JSON; `operation_from` is the other way round."""
        values = {name: list(one) if isinstance(one, tuple) else one for name, one in asdict(self).items()}
        return {"kind": self.kind, **values}


@dataclass(frozen=True)
class Delete(Operation):
    """Takes a block's branch out, so that only its shortcut is left, or the shortcut, so that only F(x) is.

    A plain network's block, which has no shortcut, is passed by: its input goes on, where it has its output's form.

    Args:
        name: of a block, such as ``"layer1.0"``.
        part: ``"branch"`` or ``"shortcut"``.
    """

    name: str
    part: Part = "branch"
    kind: ClassVar[str] = "delete"

    @property
    def sentence(self) -> str:
        """What it does."""
        return f"{self.part} of {self.name} off"

    def apply(self, model: nn.Module, ground: Ground) -> None:
        """As `Operation.apply`."""
        block = block_of(model, self.name)
        if block is None:
            raise InvalidSetting(
                "name",
                f"{self.name!r} is no residual block, so it has no branch that could be deleted; to silence a layer, "
                f"scale it: Scale({self.name!r}, 0)",
            )
        if block.has_shortcut or self.part != "branch":
            add_gate(signal_layer(model, self.name, self.part), Gate(factor=0.0))
            return
        plan = block.module.plan if isinstance(block.module, ResidualBlock) else None
        if plan is not None and (plan.stride > 1 or plan.in_channels != plan.channels):
            raise InvalidSetting(
                "name",
                f"block {self.name!r} of a plain network makes {plan.channels} channels of {plan.in_channels} with "
                f"stride {plan.stride}, so that nothing can pass it by; choose a block that keeps the shape",
            )
        add_gate(block.module, Gate(passes_by=True))


@dataclass(frozen=True)
class Scale(Operation):
    """Multiplies a block's branch, its shortcut, a layer's output, or some channels of one of these.

    Args:
        name: of a block or of any layer.
        factor: any number; 0 silences.
        part: of a block; a layer has only its output.
        channels: numbers from 0; empty: all.
    """

    name: str
    factor: float
    part: Part = "branch"
    channels: tuple[int, ...] = ()
    kind: ClassVar[str] = "scale"

    def __post_init__(self) -> None:
        object.__setattr__(self, "channels", _channel_tuple(self.channels))
        _check_part(self.part)
        Gate(self.factor, self.channels)

    @property
    def sentence(self) -> str:
        """What it does."""
        of = _told(self.name, self.part)
        of = f"{_of_channels(self.channels)}{of}"
        return f"{of} off" if self.factor == 0 else f"{of} times {self.factor:g}"

    def apply(self, model: nn.Module, ground: Ground) -> None:
        """As `Operation.apply`."""
        layer, gate = signal_layer(model, self.name, self.part), Gate(float(self.factor), self.channels)
        if (width := channel_count(layer)) is not None:
            gate.check_channels(width)
        add_gate(layer, gate)


@dataclass(frozen=True)
class Shuffle(Operation):
    """Gives the channels of a branch, a shortcut or a layer another order: the same numbers at wrong places.

    Args:
        name: of a block or of any layer.
        seed: of the order.
        part: of a block.
        channels: numbers from 0 of those that change places among themselves, two or more; empty: all.
    """

    name: str
    seed: int = 0
    part: Part = "branch"
    channels: tuple[int, ...] = ()
    kind: ClassVar[str] = "shuffle"

    def __post_init__(self) -> None:
        object.__setattr__(self, "channels", _channel_tuple(self.channels))
        _check_part(self.part)
        Gate(channels=self.channels, shuffle=self.seed)
        if len(set(self.channels)) == 1:
            raise InvalidSetting(
                "channels",
                f"channel {self.channels[0]} alone has no other order; give two or more, or none for all",
            )

    @property
    def sentence(self) -> str:
        """What it does."""
        of = _told(self.name, self.part)
        if len(self.channels) == 2:
            return f"channels {self.channels[0]} and {self.channels[1]} of {of} swapped"
        some = f" {', '.join(map(str, self.channels))}" if self.channels else ""
        return f"channels{some} of {of} in another order (seed {self.seed})"

    def apply(self, model: nn.Module, ground: Ground) -> None:
        """As `Operation.apply`."""
        layer, gate = (
            signal_layer(model, self.name, self.part),
            Gate(channels=self.channels, shuffle=self.seed),
        )
        if (width := channel_count(layer)) is not None:
            gate.check_channels(width)
        add_gate(layer, gate)


@dataclass(frozen=True)
class Swap(Operation):
    """Exchanges two blocks or layers of equal form, with all that was done to them before.

    Args:
        first: name of one.
        second: name of the other.
    """

    first: str
    second: str
    kind: ClassVar[str] = "swap"

    @property
    def sentence(self) -> str:
        """What it does."""
        return f"{self.first} and {self.second} swapped"

    def apply(self, model: nn.Module, ground: Ground) -> None:
        """As `Operation.apply`."""
        check_equal_form(ground.original, self.first, self.second)
        one, two = model.get_submodule(self.first), model.get_submodule(self.second)
        _put(model, self.first, two)
        _put(model, self.second, one)


@dataclass(frozen=True)
class Copy(Operation):
    """Puts a copy of a block or layer in the place of another of equal form, or of some channels onto others.

    Channels are named in brackets, as many on both sides: of a convolution, linear layer or norm their weights and
    statistics are copied, and all else stays.

    Args:
        source: name of the one that is copied, with all that was done to it before, such as ``"layer1.1"``, or with
            channels, such as ``"layer1.1.conv1[3]"``.
        onto: name of the one that is lost, such as ``"layer1.2"`` or ``"layer1.2.conv1[5]"``.
    """

    source: str
    onto: str
    kind: ClassVar[str] = "copy"

    def __post_init__(self) -> None:
        for name in (self.source, self.onto):
            split_channels(name)

    @property
    def sentence(self) -> str:
        """What it does."""
        (source, some), (onto, others) = split_channels(self.source), split_channels(self.onto)
        return f"{_of_channels(some)}{source} copied onto {_of_channels(others)}{onto}"

    def apply(self, model: nn.Module, ground: Ground) -> None:
        """As `Operation.apply`."""
        if split_channels(self.source)[1] or split_channels(self.onto)[1]:
            self._copy_channels(model)
            return
        check_equal_form(ground.original, self.source, self.onto)
        _put(model, self.onto, copy.deepcopy(model.get_submodule(self.source)))

    @torch.no_grad()
    def _copy_channels(self, model: nn.Module) -> None:
        (source, some), (onto, others) = split_channels(self.source), split_channels(self.onto)
        if len(some) != len(others) or len(set(others)) != len(others):
            raise InvalidSetting(
                "onto",
                f"{len(some)} channel(s) of {self.source!r} cannot go onto {len(others)} of {self.onto!r}; name as "
                "many on both sides, each of the second once, such as Copy('layer1.1.conv1[3]', 'layer1.2.conv1[5]')",
            )
        layers = find_layers(model, list(dict.fromkeys((source, onto))))
        given = channel_rows(layers[source], source, some)
        taken = channel_rows(layers[onto], onto, others)
        forms = [{key: values.shape[1:] for key, values in rows.items()} for rows in (given, taken)]
        if forms[0] != forms[1]:
            raise InvalidSetting(
                "onto",
                f"a channel of {source!r} has other weights than one of {onto!r}; choose two layers with "
                "the same inputs",
            )
        for key, values in taken.items():
            values[list(others)] = given[key][list(some)]


@dataclass(frozen=True)
class Reset(Operation):
    """Puts a block or layer back to its initial weights, and takes back what was done to it before.

    Where the network before its training is not known, weights are drawn as its kind begins: those of `resnet` by its
    own initialisation, others by the layers' own, convolutions by He's (as torchvision's).

    Args:
        name: of a block or any layer.
        seed: of weights that are drawn; it changes nothing where the initial ones are known.
        channels: of one convolution, linear layer or norm, whose weights and statistics go back; what was done to the
            layer otherwise stays. Empty: all of it.
    """

    name: str
    seed: int = 0
    channels: tuple[int, ...] = ()
    kind: ClassVar[str] = "reset"

    def __post_init__(self) -> None:
        object.__setattr__(self, "channels", _channel_tuple(self.channels))
        Gate(channels=self.channels, shuffle=self.seed)  # whole numbers from 0

    @property
    def sentence(self) -> str:
        """What it does."""
        return f"{_of_channels(self.channels)}{self.name} back to initial weights"

    def apply(self, model: nn.Module, ground: Ground) -> None:
        """As `Operation.apply`."""
        original = find_layers(ground.original, [self.name])[self.name]
        if next(original.parameters(), None) is None:
            raise InvalidSetting("name", f"{self.name!r} has no weights; nothing to reset")
        fresh = self._known(ground) or self._drawn(ground.original, original)
        device = next(original.parameters()).device
        if self.channels:
            self._put_channels(model.get_submodule(self.name), fresh.to(device))
        else:
            _put(model, self.name, fresh.to(device).eval())

    @torch.no_grad()
    def _put_channels(self, layer: nn.Module, fresh: nn.Module) -> None:
        begun = fresh.state_dict()
        for key, values in channel_rows(layer, self.name, self.channels).items():
            values[list(self.channels)] = begun[key][list(self.channels)]

    def _known(self, ground: Ground) -> nn.Module | None:
        if ground.initial is None:
            return None
        initial = find_layers(ground.initial, [self.name])[self.name]
        wanted, found = _shapes(ground.original.get_submodule(self.name)), _shapes(initial)
        if wanted != found:
            raise InvalidSetting(
                "initial", f"{self.name!r} of the initial network has other weights; give the same network"
            )
        return copy.deepcopy(initial)

    def _drawn(self, network: nn.Module, original: nn.Module) -> nn.Module:
        with OwnRandomness(self.seed):
            if isinstance(network, ResNet):
                return ResNet(network.config).get_submodule(self.name)
            fresh = copy.deepcopy(original)
            for name, layer in fresh.named_modules():
                if isinstance(layer, nn.modules.conv._ConvNd):
                    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
                    if layer.bias is not None:
                        nn.init.zeros_(layer.bias)
                elif hasattr(layer, "reset_parameters"):
                    layer.reset_parameters()
                elif next(layer.parameters(recurse=False), None) is not None:
                    raise InvalidSetting(
                        "name",
                        f"the weights of {self.name}.{name} ({type(layer).__name__}) cannot be drawn anew; give the "
                        "network before its training: initial=",
                    )
        return fresh


@dataclass(frozen=True)
class Freeze(Operation):
    """Marks a block or layer that shall not learn when the network is trained on; no answer changes.

    Hand ``Operations.frozen`` to the recipe: ``rw.Recipe(frozen=operations.frozen)``.

    Args:
        name: of a block or any layer with weights, or some channels of a layer: ``"layer1.0.conv1[3, 7]"``.
    """

    name: str
    kind: ClassVar[str] = "freeze"

    def __post_init__(self) -> None:
        split_channels(self.name)

    @property
    def sentence(self) -> str:
        """What it does."""
        layer, channels = split_channels(self.name)
        return f"{_of_channels(channels)}{layer} frozen"

    def apply(self, model: nn.Module, ground: Ground) -> None:
        """As `Operation.apply`."""
        name, channels = split_channels(self.name)
        layer = find_layers(model, [name])[name]
        if channels:
            channel_rows(layer, name, channels)
        if next(layer.parameters(), None) is None:
            raise InvalidSetting(
                "name", f"{self.name!r} has no weights, so it does not learn anyway; choose a layer that has"
            )


@dataclass(frozen=True)
class Reestimate(Operation):
    """Estimates the statistics of all batch norms anew from training images.

    Parts that were changed before give other signals than the statistics were made for; this mends that part of the
    damage, and leaves the weights.

    Args:
        images: training images, chosen by chance; all where there are fewer.
        seed: of the choice.
    """

    images: int = 1000
    seed: int = 0
    kind: ClassVar[str] = "reestimate"

    def __post_init__(self) -> None:
        Gate(shuffle=self.seed)
        if not isinstance(self.images, int) or isinstance(self.images, bool) or self.images < _FEWEST:
            raise InvalidSetting(
                "images", f"images={self.images!r} is not accepted; choose a whole number from {_FEWEST}"
            )

    @property
    def sentence(self) -> str:
        """What it does."""
        return f"batch norms estimated anew from {self.images:,} training images"

    def apply(self, model: nn.Module, ground: Ground) -> None:
        """As `Operation.apply`."""
        if ground.data is None:
            raise InvalidSetting("data", "statistics are estimated from training images; give data=")
        weight = next(model.parameters())
        reestimate_norms(model, training_batches(ground.data, self.images, self.seed, weight.device))


KINDS: Mapping[str, type[Operation]] = {
    each.kind: each for each in (Delete, Scale, Shuffle, Swap, Copy, Reset, Freeze, Reestimate)
}


def operation_from(values: Any) -> Operation:
    """The operation that `Operation.to_dict` told of.

    Raises:
        InvalidSetting: for what is none.

    Example:
        >>> operation_from({"kind": "delete", "name": "layer1.0"}).sentence
        'branch of layer1.0 off'
    """
    kind = str(values.get("kind")) if isinstance(values, Mapping) else ""
    if kind not in KINDS:
        raise InvalidSetting(
            "kind", f"{str(values)[:80]} is no operation; its kind is one of {', '.join(KINDS)}"
        )
    try:
        return KINDS[kind](**{name: value for name, value in values.items() if name != "kind"})
    except TypeError as error:
        raise InvalidSetting("kind", f"{str(values)[:80]} describes no operation: {error}") from None


def block_of(model: nn.Module, name: str) -> BlockAnatomy | None:
    """The residual block of this name; None where the layer is no block.

    Raises:
        InvalidSetting: for a name that is not there.
    """
    layer = find_layers(model, [name])[name]
    found = residual_blocks(layer)
    if not found or found[0].name:
        return None
    branch = found[0].branch
    return replace(found[0], name=name, branch=None if branch is None else f"{name}.{branch}")


def signal_layer(model: nn.Module, name: str, part: Part) -> nn.Module:
    """The layer whose output is a part of a block, or the layer itself where it is no block.

    Raises:
        InvalidSetting: for a part that there is not.
    """
    block = block_of(model, name)
    if part == "shortcut":
        if block is None:
            raise InvalidSetting(
                "part", f"{name!r} is no residual block, so it has no shortcut; choose a block"
            )
        return shortcut_of(block)
    if block is None:
        return end_of(find_layers(model, [name])[name])
    if block.branch_module is None:
        raise InvalidSetting("name", f"the branch of block {name!r} is off already; nothing to change")
    return end_of(block.branch_module)


def check_equal_form(model: nn.Module, first: str, second: str) -> None:
    """Refuse two parts that could not stand in each other's place.

    Raises:
        InvalidSetting: in one sentence.
    """
    found = find_layers(model, [first, second])
    if first == second or first.startswith(f"{second}.") or second.startswith(f"{first}."):
        raise InvalidSetting("second", f"{first!r} and {second!r} are not two parts; choose two")
    one, two = found[first], found[second]
    if isinstance(one, ResidualBlock) and isinstance(two, ResidualBlock):
        plans = [replace(each.plan, name="", stage=0, drop_chance=0.0) for each in (one, two)]
        equal = plans[0] == plans[1]
    else:
        equal = type(one).__name__ == type(two).__name__ and repr(one) == repr(two)
    if not equal or _shapes(one) != _shapes(two):
        raise InvalidSetting(
            "second",
            f"{first!r} and {second!r} are not of equal form (channels, strides and layers), so that neither can stand "
            "in the other's place; choose two blocks of one stage, but not its first",
        )


def _put(model: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, own = name.rpartition(".")
    model.get_submodule(parent)._modules[own] = module


def _shapes(module: nn.Module) -> dict[str, Any]:
    return {name: tensor.shape for name, tensor in module.state_dict().items()}


def _channel_tuple(given: Any) -> tuple[int, ...]:
    return tuple(given) if isinstance(given, list | tuple) else (given,)


def _of_channels(channels: tuple[int, ...]) -> str:
    """``"channels 3, 7 of "``; nothing for all."""
    many = "s" if len(channels) > 1 else ""
    return f"channel{many} {', '.join(map(str, channels))} of " if channels else ""


def _told(name: str, part: Part) -> str:
    return f"{part} of {name}" if part == "shortcut" else name


def _check_part(part: object) -> None:
    if part not in get_args(Part):
        raise InvalidSetting("part", f"part={part!r} is none of a block; choose 'branch' or 'shortcut'")
