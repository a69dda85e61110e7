"""Several small networks of one form as one network, whose convolutions have a group for each of them.

A small network on a processor spends its time on starting operations, not on multiplying. Six of them side by
side start one operation where six networks one after the other start six. `docs/decisions/studies.md` has what was
measured.
"""

import copy
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reswork.errors import InvalidSetting
from reswork.models.blocks import Bias, FixupConv2d, FixupLinear, PaddedShortcut, ResidualBlock, Scale
from reswork.models.network import ResNet

_AS_THEY_ARE = (nn.ReLU, nn.Identity, nn.AdaptiveAvgPool2d, nn.MaxPool2d)  # work on each channel by itself


class SideBySide(nn.Module):
    """Networks that differ in nothing but weights and shortcuts, computed as one.

    A plain network among residual ones is one whose shortcuts are multiplied by zero.

    Args:
        models: with batch norm or no norm, and a classifier; copied, not changed.

    Raises:
        InvalidSetting: for networks that cannot be joined; train those one after the other.
    """

    def __init__(self, models: Sequence[ResNet]) -> None:
        super().__init__()
        self.count = len(models)
        whole = next((model for model in models if model.config.residual), models[0])
        self._plain = [not model.config.residual for model in models]
        self.net = copy.deepcopy(whole)
        states = [{**whole.state_dict(), **model.state_dict()} for model in models]
        if any(state.keys() != states[0].keys() for state in states):
            raise InvalidSetting(
                "models", "networks side by side must be equal in all but weights and shortcuts"
            )
        for name, module in list(self.net.named_modules()):
            if next(module.children(), None) is None:
                joined = self._joined(name, module, states)
                if joined is not module:
                    parent, _, own = name.rpartition(".")
                    setattr(self.net.get_submodule(parent), own, joined)
        if whole.config.residual and any(self._plain):
            shares = torch.tensor([0.0 if plain else 1.0 for plain in self._plain])
            for block in [module for module in self.net.modules() if isinstance(module, ResidualBlock)]:
                block.downsample = _SomeShortcuts(block.downsample, shares)
        self.net.train().to(memory_format=torch.channels_last)  # a fifth faster on processors

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(N, S, C, H, W)``, of each of S networks its own -> logits ``(N, S, K)``."""
        return self.net(x.flatten(1, 2).contiguous(memory_format=torch.channels_last))

    def states(self) -> list[dict[str, Tensor]]:
        """The `state_dict` of each network, as it would be alone."""
        found: list[dict[str, Tensor]] = [{} for _ in range(self.count)]
        for name, value in self.net.state_dict().items():
            name = name.replace(".inside.", ".")
            if name.endswith(".shares"):
                continue
            parts = [value] * self.count if value.dim() == 0 else self._parts(value)
            for state, part in zip(found, parts, strict=True):
                state[name] = part.detach().clone()
        return found

    def _parts(self, value: Tensor) -> list[Tensor]:
        return list(value.chunk(self.count))

    def _joined(self, name: str, module: nn.Module, states: list[dict[str, Tensor]]) -> nn.Module:
        """The layer of all networks in place of that of one."""
        made: nn.Module
        if isinstance(module, nn.Conv2d) and type(module) in (nn.Conv2d, FixupConv2d):
            made = nn.Conv2d(
                module.in_channels * self.count,
                module.out_channels * self.count,
                module.kernel_size,  # type: ignore[arg-type]
                module.stride,  # type: ignore[arg-type]
                module.padding,  # type: ignore[arg-type]
                groups=module.groups * self.count,
                bias=module.bias is not None,
            )
            if type(module) is FixupConv2d:
                made = _FixupConvs(self.count, made)
        elif type(module) is nn.BatchNorm2d:
            made = nn.BatchNorm2d(module.num_features * self.count, module.eps, module.momentum)
        elif isinstance(module, nn.Linear) and type(module) in (nn.Linear, FixupLinear):
            made = _Linears(self.count, module)
        elif type(module) in (Scale, Bias):
            made = _Numbers(self.count, type(module) is Scale)
        elif type(module) is PaddedShortcut:
            return _PaddedShortcuts(module, self.count)
        elif type(module) in _AS_THEY_ARE:
            return module
        else:
            raise InvalidSetting(
                "models",
                f"networks with a layer {type(module).__name__} cannot be computed side by side; "
                f"train them one after "
                "the other",
            )
        own = {key: [state[f"{name}.{key}"] for state in states] for key in module.state_dict()}
        made.load_state_dict(
            {key: values[0] if values[0].dim() == 0 else torch.cat(values) for key, values in own.items()}
        )
        return made


class _Linears(nn.Module):
    """One linear layer for each network."""

    def __init__(self, count: int, one: nn.Linear) -> None:
        super().__init__()
        self.count, self.classes = count, one.out_features
        self.weight = nn.Parameter(torch.empty(count * self.classes, one.in_features))
        self.bias = nn.Parameter(torch.empty(count * self.classes))
        if isinstance(one, FixupLinear):
            self.input_bias = nn.Parameter(torch.empty(count))

    def forward(self, x: Tensor) -> Tensor:
        """``(N, S * F)`` -> ``(N, S, K)``."""
        each = x.unflatten(1, (self.count, -1)).transpose(0, 1)  # (S, N, F)
        if hasattr(self, "input_bias"):
            each = each + self.input_bias.view(-1, 1, 1)
        weights = self.weight.unflatten(0, (self.count, self.classes))  # (S, K, F)
        return torch.bmm(each, weights.transpose(1, 2)).transpose(0, 1) + self.bias.view(
            self.count, self.classes
        )


class _FixupConvs(nn.Module):
    """A convolution with one learned number added to its input, of each network its own."""

    def __init__(self, count: int, conv: nn.Conv2d) -> None:
        super().__init__()
        self.weight, self.input_bias = conv.weight, nn.Parameter(torch.empty(count))
        self.stride, self.padding, self.groups = conv.stride, conv.padding, conv.groups

    def forward(self, x: Tensor) -> Tensor:
        """As ``nn.Conv2d``."""
        x = x + _by_channel(self.input_bias, x)
        return F.conv2d(x, self.weight, None, self.stride, self.padding, 1, self.groups)


class _Numbers(nn.Module):
    """Times or plus one learned number, of each network its own."""

    def __init__(self, count: int, multiplies: bool) -> None:
        super().__init__()
        self.multiplies = multiplies
        if multiplies:
            self.weight = nn.Parameter(torch.empty(count))
        else:
            self.bias = nn.Parameter(torch.empty(count))

    def forward(self, x: Tensor) -> Tensor:
        """``(N, S * C, H, W)``, kept."""
        return x * _by_channel(self.weight, x) if self.multiplies else x + _by_channel(self.bias, x)


def _by_channel(numbers: Tensor, x: Tensor) -> Tensor:
    """``(S,)`` as ``(1, S * C, 1, 1)``, for networks that lie side by side in the channels of x."""
    return numbers.repeat_interleave(x.shape[1] // len(numbers)).view(1, -1, 1, 1)


class _PaddedShortcuts(nn.Module):
    """Shortcut A of each network."""

    def __init__(self, one: PaddedShortcut, count: int) -> None:
        super().__init__()
        self.stride, self.count, self.sides = one.stride, count, (one.front, one.back)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, S * C, H, W)`` -> ``(N, S * channels, H / stride, W / stride)``."""
        x = x[:, :, :: self.stride, :: self.stride].unflatten(1, (self.count, -1))
        return F.pad(x, (0, 0, 0, 0, *self.sides)).flatten(1, 2)


class _SomeShortcuts(nn.Module):
    """A shortcut that some of the networks do not have."""

    shares: Tensor

    def __init__(self, inside: nn.Module | None, shares: Tensor) -> None:
        super().__init__()
        self.inside = inside
        self.register_buffer("shares", shares)

    def forward(self, x: Tensor) -> Tensor:
        """Of networks without shortcuts zeros."""
        out = x if self.inside is None else self.inside(x)
        return out * _by_channel(self.shares, out)
