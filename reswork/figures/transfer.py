"""What a trained network is worth for other data, what it forgets, and what one image was and is inside."""

import numpy as np
import plotly.graph_objects as go

from reswork.figures.canvas import about
from reswork.figures.images import mosaic_figure, mosaic_of
from reswork.figures.study_lines import study_lines
from reswork.results.contrast import FeaturePairs
from reswork.results.study import Line
from reswork.results.transfer import Forgetting, Worth

_WORTH = about(
    "How often test images are named rightly, by how many training images there are of each class: trained from "
    "nothing, and beginning with weights that were trained on other data. Bars: smallest and largest of all seeds.",
    "With few images the trained weights are far ahead; with many the lines meet. Where the other data are of another "
    "kind, they may never be ahead.",
    "Freeze more: who gains with 20 images, and who loses with 500?",
)
_FORGETTING = about(
    "While the network learns what is new, how often it still names rightly what it knew (solid), and how often "
    "the new (dashed). Bars: smallest and largest of all seeds.",
    "With the new images alone the old ones are forgotten within an epoch. Replaying some old images brings a "
    "part of them back; where the new are other classes, lower rates and frozen stages save nothing.",
    "Replay one image of a class instead of twenty.",
)
_FEATURES = about(
    "The same channels of one image at the end of each stage, in the upper rows before and in the lower rows after the "
    "training. The channels are those that changed most; each pair has one scale, dark is low.",
    "Early stages look alike: edges are edges. Late ones answer at other places, or have fallen silent.",
    "Freeze up to layer2: the first two rows are then equal to the last bit.",
)


def transfer_worth(found: Worth) -> go.Figure:
    """Accuracy over the number of images of a class, for training from nothing and for fine-tuning.

    Args:
        found: from ``rw.transfer.worth``.
    """
    lines = [
        Line.over(way, found.images, 100 * found.accuracy[row].T, colour=row, dashed=row == 0)
        for row, way in enumerate(found.ways)
    ]
    return study_lines(
        lines,
        title="From nothing, or fine-tuned",
        x="training images of each class",
        y="accuracy, %",
        summary=found.sentence,
        explained=_WORTH,
        x_scale="log",
        ticks=(found.images, [str(count) for count in found.images]),
    )


def forgetting(found: Forgetting) -> go.Figure:
    """Accuracy on the old and on the new, epoch by epoch.

    Args:
        found: from ``rw.transfer.forgetting``.
    """
    epochs = range(found.old.shape[2])
    lines = [
        Line.over(f"{way}, {age}", [*epochs], 100 * values[row], colour=row, dashed=age == "new")
        for row, way in enumerate(found.ways)
        for age, values in (("old", found.old), ("new", found.new))
    ]
    return study_lines(
        lines,
        title="What is forgotten",
        x="epochs of the new",
        y="accuracy, %",
        summary=found.sentence,
        explained=_FORGETTING,
        height=340,
    )


def feature_pairs(found: FeaturePairs) -> go.Figure:
    """One image inside of two networks: the same channels of both, one row each for every stage.

    Args:
        found: from ``ModelComparison.features_of``.
    """
    size = max((maps.shape[-1] for pair in found.maps for maps in pair), default=1)
    pictures, titles = [], []
    for name, channels, (first, second) in zip(found.layers, found.channels, found.maps, strict=True):
        low = np.minimum(first.min((1, 2)), second.min((1, 2)))[:, None, None]
        high = np.maximum(first.max((1, 2)), second.max((1, 2)))[:, None, None]
        span = np.where(high > low, high - low, 1.0)
        for maps, when in ((first, found.names[0]), (second, found.names[1])):
            grey = (255 * (maps - low) / span).round().astype(np.uint8)
            pictures += [_enlarged(each, size) for each in grey]
            short = name.removeprefix("layer")  # as in the network's drawing; longer ones run into each other
            titles += [f"{short} ch {channel}\n{when}" for channel in channels]
    columns = max((len(channels) for channels in found.channels), default=1)
    stacked = np.stack(pictures)[:, None] if pictures else np.zeros((0, 1, 1, 1), np.uint8)
    mosaic = mosaic_of(stacked, tuple(titles), columns)
    return mosaic_figure(
        mosaic, title="One image, before and after", summary=found.sentence, explained=_FEATURES
    )


def _enlarged(picture: np.ndarray, size: int) -> np.ndarray:
    """(h, w) -> (size, size) by the nearest pixel."""
    rows = np.arange(size) * picture.shape[0] // size
    columns = np.arange(size) * picture.shape[1] // size
    return picture[rows][:, columns]
