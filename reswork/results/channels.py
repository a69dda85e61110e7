"""What channels answer: their maps on a few images, and the images that one of them likes best."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

ChannelOrder = Literal["mean_abs", "max", "deviation", "index"]


@dataclass(frozen=True, eq=False)
class FeatureMaps:
    """Outputs of one layer on N images, K channels of each, the first the strongest of that image.

    Attributes:
        layer: its name.
        order: what "strongest" means.
        images: (N, C, H, W) float32, as the network got them; (N, 0, 0, 0) where the inputs are no images.
        channels: (N, K) int64, numbers of the channels.
        maps: (N, K, h, w) float32; 1 x 1 where the layer has no positions.
        strengths: (N, K) float32, by which they are ordered.
        total: how many channels the layer has.
        uses: how often the layer ran in a forward pass; the maps are those of its last use.
    """

    layer: str
    order: ChannelOrder
    images: np.ndarray
    channels: np.ndarray
    maps: np.ndarray
    strengths: np.ndarray
    total: int
    uses: int = 1


@dataclass(frozen=True, eq=False)
class ChannelExamples:
    """The K images, of many, in which one channel answers most, and where in them.

    Attributes:
        layer: its name.
        channel: its number.
        images: (K, C, H, W) float32, as the network got them.
        indices: (K,) int64, which of the given images they are.
        values: (K,) float32, the channel's largest activation in each, falling.
        positions: (K, 2) int64, row and column of that activation in the map.
        boxes: (K, 4) int64, top, left, bottom, right in pixels, the last two not included: all that this
            position can see, cut at the image's edge.
        active: fraction of all images in which the channel is above zero somewhere, 0 to 1.
        seen: how many images there were.
    """

    layer: str
    channel: int
    images: np.ndarray
    indices: np.ndarray
    values: np.ndarray
    positions: np.ndarray
    boxes: np.ndarray
    active: float
    seen: int
