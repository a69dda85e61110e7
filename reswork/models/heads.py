"""What stands behind the stages: a classifier, or a decoder that leads back to the size of the image."""

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reswork.models.blocks import CONVOLUTIONS, FixupLinear, ResidualBlock, convolution, norm
from reswork.models.config import ResNetConfig
from reswork.models.layout import BOX_STRIDE, EMBEDDED, Head
from reswork.models.plan import (
    LAST_ACTIVATION,
    Conv,
    LevelPlan,
    answered_channels,
    block_plans,
    decoder_plans,
    score_plans,
    shuffled_conv,
    tower_convs,
)
from reswork.models.retinanet import RetinaDecoder


def classifier(config: ResNetConfig) -> dict[str, nn.Module]:
    """The layers behind the last stage by torchvision's names, in the order in which they run."""
    channels = block_plans(config)[-1].channels
    before = {**last_activation(channels, config), "avgpool": _average_pool(config.dims)}
    if config.head == "embedding":
        return {
            **before,
            "fc": nn.Linear(channels, EMBEDDED),
            "identities": Identities(EMBEDDED, config.num_classes),
        }
    linear = FixupLinear if config.residual_scaling == "fixup" else nn.Linear
    return {**before, "fc": linear(channels, config.num_classes)}


class Identities(nn.Module):
    """An embedding of length 1, and behind it its cosine to the direction of each identity that is learned.

    Args:
        embedded: numbers of the embedding.
        count: identities.

    Reference:
        arXiv 1801.07698 (ArcFace), equation 2: weights and features of length 1, no bias.
    """

    def __init__(self, embedded: int, count: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(count, embedded))
        nn.init.xavier_normal_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, embedded)`` -> ``(N, embedded + count)``."""
        embedding = F.normalize(x)
        return torch.cat((embedding, F.linear(embedding, F.normalize(self.weight))), dim=1)


def _average_pool(dims: int) -> nn.Module:
    """The mean over all positions; a row of a table has none."""
    if dims == 2:
        return nn.AdaptiveAvgPool2d((1, 1))
    return {0: nn.Identity, 1: nn.AdaptiveAvgPool1d, 3: nn.AdaptiveAvgPool3d}[dims](1)


def last_activation(channels: int, config: ResNetConfig) -> dict[str, nn.Module]:
    """The norm and ReLU that no later block brings, by name; none for most orders."""
    names = LAST_ACTIVATION.get(config.order, ())
    return {name: nn.ReLU() if name == "relu_last" else norm(channels, config) for name in names}


class Upsample(nn.Module):
    """To any size, by the nearest pixel: from n to 2n or 2n - 1 pixels each is repeated.

    Not bilinear, whose backward pass on a GPU adds in an order that changes from run to run.
    """

    def forward(self, x: Tensor, size: tuple[int, ...]) -> Tensor:
        """``(N, C, h, w)`` -> ``(N, C, *size)``; of volumes ``(N, C, d, h, w)``."""
        return F.interpolate(x, size=size, mode="nearest")


class Merge(nn.Module):
    """Upsamples, puts the encoder's output of that size beside it, and mixes both by a 3x3 convolution."""

    def __init__(self, plan: LevelPlan, config: ResNetConfig) -> None:
        super().__init__()
        self.names = plan.merge
        self.upsample = Upsample()
        for name in plan.merge:
            if name == "conv":
                self.conv = convolution(plan.conv, config, in_block=False)
            else:
                self.add_module(name, nn.ReLU() if name == "relu" else norm(plan.norm_channels, config))

    def forward(self, x: Tensor, size: tuple[int, ...], skip: Tensor | None = None) -> Tensor:
        """``(N, C, h, w)`` and ``(N, skip_channels, *size)`` -> ``(N, channels, *size)``."""
        x = self.upsample(x, size)
        if skip is not None:
            x = torch.cat((skip, x), dim=1)  # (N, skip_channels + C, H, W)
        for name in self.names:
            x = getattr(self, name)(x)
        return x


class UNetDecoder(nn.Module):
    """From the deepest stage back to the image, a level for each size: `Merge`, then a block like the encoder's.

    Of an autoencoder nothing comes over from the encoder but a ``code`` of few channels at the smallest size.

    Levels are called by the part of the encoder whose output they take: ``merge2`` and ``layer2`` stand at the
    size of the encoder's ``layer2``. The shortcuts inside the blocks go with ``residual=False``; what comes
    over from the encoder is concatenated, not added, and stays.

    Args:
        config: the resolved settings of the network.

    Reference:
        arXiv 1505.04597 (U-Net); residual blocks in both halves: arXiv 1711.10684.
    """

    def __init__(self, config: ResNetConfig) -> None:
        super().__init__()
        plans = decoder_plans(config)
        self.places = tuple(plan.place for plan in plans)
        self.joins = config.head != "autoencoder"
        if not self.joins:
            self.code = nn.Conv2d(block_plans(config)[-1].channels, config.code, kernel_size=1)
        for plan in plans:
            self.add_module(f"merge{plan.place}", Merge(plan, config))
            self.add_module(f"layer{plan.place}", nn.Sequential(ResidualBlock(plan.block, config)))
        deepest = block_plans(config)[-1].channels if self.joins else config.code
        channels = plans[-1].block.channels if plans else deepest
        last = last_activation(channels, config)
        self.last_names = tuple(last)
        for name, layer in last.items():
            self.add_module(name, layer)
        if tower := _tower(config):
            self.tower = nn.Sequential(*tower)
        self.last = _score(Conv(channels, answered_channels(config), kernel=1), config)

    def forward(self, features: tuple[Tensor, ...], size: tuple[int, ...]) -> Tensor:
        """`ResNet.features` and height and width of the images -> logits ``(N, num_classes, H, W)``."""
        return self.last(self.finest(features, size))

    def finest(self, features: tuple[Tensor, ...], size: tuple[int, ...]) -> Tensor:
        """`ResNet.features` and height and width of the images -> what the last level gives."""
        *skips, x = features
        if not self.joins:
            x = self.code(x)
        for index in self.places:
            skip = skips.pop() if skips else None
            to = size if skip is None else tuple(skip.shape[2:])
            x = getattr(self, f"merge{index}")(x, to, skip if self.joins else None)
            x = getattr(self, f"layer{index}")(x)
        for name in self.last_names:
            x = getattr(self, name)(x)
        return x


def _tower(config: ResNetConfig) -> list[nn.Module]:
    """The layers before the last one of a head that gives boxes; none with another head."""
    layers: list[nn.Module] = []
    for conv in tower_convs(config):
        layers += [convolution(conv, config, in_block=False), norm(conv.channels, config), nn.ReLU()]
    return layers


class BoxDecoder(UNetDecoder):
    """From the deepest stage back to a quarter of the image's size, as `UNetDecoder`, and there a box at each place.

    A place answers with the distances to the left, top, right and bottom edge of the box that it lies in, in pixels,
    how near it is to the box's middle, and a logit for each class; where it lies in none, all logits are low. There is
    one level of places, as in CenterNet, and what they learn is that of FCOS.

    Reference:
        arXiv 1904.01355 (FCOS), 1904.07850 (CenterNet).
    """

    def forward(self, features: tuple[Tensor, ...], size: tuple[int, ...]) -> Tensor:
        """`ResNet.features` -> ``(N, 5 + num_classes, H / 4, W / 4)``, rounded up."""
        x = self.last(self.tower(self.finest(features, size)))
        distances = BOX_STRIDE * F.softplus(x[:, :4])  # above 0, and near one place at the start
        return torch.cat((distances, x[:, 4:]), dim=1)


def _score(conv: Conv, config: ResNetConfig) -> nn.Conv1d | nn.Conv2d | nn.Conv3d:
    """A 1x1 convolution that gives logits."""
    made: nn.Conv1d | nn.Conv2d | nn.Conv3d = CONVOLUTIONS[config.dims - 1](
        conv.in_channels, conv.channels, kernel_size=1
    )
    return made


class FCNDecoder(nn.Module):
    """Scores of each stage, enlarged and added up: what makes a classifier's body answer for each pixel.

    ``last`` reads the deepest stage; what it says is made twice as large, what ``score2`` says of the stage before is
    added, and so on. Those begin at 0, so that at first only the deepest stage speaks. It has few weights and no blocks
    of its own: outlines are as fine as the first stage sees them.

    Args:
        config: the resolved settings of the network.

    Reference:
        arXiv 1411.4038 (FCN), section 4.2 (skips); enlarged by the nearest pixel, not by learned weights.
    """

    def __init__(self, config: ResNetConfig) -> None:
        super().__init__()
        plans = score_plans(config)
        last = last_activation(plans["last"].in_channels, config)
        self.last_names = tuple(last)
        for name, layer in last.items():
            self.add_module(name, layer)
        self.last = _score(plans.pop("last"), config)
        self.places = tuple(name.removeprefix("score") for name in plans)
        for place, plan in zip(self.places, plans.values(), strict=True):
            self.add_module(f"up{place}", Upsample())
            self.add_module(f"score{place}", _score(plan, config))
        self.up_image = Upsample() if config.stem != "cifar" else None  # the 3x3 stem keeps the image's size

    def begin(self) -> None:
        """Start with the deepest stage's scores alone."""
        for place in self.places:
            for parameter in getattr(self, f"score{place}").parameters():
                nn.init.zeros_(parameter)

    def forward(self, features: tuple[Tensor, ...], size: tuple[int, ...]) -> Tensor:
        """`ResNet.features` and height and width of the images -> logits ``(N, num_classes, H, W)``."""
        *finer, x = features
        for name in self.last_names:
            x = getattr(self, name)(x)
        x = self.last(x)
        for place in self.places:
            skip = finer.pop()
            x = getattr(self, f"up{place}")(x, tuple(skip.shape[2:]))
            x = x + getattr(self, f"score{place}")(skip)
        return x if self.up_image is None else self.up_image(x, size)


class Enlarge(nn.Module):
    """A whole number of times larger, by bicubic interpolation; once: as it is.

    The kernel is Pillow's and that of the papers (a = -0.5), which PyTorch takes where it guards against aliasing.
    """

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` -> ``(N, C, scale * H, scale * W)``."""
        if self.scale == 1:
            return x
        size = [x.shape[2] * self.scale, x.shape[3] * self.scale]
        return F.interpolate(x, size=size, mode="bicubic", antialias=True, align_corners=False)


class PictureDecoder(nn.Module):
    """From the last stage to a picture: one convolution, and in the EDSR form channels shuffled into pixels.

    Args:
        config: the resolved settings of the network.

    Reference:
        arXiv 1511.04587 (VDSR), 1707.02921 (EDSR), 1609.05158 (pixel shuffle).
    """

    def __init__(self, config: ResNetConfig) -> None:
        super().__init__()
        conv = shuffled_conv(config)
        last = last_activation(conv.in_channels, config)
        self.last_names = tuple(last)
        for name, layer in last.items():
            self.add_module(name, layer)
        self.last = nn.Conv2d(conv.in_channels, conv.channels, kernel_size=3, padding=1)
        self.shuffle = nn.PixelShuffle(config.scale) if config.head == "edsr" else nn.Identity()

    def forward(self, features: tuple[Tensor, ...], size: tuple[int, ...]) -> Tensor:
        """`ResNet.features` -> ``(N, num_classes, scale * H, scale * W)``."""
        x = features[-1]
        for name in self.last_names:
            x = getattr(self, name)(x)
        return self.shuffle(self.last(x))


# all called with features and size
DECODERS: Final[
    dict[Head, type[UNetDecoder] | type[FCNDecoder] | type[PictureDecoder] | type[RetinaDecoder]]
] = {
    "unet": UNetDecoder,
    "fcn": FCNDecoder,
    "autoencoder": UNetDecoder,
    "boxes": BoxDecoder,
    "retinanet": RetinaDecoder,
    "edsr": PictureDecoder,
    "vdsr": PictureDecoder,
}
