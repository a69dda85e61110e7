"""RetinaNet: torchvision's feature pyramid and head on the stages of a body, in one tensor."""

import math
from collections import OrderedDict
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from reswork.models.blocks import norm
from reswork.models.config import ResNetConfig
from reswork.models.layout import BOX_STRIDE
from reswork.models.plan import (
    ANCHORS,
    LAST_ACTIVATION,
    block_plans,
    norm_groups,
    pyramid_channels,
    pyramid_stages,
)

_SMALLEST = 2  # sides of the smallest anchor, in distances between two places
_SHAPES = (0.5, 1.0, 2.0)  # height to width
MOST_GROWTH = math.log(1000 / 16)  # of a side from anchor to box, as torchvision limits it


class RetinaDecoder(nn.Module):
    """Boxes by torchvision's RetinaNet: its feature pyramid, its two levels beyond the last stage, its head.

    The pyramid begins with the stage at a quarter of the image's size, so that things from 8 pixels on have an anchor
    of their size; torchvision's begins with an eighth and 32 pixels. As in its second version the head has group norms,
    none where the body has none.

    Args:
        config: the resolved settings of the network.

    Reference:
        arXiv 1708.02002 (RetinaNet), 1612.03144 (feature pyramids).
    """

    def __init__(self, config: ResNetConfig) -> None:
        super().__init__()
        from torchvision.models.detection.retinanet import RetinaNetHead  # which takes a second to import
        from torchvision.ops import FeaturePyramidNetwork
        from torchvision.ops.feature_pyramid_network import LastLevelP6P7

        channels, stages = pyramid_channels(config), pyramid_stages(config)
        of_stage = {plan.stage: plan.channels for plan in block_plans(config)}
        self.last_names = LAST_ACTIVATION.get(config.order, ())
        for name in self.last_names:
            layer = nn.ReLU() if name == "relu_last" else norm(of_stage[stages[-1]], config)
            self.add_module(name, layer)
        self.levels = len(stages)
        self.pyramid = FeaturePyramidNetwork(
            [of_stage[stage] for stage in stages], channels, extra_blocks=LastLevelP6P7(channels, channels)
        )
        normed = None if config.norm == "none" else partial(nn.GroupNorm, norm_groups(channels))
        self.head = RetinaNetHead(channels, ANCHORS, config.num_classes, norm_layer=normed)

    @property
    def last(self) -> nn.Conv2d:
        """The layer that gives the logits."""
        return cast("nn.Conv2d", self.head.classification_head.cls_logits)

    def forward(self, features: tuple[Tensor, ...], size: tuple[int, ...]) -> Tensor:
        """`ResNet.features`, height and width of the images -> ``(N, L, 12 + num_classes)``, a row for each anchor.

        Its box, cut at the image's edges, and the anchor, as left, top, right, bottom in pixels; how they differ as
        the loss counts it; and a logit for each class.
        """
        deepest = features[-1]
        for name in self.last_names:
            deepest = getattr(self, name)(deepest)
        read = (*features[len(features) - self.levels : -1], deepest)
        levels = list(self.pyramid(OrderedDict((str(k), each) for k, each in enumerate(read))).values())
        found = self.head(levels)
        deltas, logits = found["bbox_regression"].float(), found["cls_logits"].float()
        given = anchors(levels).expand(deltas.shape[0], -1, -1)  # (N, L, 4)
        return torch.cat((_meant(given, deltas, size), given, deltas, logits), dim=2)


def anchors(levels: list[Tensor]) -> Tensor:
    """The boxes from which a RetinaNet starts, (L, 4) left, top, right, bottom in pixels.

    Args:
        levels: of the pyramid, (N, C, H, W) each, the finest first; from one to the next the places are twice as far
            apart.
    """
    made = []
    for k, level in enumerate(levels):
        stride, device = BOX_STRIDE * 2**k, level.device
        rows, columns = ((torch.arange(n, device=device) + 0.5) * stride for n in level.shape[2:])
        x, y = torch.meshgrid(columns, rows, indexing="xy")  # (H, W)
        shape = torch.tensor(_SHAPES, device=device).repeat_interleave(3)
        side = _SMALLEST * stride * 2 ** (torch.arange(3, device=device) / 3).repeat(3)
        half = torch.stack((side / shape.sqrt(), side * shape.sqrt()), 1) / 2  # (9, 2) of width and height
        middles = torch.stack((x, y), 2).unsqueeze(2)  # (H, W, 1, 2)
        made.append(torch.cat((middles - half, middles + half), 3).view(-1, 4))
    return torch.cat(made)


def _meant(anchors: Tensor, deltas: Tensor, size: tuple[int, ...]) -> Tensor:
    """The boxes that anchors (N, L, 4) become by the numbers (N, L, 4) that a network gives."""
    sides = anchors[..., 2:] - anchors[..., :2]
    middles = anchors[..., :2] + sides / 2 + deltas[..., :2] * sides
    half = sides * deltas[..., 2:].clamp(max=MOST_GROWTH).exp() / 2
    most = torch.tensor(size[::-1], device=deltas.device, dtype=deltas.dtype)
    return torch.cat(
        (torch.minimum(middles - half, most).clamp(min=0), torch.minimum(middles + half, most).clamp(min=0)),
        2,
    )
