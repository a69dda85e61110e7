"""Networks that differ from ours in what no tensor tells: strides, pooling, groups of a norm, dilation, activation."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Final, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reswork.errors import InvalidSetting
from reswork.models.blocks import ResidualBlock
from reswork.models.config import ResNetConfig
from reswork.models.network import ResNet

ACTIVATIONS: Final[dict[str, Callable[[], nn.Module]]] = {
    "relu": nn.ReLU,
    "leaky_relu": lambda: nn.LeakyReLU(0.1),
    "relu6": nn.ReLU6,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "mish": nn.Mish,
    "hardswish": nn.Hardswish,
}


@dataclass(frozen=True)
class Details:
    """What names and shapes of weights do not tell about a residual network; the defaults are those of `ResNet`.

    Args:
        norm_groups: of each GroupNorm; None: 16 channels a group.
        stride_in_1x1: bottlenecks shrink in their first 1x1 layer (Caffe, MSRA, Keras), not in the 3x3 one.
        stem_stride: of the first convolution, 1 or 2; None: 1 for a 3x3 stem, 2 for another.
        stem_pooling: whether max pooling follows the stem; None: as in the form of the network.
        last_stride: of the last stage, 1 or 2; 1 in networks for re-identification and localisation.
        dilated_stages: so many stages at the end keep their size and have dilated 3x3 layers instead, as in
            networks for segmentation (torchvision's ``replace_stride_with_dilation``).
        anti_aliasing: what shrinks in the blocks (and behind the stem's pooling): ``"none"``, the strided layer;
            ``"average"`` or ``"blur"`` (arXiv 1904.11486), a pooling behind it.
        average_shortcut: projections without stride behind an average pooling, as in ResNet-D.
        norm_eps: of all norms; None: 1e-5.
        activation: in place of each ReLU.

    Raises:
        InvalidSetting: for a value that there is not.
    """

    norm_groups: int | None = None
    stride_in_1x1: bool = False
    stem_stride: int | None = None
    stem_pooling: bool | None = None
    last_stride: int = 2
    dilated_stages: int = 0
    anti_aliasing: Literal["none", "average", "blur"] = "none"
    average_shortcut: bool = False
    norm_eps: float | None = None
    activation: str = "relu"

    def __post_init__(self) -> None:
        for name in ("stem_stride", "last_stride"):
            if getattr(self, name) not in ((1, 2, None) if name == "stem_stride" else (1, 2)):
                raise InvalidSetting(name, f"{name}={getattr(self, name)!r} is no stride here; choose 1 or 2")
        if self.norm_groups is not None and (
            isinstance(self.norm_groups, bool)
            or not isinstance(self.norm_groups, int)
            or self.norm_groups < 1
        ):
            raise InvalidSetting(
                "norm_groups",
                f"norm_groups={self.norm_groups!r} is no number of groups; choose 1, 2, ... 32 ..., as the net has it",
            )
        if not isinstance(self.dilated_stages, int) or not 0 <= self.dilated_stages <= 3:
            raise InvalidSetting(
                "dilated_stages", f"dilated_stages={self.dilated_stages!r} must be 0 to 3 stages at the end"
            )
        if self.anti_aliasing not in ("none", "average", "blur"):
            raise InvalidSetting(
                "anti_aliasing",
                f"anti_aliasing={self.anti_aliasing!r} is unknown; choose 'none', 'average', 'blur'",
            )
        if self.activation not in ACTIVATIONS:
            raise InvalidSetting(
                "activation",
                f"activation={self.activation!r} is unknown; choose {', '.join(map(repr, ACTIVATIONS))}",
            )
        if self.norm_eps is not None and not 0 < self.norm_eps < 1:
            raise InvalidSetting("norm_eps", f"norm_eps={self.norm_eps!r} must be between 0 and 1")

    @property
    def changed(self) -> dict[str, object]:
        """Those that are not the defaults."""
        return {
            each.name: getattr(self, each.name)
            for each in fields(self)
            if getattr(self, each.name) != each.default
        }


class AdaptedResNet(nn.Module):
    """A network as `ResNet` builds it, with other details or another head; its layers keep their names.

    It has no ``config``: a `ResNetConfig` could not build it again.

    Args:
        network: its layers are taken over and changed.
        details: what is otherwise.
        head: in place of ``fc``; None: the classifier stays.
        shapes: of tensors, where those of stem and first block have other numbers of channels.
        norm_in_first_block: the first pre-activation belongs to the first block, behind the stem's pooling, and an
            identity shortcut passes it by.
        ends_bare: no pre-activation stands before the pooling.

    Raises:
        InvalidSetting: for details that this network cannot have.
    """

    maxpool: nn.Module
    relu: nn.Module
    bn1: nn.Module
    conv1: nn.Module
    avgpool: nn.Module
    fc: nn.Module

    def __init__(
        self,
        network: ResNet,
        details: Details,
        head: nn.Module | None = None,
        *,
        shapes: Mapping[str, torch.Size] | None = None,
        norm_in_first_block: bool = False,
        ends_bare: bool = False,
    ) -> None:
        super().__init__()
        full = network.config.resolved()
        if shapes is not None:
            _resize(network, shapes)
        if norm_in_first_block:
            first_stage = network.get_submodule("layer1")
            own = _FirstBlock(network.bn1, network.relu, first_stage.get_submodule("0"))
            first_stage.add_module("0", own)
            network.add_module("bn1", nn.Identity())
            network.add_module("relu", nn.Identity())
        if head is not None:
            network.fc = head  # type: ignore[assignment]
        _adapt(network, details, full)
        self.details = details
        self.stage_names, self.last_names = network.stage_names, () if ends_bare else network.last_names
        for name, child in network.named_children():
            if not (ends_bare and name in network.last_names):
                self.add_module(name, child)

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(N, C, H, W)`` -> what the head gives, ``(N, K)``."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for name in (*self.stage_names, *self.last_names):
            x = getattr(self, name)(x)
        x = torch.flatten(self.avgpool(x), 1)  # (N, channels)
        return self.fc(x)


class _FirstBlock(nn.Module):
    """A pre-activation block with its own first norm and ReLU, whose identity shortcut takes what came before them."""

    def __init__(self, norm: nn.Module, relu: nn.Module, block: nn.Module) -> None:
        super().__init__()
        assert isinstance(block, ResidualBlock)
        self._layers = block.plan.branch
        self.bn1, self.first_relu = norm, relu
        for name, layer in block.named_children():
            self.add_module(name, layer)
        self.downsample = block.downsample

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` -> ``(N, channels, H, W)``."""
        out = activated = self.first_relu(self.bn1(x))
        for name in self._layers:
            out = getattr(self, name)(out)
        return out + (x if self.downsample is None else self.downsample(activated))


def _resize(network: ResNet, shapes: Mapping[str, torch.Size]) -> None:
    """Stem and first block with as many channels as these tensors have."""
    for name, module in list(network.named_modules()):
        shape = shapes.get(f"{name}.weight")
        parent, _, own = name.rpartition(".")
        if (
            shape is None
            or not isinstance(module, nn.Conv2d | nn.BatchNorm2d)
            or shape == module.weight.shape
        ):
            continue
        made: nn.Module
        if isinstance(module, nn.Conv2d):
            made = nn.Conv2d(
                shape[1] * module.groups,
                shape[0],
                module.kernel_size,  # type: ignore[arg-type]
                module.stride,  # type: ignore[arg-type]
                module.padding,  # type: ignore[arg-type]
                groups=module.groups,
                bias=module.bias is not None,
            )
        else:
            made = nn.BatchNorm2d(shape[0])
        network.get_submodule(parent).add_module(own, made)


class Blur(nn.Module):
    """Blurs by the binomial filter 1 2 1 and takes every second pixel; no weights (arXiv 1904.11486)."""

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` -> ``(N, C, H / 2, W / 2)``, rounded up."""
        line = torch.tensor([0.25, 0.5, 0.25], dtype=x.dtype, device=x.device)
        kernel = torch.outer(line, line).expand(x.shape[1], 1, 3, 3)
        return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), kernel, stride=2, groups=x.shape[1])


def details_fit(config: ResNetConfig) -> tuple[str, ...]:
    """The details that a network of these settings can have at all, by name."""
    full = config.resolved()
    found: list[str] = []
    if full.norm == "group":
        found.append("norm_groups")
    if full.stem != "cifar":
        found += ["stem_stride", "stem_pooling"]
    if len(full.stage_blocks or ()) > 1:
        found += ["last_stride", "dilated_stages", "anti_aliasing"]
        if full.block == "bottleneck":
            found.append("stride_in_1x1")
        if full.order == "pre" and full.shortcut != "A":
            found.append("average_shortcut")
    return (*found, "activation", *(("norm_eps",) if full.norm != "none" else ()))


def _adapt(network: ResNet, details: Details, config: ResNetConfig) -> None:
    _adapt_norms(network, details)
    if details.stem_stride is not None:
        first = network.conv1 if isinstance(network.conv1, nn.Conv2d) else network.conv1[0]  # type: ignore[index]
        first.stride = (details.stem_stride,) * 2
    if details.stem_pooling is not None:
        network.maxpool = nn.MaxPool2d(3, stride=2, padding=1) if details.stem_pooling else nn.Identity()
    if details.anti_aliasing != "none" and isinstance(network.maxpool, nn.MaxPool2d):
        blurred = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), Blur())
        network.add_module("maxpool", nn.AvgPool2d(2) if details.anti_aliasing == "average" else blurred)
    dilation, stages = 1, network.stage_names
    for index, name in enumerate(stages):
        stride = 2 if index else 1
        before = dilation
        if index and index == len(stages) - 1 and details.last_stride == 1:
            stride = 1
        elif index and index >= len(stages) - details.dilated_stages:
            dilation, stride = dilation * stride, 1
        for place, block in enumerate(getattr(network, name)):
            _adapt_block(block, stride if place == 0 else 1, dilation if place else before, details, config)
    if details.activation != "relu":
        _replace_activations(network, ACTIVATIONS[details.activation])


def _adapt_norms(network: ResNet, details: Details) -> None:
    for name, module in network.named_modules():
        if details.norm_groups is not None and isinstance(module, nn.GroupNorm):
            if module.num_channels % details.norm_groups:
                raise InvalidSetting(
                    "norm_groups",
                    f"norm_groups={details.norm_groups} does not divide the {module.num_channels} channels of {name}",
                )
            module.num_groups = details.norm_groups
        if details.norm_eps is not None and isinstance(module, nn.GroupNorm | nn.BatchNorm2d):
            module.eps = details.norm_eps


def _adapt_block(
    block: nn.Module, stride: int, dilation: int, details: Details, config: ResNetConfig
) -> None:
    bottleneck = config.block == "bottleneck"
    strided = "conv1" if not bottleneck or details.stride_in_1x1 else "conv2"
    pooled = stride > 1 and details.anti_aliasing != "none"
    for name, conv in block.named_children():
        if not isinstance(conv, nn.Conv2d):
            continue
        conv.stride = (stride,) * 2 if name == strided and not pooled else (1, 1)
        if conv.kernel_size[0] > 1:
            conv.dilation, conv.padding = (dilation,) * 2, (dilation,) * 2
    if pooled:
        behind = "relu2" if bottleneck else "relu1"
        small = nn.AvgPool2d(2) if details.anti_aliasing == "average" else Blur()
        setattr(block, behind, nn.Sequential(getattr(block, behind), small))
    projection = block.downsample
    if isinstance(projection, nn.Sequential):
        first = projection[0]
        assert isinstance(first, nn.Conv2d)
        first.stride = (1, 1) if details.average_shortcut else (stride, stride)
        if details.average_shortcut:
            pool = (
                nn.AvgPool2d(2, 2, ceil_mode=True, count_include_pad=False) if stride > 1 else nn.Identity()
            )
            block.downsample = _Pooled(pool, projection)


class _Pooled(nn.Module):
    """A projection behind a pooling, under the projection's own names ``0`` and ``1``."""

    def __init__(self, pool: nn.Module, projection: nn.Sequential) -> None:
        super().__init__()
        self.pool = pool
        for name, layer in projection.named_children():
            self.add_module(name, layer)
        self._names = tuple(name for name, _ in projection.named_children())

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(x)
        for name in self._names:
            x = getattr(self, name)(x)
        return x


def _replace_activations(module: nn.Module, make: Callable[[], nn.Module]) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.ReLU):
            setattr(module, name, make())
        elif type(child).__name__ != "SqueezeExcitation":  # it has an activation of its own
            _replace_activations(child, make)
