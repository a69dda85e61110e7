"""What the channels of a layer answer."""

from typing import get_args

import numpy as np
import torch
from torch import Tensor, nn

from reswork.errors import InvalidSetting
from reswork.probes.capture import watched
from reswork.probes.geometry import Field, FieldTracer
from reswork.probes.inputs import Inputs, batches, first_image, numbers, pictures, placed, tensors
from reswork.probes.isolation import undisturbed
from reswork.results.channels import ChannelExamples, ChannelOrder, FeatureMaps


def feature_maps(
    model: nn.Module, images: Inputs, *, layer: str, count: int = 16, order: ChannelOrder = "mean_abs"
) -> FeatureMaps:
    """What a layer makes of some images, its strongest channels first.

    Read from it what the layer reacts to: early channels trace edges and colours, later ones answer in a few
    coarse places; a channel that is zero everywhere is dead, many alike are wasted.

    Args:
        model: any network; while it trains, a snapshot.
        images: (N, C, H, W), normalised as the network wants them; or a tuple or dict of inputs.
        layer: dotted name of the layer, such as ``"layer2.0.conv1"``.
        count: at most so many channels.
        order: strongest by mean absolute value, by largest value, by deviation over positions, or
            ``"index"``: as they are numbered.

    Returns:
        Maps (N, K, h, w) and the images beside them.

    Raises:
        InvalidSetting: for a layer that is not there, or whose output has no channels.

    Reference:
        Zeiler and Fergus 2013, arXiv 1311.2901; Yosinski et al. 2015, arXiv 1506.06579.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())
        >>> feature_maps(net, torch.ones(2, 3, 9, 9), layer="1", count=4).maps.shape
        (2, 4, 7, 7)
    """
    if order not in get_args(ChannelOrder):
        words = ", ".join(repr(option) for option in get_args(ChannelOrder))
        raise InvalidSetting("order", f"order={order!r} is not known; choose one of {words}")
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise InvalidSetting("count", f"count={count!r} is not accepted; choose a whole number from 1")
    with watched(model, [layer]) as seen:
        seen(images)
        output = _with_positions(seen[layer], layer)  # (N, C, h, w)
        uses = len(seen.uses(layer))
    strengths = _strengths(output, order)  # (N, C)
    channels = strengths.argsort(dim=1, descending=True, stable=True)[:, :count]  # (N, K)
    if order == "index":
        channels = torch.arange(min(count, output.shape[1]), device=output.device).repeat(len(output), 1)
    rows = torch.arange(len(output), device=output.device)[:, None]
    return FeatureMaps(
        layer,
        order,
        pictures(images),
        channels.cpu().numpy(),
        numbers(output[rows, channels]),
        numbers(strengths[rows, channels]),
        int(output.shape[1]),
        uses,
    )


def channel_examples(
    model: nn.Module, images: Inputs, *, layer: str, channel: int, count: int = 9, batch_size: int = 256
) -> ChannelExamples:
    """The images that one channel likes best, and where in them it answers.

    Read from it what the channel stands for: what the boxes have in common. Look at a dozen images before you
    give it a name, and remember that its answer to all others is not shown.

    Args:
        model: any network; while it trains, a snapshot.
        images: (N, C, H, W), normalised as the network wants them; the more, the better.
        layer: dotted name of the layer.
        channel: number of the channel, from 0.
        count: how many images to keep.
        batch_size: images at once.

    Returns:
        Images, largest activations, and boxes of the pixels that could cause them.

    Raises:
        InvalidSetting: for a layer or channel that is not there.

    Reference:
        Zeiler and Fergus 2013, arXiv 1311.2901, section 4.1.
    """
    images = tensors(images)
    peaks: list[Tensor] = []  # of each batch (n, 2): largest value, and its place in the map

    def peak(output: Tensor) -> tuple[Tensor, Tensor, tuple[int, int]]:
        maps = _with_positions(output, layer)
        known = isinstance(channel, int | np.integer) and not isinstance(channel, bool)
        if not known or not 0 <= channel < maps.shape[1]:
            raise InvalidSetting(
                "channel", f"channel={channel!r} is not in layer {layer!r}; choose 0 to {maps.shape[1] - 1}"
            )
        value, place = maps[:, channel].flatten(1).max(dim=1)
        return value.double().cpu(), place.cpu(), (maps.shape[2], maps.shape[3])

    with watched(model, [layer], take=peak) as seen:
        for part in batches(images, batch_size):
            seen(part)
            value, place, shape = seen[layer]
            peaks.append(torch.stack((value, place.double()), dim=1))
    found = torch.cat(peaks).numpy()  # (N, 2)
    chosen = np.argsort(-np.nan_to_num(found[:, 0], nan=-np.inf), kind="stable")[:count]
    positions = np.stack(np.unravel_index(found[chosen, 1].astype(np.int64), shape), axis=1)
    shown = pictures(images)[chosen]
    field = receptive_fields(model, images, [layer])[layer] if shown.shape[1] else None
    return ChannelExamples(
        layer,
        channel,
        shown,
        chosen,
        found[chosen, 0].astype(np.float32),
        positions,
        np.array([box_of(field, (int(r), int(c)), shown.shape[2:]) for r, c in positions], np.int64),
        float((found[:, 0] > 0).mean()),
        len(found),
    )


def receptive_fields(model: nn.Module, images: Inputs, layers: list[str]) -> dict[str, Field | None]:
    """Which pixels the positions of some layers can see; None: the whole image.

    Args:
        model: any network.
        images: (N, C, H, W); one is enough.
        layers: dotted names.
    """
    with undisturbed(model) as bare:
        one = placed(bare, next(batches(images, 1)))
        image = first_image(one)
        if image is None:
            raise InvalidSetting("images", "a receptive field needs images, (N, C, H, W) of floats")
        with FieldTracer(image) as tracer, watched(bare, layers, take=tracer.field) as seen:
            seen.run(one)
            return {layer: seen[layer] for layer in layers}


def box_of(
    field: Field | None, position: tuple[int, int], size: tuple[int, ...]
) -> tuple[int, int, int, int]:
    """Top, left, bottom, right of what a position sees, cut at the edge of an image of this size."""
    height, width = size
    if field is None:
        return 0, 0, height, width
    (top, bottom), (left, right) = field[0].pixels(position[0], height), field[1].pixels(position[1], width)
    return top, left, bottom, right


def _with_positions(output: Tensor, layer: str) -> Tensor:
    """Any output with channels as (N, C, h, w)."""
    if output.dim() == 4:
        return output
    if output.dim() == 3:  # (N, C, L), of signals
        return output[:, :, None]
    if output.dim() == 2:
        return output[:, :, None, None]
    raise InvalidSetting(
        "layer",
        f"layer={layer!r} gives a tensor of shape {tuple(output.shape)}; choose one that gives (N, C, h, w), "
        "(N, C, length) or (N, C)",
    )


def _strengths(maps: Tensor, order: ChannelOrder) -> Tensor:
    """(N, C, h, w) -> (N, C)."""
    flat = maps.float().flatten(2)
    if order == "max":
        return flat.amax(dim=2)
    return flat.std(dim=2, correction=0) if order == "deviation" else flat.abs().mean(dim=2)
