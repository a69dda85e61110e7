"""The residual block, y = F(x) + x, and the small layers that it is made of."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reswork.models.config import ResNetConfig
from reswork.models.plan import BlockPlan, Conv, norm_groups, squeezed


class PaddedShortcut(nn.Module):
    """Shortcut A: takes every second pixel and appends channels of zeros on both sides; nothing is learned.

    Args:
        in_channels: channels of the input.
        channels: channels of the output; the new ones are split between front and back.
        stride: 1 or 2.

    Reference:
        arXiv 1512.03385, section 3.3, option A.
    """

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.front = (channels - in_channels) // 2
        self.back = channels - in_channels - self.front

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` -> ``(N, channels, H / stride, W / stride)``, in the same memory format."""
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.front, self.back))

    def extra_repr(self) -> str:
        """What print shows."""
        return f"stride={self.stride}, front={self.front}, back={self.back}"


class PaddedSignalShortcut(PaddedShortcut):
    """Shortcut A for signals and volumes."""

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, L)`` -> ``(N, channels, L / stride)``, the same along each further axis."""
        axes = x.dim() - 2
        x = x[(slice(None), slice(None), *(slice(None, None, self.stride),) * axes)]
        return F.pad(x, (*(0, 0) * axes, self.front, self.back))


class Scale(nn.Module):
    """Times one learned number: SkipInit starts it at 0, Fixup at 1."""

    def __init__(self, start: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((1,), start))

    def forward(self, x: Tensor) -> Tensor:
        """Any shape, kept."""
        return x * self.weight


class Bias(nn.Module):
    """Plus one learned number, from 0: what Fixup has instead of a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """Any shape, kept."""
        return x + self.bias


class FixupConv2d(nn.Conv2d):
    """A convolution with one learned number added to its input (Fixup, rule 3)."""

    def __init__(
        self, in_channels: int, channels: int, kernel: int, stride: int = 1, padding: int = 0, groups: int = 1
    ) -> None:
        super().__init__(in_channels, channels, kernel, stride, padding, groups=groups, bias=False)
        self.input_bias = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """As ``nn.Conv2d``."""
        return super().forward(x + self.input_bias)


class FixupLinear(nn.Linear):
    """A classifier with one learned number added to its input (Fixup, rule 3)."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features)
        self.input_bias = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """As ``nn.Linear``."""
        return super().forward(x + self.input_bias)


CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)  # by axes
_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)  # of rows too


def convolution(
    conv: Conv, config: ResNetConfig, *, in_block: bool = True
) -> nn.Conv1d | nn.Conv2d | nn.Conv3d:
    """A convolution that keeps the size (divided by its stride); with a bias only where no norm follows."""
    sizes = (conv.in_channels, conv.channels, conv.kernel, conv.stride, conv.kernel // 2)
    if config.residual_scaling == "fixup" and in_block:
        return FixupConv2d(*sizes, groups=conv.groups)
    has_bias = config.norm == "none" and config.residual_scaling != "fixup"
    made: nn.Conv1d | nn.Conv2d | nn.Conv3d = CONVOLUTIONS[config.dims - 1](
        *sizes, groups=conv.groups, bias=has_bias
    )
    return made


def norm(channels: int, config: ResNetConfig) -> nn.Module:
    """The norm of the config over ``(N, channels, ...)``; Fixup has a bias instead."""
    if config.norm == "batch":
        return _BATCH_NORMS[config.dims](channels)
    if config.norm == "group":
        return nn.GroupNorm(norm_groups(channels), channels)
    return Bias() if config.residual_scaling == "fixup" else nn.Identity()


class ResidualBlock(nn.Module):
    """One block: runs the layers of its branch in the plan's order, adds the shortcut, and runs what follows.

    With the default order a basic block is ``relu2(bn2(conv2(relu1(bn1(conv1(x))))) + x)``. Attribute names
    are torchvision's, but each use of a ReLU has its own module, so that hooks see every use.

    Args:
        plan: the block's layers and shapes.
        config: the resolved settings of the net.

    Reference:
        arXiv 1512.03385, equations 1 and 2; orders: arXiv 1603.05027, figure 4.
    """

    def __init__(self, plan: BlockPlan, config: ResNetConfig) -> None:
        super().__init__()
        self.plan = plan
        for name in plan.layer_names:
            self.add_module(name, _layer(name, plan, config))
        self.downsample = _shortcut(plan, config)  # torchvision's name; None where x is added as it is

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, H, W)`` -> ``(N, channels, H / stride, W / stride)``."""
        x = self._run(self.plan.shared, x)  # a pre-activation that the projection reads too
        if not self.plan.branch:
            return self._run(self.plan.after, self._shortcut(x))
        out = self._run(self.plan.branch, x)  # F(x)
        if self.plan.shortcut != "none":
            out = out + self._shortcut(x)  # y = F(x) + x
        return self._run(self.plan.after, out)

    def _shortcut(self, x: Tensor) -> Tensor:
        return x if self.downsample is None else self.downsample(x)

    def _run(self, names: tuple[str, ...], x: Tensor) -> Tensor:
        for name in names:
            x = getattr(self, name)(x)
        return x

    @torch.no_grad()
    def scale_branch(self, branches: int, *, zero_norm: bool) -> None:
        """Start the branch small where the settings ask for it and a shortcut carries the signal.

        Args:
            branches: residual branches in the whole net, L in the Fixup paper.
            zero_norm: whether the last norm starts at 0.
        """
        if self.plan.shortcut == "none" or not self.plan.branch:
            return
        convs = [layer for layer in self.children() if isinstance(layer, CONVOLUTIONS)]
        if not convs:  # linear layers start as PyTorch starts them
            return
        if isinstance(convs[0], FixupConv2d):
            for conv in convs[:-1]:  # m layers in a branch: times L^(-1 / (2m - 2)), Fixup rule 2
                conv.weight.mul_(branches ** (-1 / (2 * len(convs) - 2)))
            nn.init.zeros_(convs[-1].weight)
        if zero_norm:
            nn.init.zeros_(getattr(self, f"bn{len(convs)}").weight)


def _layer(name: str, plan: BlockPlan, config: ResNetConfig) -> nn.Module:
    """The module for one name of a plan; torchvision takes long to import, and few networks have its two layers."""
    kind = name.rstrip("0123456789")
    if kind == "conv":
        return convolution(plan.convs[name], config)
    if kind == "linear":
        return nn.Linear(plan.convs[name].in_channels, plan.convs[name].channels)
    if kind == "bn":
        return norm(plan.norm_channels[name], config)
    if kind == "relu":
        return nn.ReLU()  # never in place: attribution methods need the input unchanged
    if kind == "dropout":
        return nn.Dropout(config.dropout)
    if kind == "se":
        from torchvision.ops import SqueezeExcitation

        return SqueezeExcitation(plan.channels, squeezed(plan.channels))
    if kind == "scale":  # a block without shortcut would pass on nothing if it started at 0
        return Scale(0.0 if config.residual_scaling == "skipinit" and plan.shortcut != "none" else 1.0)
    from torchvision.ops import StochasticDepth

    return StochasticDepth(plan.drop_chance, "batch")  # one draw for the batch, as in 1603.09382


def _shortcut(plan: BlockPlan, config: ResNetConfig) -> nn.Module | None:
    if plan.shortcut == "padding":
        padded = PaddedShortcut if config.dims == 2 else PaddedSignalShortcut
        return padded(plan.in_channels, plan.channels, plan.stride)
    if plan.shortcut != "projection":
        return None
    projection: list[nn.Module] = [convolution(plan.convs["downsample"], config)]
    if plan.normed_projection:
        projection.append(norm(plan.channels, config))
    return nn.Sequential(*projection)
