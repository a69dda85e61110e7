"""What channels answer: maps beside the image, and a channel's favourite images."""

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from reswork.errors import InvalidSetting
from reswork.figures.canvas import COLOURS, about
from reswork.figures.colouring import as_pictures, coloured, enlarged
from reswork.figures.images import mosaic_figure, mosaic_of
from reswork.figures.text import number
from reswork.results.channels import ChannelExamples, FeatureMaps

_LEAST_PIXELS = 16  # a map of 1 x 1 is drawn as a square of so many
_MOST_PIXELS = 256

_MAPS = about(
    "The image, and what single channels of one layer answer to it, place by place: dark is low, yellow is "
    "high, on one scale for all. The strongest channel comes first; its strength stands above it.",
    "Early layers trace edges and colours at full size; later ones light up in a few coarse places. Some "
    "channels stay dark on one image and answer on others.",
    "Go through the layers from the first to the last: where does the outline disappear? Then take another "
    "image of the same class and see whether the same channels come first.",
)
_EXAMPLES = about(
    "The images, of all that were looked at, in which this channel answers most, the strongest first, each under "
    "its number and its largest answer. The frame holds all pixels that could have caused that answer.",
    "Early channels: frames of a few pixels with the same edge or colour in each. Late ones: frames as large as "
    "the image, and images that share a thing or a background.",
    "Say in one word what the frames have in common, then look at the next channel. Is it the thing, or the "
    "background behind it?",
)


@dataclass(frozen=True, eq=False)
class _Pictures:
    pictures: np.ndarray  # (P, 3, H, W) uint8
    titles: tuple[str, ...]
    summary: str


def feature_maps(found: FeatureMaps, *, image: int = 0) -> go.Figure:
    """One image and its strongest feature maps beside it.

    Read from it what the layer reacts to, and where.

    Args:
        found: from ``probes.feature_maps``.
        image: which of its images, from 0.

    Returns:
        Figure with one picture made of all.

    Raises:
        InvalidSetting: if there is no such image.
    """
    info = _maps_info(found, image)
    mosaic = mosaic_of(info.pictures, info.titles)
    title = f"Feature maps of {found.layer}"
    return mosaic_figure(mosaic, title=title, summary=info.summary, explained=_MAPS)


def channel_examples(found: ChannelExamples) -> go.Figure:
    """A channel's favourite images, with a frame around what it sees of each.

    Args:
        found: from ``probes.channel_examples``.

    Returns:
        Figure with one picture made of all, and the frames.
    """
    info = _examples_info(found)
    mosaic = mosaic_of(info.pictures, info.titles)
    frames = []
    for index, box in enumerate(found.boxes[: mosaic.count]):
        left, top = mosaic.corner(index)
        y0, x0, y1, x1 = (float(edge) / mosaic.shrink for edge in box)  # in pixels of the mosaic
        place = {"x0": left + x0 - 0.5, "x1": left + x1 - 0.5, "y0": top + y0 - 0.5, "y1": top + y1 - 0.5}
        frames.append({"type": "rect", **place, "line": {"color": COLOURS[1], "width": 2}})
    title = f"Channel {found.channel} of {found.layer}"
    return mosaic_figure(mosaic, title=title, summary=info.summary, explained=_EXAMPLES, shapes=frames)


def _maps_info(found: FeatureMaps, image: int) -> _Pictures:
    if not len(found.maps):
        return _Pictures(np.zeros((0, 3, 1, 1), np.uint8), (), "No feature maps to show.")
    if not 0 <= image < len(found.maps):
        raise InvalidSetting("image", f"image={image} is not there; choose 0 to {len(found.maps) - 1}")
    maps = found.maps[image]  # (K, h, w)
    finite = maps[np.isfinite(maps)]
    low, high = (min(0.0, float(finite.min())), float(finite.max())) if finite.size else (0.0, 1.0)
    size = [
        max(_LEAST_PIXELS, given, own)
        for given, own in zip(found.images.shape[2:], maps.shape[1:], strict=True)
    ]
    size = [min(side, _MOST_PIXELS) for side in size]
    parts = [enlarged(coloured(maps, low, high), *size)]
    titles = [f"{channel}: {number(float(strength))}" for channel, strength in _strengths(found, image)]
    if found.images.shape[1]:
        parts.insert(0, enlarged(as_pictures(found.images[image : image + 1]), *size))
        titles.insert(0, "image")
    return _Pictures(np.concatenate(parts), tuple(titles), _maps_summary(found, image, low, high))


def _strengths(found: FeatureMaps, image: int) -> list[tuple[int, float]]:
    return list(zip(found.channels[image].tolist(), found.strengths[image].tolist(), strict=True))


def _maps_summary(found: FeatureMaps, image: int, low: float, high: float) -> str:
    height, width = found.maps.shape[2:]
    count = found.maps.shape[1]
    if not count:
        return f"No feature maps of {found.layer} to show."
    first, strength = _strengths(found, image)[0]
    text = (
        f"{count} of {found.total} channels of {found.layer} at {height}x{width}, from {number(low)} to "
        f"{number(high)}; first comes channel {first} with {number(strength)}"
    )
    return f"{text}; the layer ran {found.uses} times, this is its last." if found.uses > 1 else f"{text}."


def _examples_info(found: ChannelExamples) -> _Pictures:
    if not len(found.images) or not found.images.shape[1]:
        return _Pictures(np.zeros((0, 3, 1, 1), np.uint8), (), f"No images to show for {found.layer}.")
    titles = tuple(
        f"{index}: {number(float(value))}" for value, index in zip(found.values, found.indices, strict=True)
    )
    summary = (
        f"Channel {found.channel} of {found.layer} is largest with {number(float(found.values[0]))} on image "
        f"{found.indices[0]}; it is above zero somewhere in {100 * found.active:.0f} % of {found.seen} images."
    )
    return _Pictures(as_pictures(found.images), titles, summary)
