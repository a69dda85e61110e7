"""`prune_channels`: a network with fewer channels, and what they said of theirs kept."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from reswork.compression.foreign_channels import prune_foreign
from reswork.errors import InvalidSetting
from reswork.models.blocks import CONVOLUTIONS, PaddedShortcut, ResidualBlock
from reswork.models.config import ResNetConfig
from reswork.models.gates import gate_records
from reswork.models.network import ResNet
from reswork.models.plan import BlockPlan, block_plans, squeezed
from reswork.probes.layer_lookup import unwrapped
from reswork.reporting.answers import model_of

_STEP = 4  # engines compute so many channels at once, so that a number between costs as much as the next
_OF_CHANNELS = ("weight", "bias", "running_mean", "running_var")


def prune_channels(
    model: Any, share: float = 0.5, *, trunk: float = 0.0, images: Tensor | None = None
) -> nn.Module:
    """A new network in which some channels are missing; it computes less, and wants to be trained a little.

    An addition ties channels: the third channel of a block's output is the third of its input, of all blocks of a
    stage, and through a shortcut without weights (A) of all later stages. The channels between a block's convolutions
    are tied to nothing, so that they are pruned first. Of tied channels those go whose weights are smallest, all
    layers that write or read them taken together.

    Args:
        model: any network, a run or an opened checkpoint; it stays as it is. One that was not built here is pruned by
            torch-pruning (the extra ``prune``), tied channels as others, and ``trunk`` is not used.
        share: of the channels inside of each block that go, 0 to below 1; what is left is a multiple of 4 where
            there were 16 or more.
        trunk: of the channels that shortcuts carry, likewise; of the classifiers that are built here.
        images: (N, C, H, W), normalised, for a network that was not built here.

    Returns:
        A network of its own, in evaluation mode.

    Raises:
        InvalidSetting: in one sentence, where it cannot be done.

    Example:
        >>> from reswork.models.network import resnet
        >>> net = prune_channels(resnet(depth=20), 0.5, trunk=0.25)
        >>> net.config.width, net.config.inner_channels
        (12, (8, 8, 8, 16, 16, 16, 32, 32, 32))
        >>> sum(each.numel() for each in net.parameters())
        101902
    """
    for name, value in (("share", share), ("trunk", trunk)):
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
            raise InvalidSetting(name, f"{name}={value!r} is no share; choose a number from 0 to below 1")
    found = unwrapped(model_of(model))
    if type(found) is not ResNet:
        return prune_foreign(found, share, images)
    if gate_records(found):
        raise InvalidSetting(
            "model",
            "parts of this network are switched off or shuffled: prune it before, and operate on it then",
        )
    config = found.config.resolved()
    if config.groups > 1 or config.bottleneck_width != 64:
        raise InvalidSetting(
            "model",
            f"{config.label} has grouped or wide bottlenecks, whose channels are not pruned here; delete blocks",
        )
    if trunk and config.head != "classifier":
        raise InvalidSetting(
            "trunk", f"the head of {config.label} reads what shortcuts carry; choose trunk=0 and a share"
        )
    slim = ResNet(_config(config, share, trunk))
    slim.load_state_dict(_state(found, slim))
    return slim.eval()


def fewer(channels: int, share: float) -> int:
    """Channels that are left.

    Example:
        >>> fewer(16, 0.5), fewer(16, 0.3), fewer(6, 0.5), fewer(2, 0.9)
        (8, 12, 3, 1)
    """
    left = max(1, round(channels * (1 - share)))
    return min(channels, -(-left // _STEP) * _STEP) if channels >= 16 else left


@dataclass(frozen=True, eq=False)
class _Axes:
    """A layer, and the numbers of the channels that it writes and reads; None: pixels or classes."""

    name: str
    out: np.ndarray | None
    into: np.ndarray | None = None


class _Ties:
    """Every layer of a network that has channels, with a number for each channel; tied ones have the same.

    Attributes:
        axes: the layers.
        groups: numbers of channels among which those that stay are chosen; in the same order for any widths.
    """

    def __init__(self, model: ResNet) -> None:
        self.axes: list[_Axes] = []
        self.groups: list[np.ndarray] = []
        self._count = 0
        now: np.ndarray | None = None
        for part, layer in model.conv1.named_modules():
            if isinstance(layer, (*CONVOLUTIONS, nn.Linear)):
                before, now = now, self._new(len(layer.weight))
                self.axes.append(_Axes(f"conv1.{part}".rstrip("."), now, before))
            elif part:
                self.axes.append(_Axes(f"conv1.{part}", now))
        assert now is not None
        self.axes.append(_Axes("bn1", now))
        for stage in model.stage_names:
            for index, block in enumerate(getattr(model, stage)):
                into, now = now, self._written(block, now)
                self._add_block(f"{stage}.{index}", block.plan, into, now)
        self.axes += [_Axes(name, now) for name in model.last_names]
        if model.decoder is None:
            self.axes.append(_Axes("fc", None, now))

    def _new(self, size: int) -> np.ndarray:
        found = np.arange(self._count, self._count + size)
        self._count += size
        self.groups.append(found)
        return found

    def _written(self, block: ResidualBlock, into: np.ndarray) -> np.ndarray:
        """The channels of a block's output, which its shortcut ties to those of its input."""
        if isinstance(block.downsample, PaddedShortcut):
            front, back = self._new(block.downsample.front), self._new(block.downsample.back)
            return np.concatenate([front, into, back])
        return into if block.plan.shortcut == "identity" else self._new(block.plan.channels)

    def _add_block(self, name: str, plan: BlockPlan, into: np.ndarray, out: np.ndarray) -> None:
        now, convs = into, [layer for layer in plan.branch if layer in plan.convs]
        for layer in (*plan.shared, *plan.branch):
            if layer in plan.convs:
                before, now = now, out if layer == convs[-1] else self._new(plan.convs[layer].channels)
                self.axes.append(_Axes(f"{name}.{layer}", now, before))
            elif layer == "se":
                hidden = self._new(squeezed(plan.channels))
                self.axes += [_Axes(f"{name}.se.fc1", hidden, now), _Axes(f"{name}.se.fc2", now, hidden)]
            else:
                self.axes.append(_Axes(f"{name}.{layer}", now))
        self.axes += [_Axes(f"{name}.{layer}", out) for layer in plan.after]
        if plan.shortcut == "projection":
            self.axes += [_Axes(f"{name}.downsample.0", out, into), _Axes(f"{name}.downsample.1", out)]

    def importance(self, state: Mapping[str, Tensor]) -> np.ndarray:
        """Squared weights of each channel, the mean over the layers that have it, relative to those beside it."""
        total, layers = np.zeros(self._count), np.zeros(self._count)
        for each in self.axes:
            weight = state.get(f"{each.name}.weight")
            for axis, numbers in ((0, each.out), (1, each.into)):
                if (
                    weight is None
                    or numbers is None
                    or weight.dim() <= axis
                    or weight.shape[axis] != len(numbers)
                ):
                    continue
                others = [k for k in range(weight.dim()) if k != axis]
                squares = weight.double().square()
                total[numbers] += (squares.sum(others) if others else squares).cpu().numpy()
                layers[numbers] += 1
        return total / np.maximum(layers, 1)


def _config(config: ResNetConfig, share: float, trunk: float) -> ResNetConfig:
    assert config.width is not None
    inner = []
    for plan in block_plans(config):
        first = plan.convs.get("conv1") or plan.convs.get("linear1")
        inner.append(fewer(first.channels, share) if first is not None else 1)
    return replace(config, width=fewer(config.width, trunk), inner_channels=tuple(inner), depth=None)


def _state(model: ResNet, slim: ResNet) -> dict[str, Tensor]:
    """The weights of the channels that stay, by the names that they have in both."""
    state, ties = model.state_dict(), _Ties(model)
    importance, stays = ties.importance(state), np.zeros(ties._count, bool)
    for group, left in zip(ties.groups, _Ties(slim).groups, strict=True):
        stays[group[np.argsort(-importance[group], kind="stable")[: len(left)]]] = True
    for each in ties.axes:
        for name in (f"{each.name}.{kind}" for kind in _OF_CHANNELS):
            value = state.get(name)
            if value is None or not value.dim():
                continue
            if each.out is not None and len(value) == len(each.out):  # a Fixup bias is one number for all
                value = value[torch.from_numpy(stays[each.out])]
            if each.into is not None and value.dim() > 1:
                value = value[:, torch.from_numpy(stays[each.into])]
            state[name] = value
    return state
