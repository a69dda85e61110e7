"""Update ratios: how far each step moves each layer's weights, compared with their size."""

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from reswork.figures.canvas import about
from reswork.figures.depth_views import MOST_COLUMNS, map_figure, map_info, profile_figure, profile_info
from reswork.figures.text import number

if TYPE_CHECKING:
    from reswork.history import History, Vectors

_GROUP = "update_ratio"
_QUANTITY = "update ratio"

_MAP = about(
    "Each row is a layer, the top one next to the picture. Colour says by what part of their own size one "
    "step changes the layer's weights: 10<sup>-3</sup> is a thousandth.",
    "About a thousandth everywhere, sinking with the learning rate. The last layer often moves more.",
    "Raise the learning rate tenfold: above a tenth the weights are thrown about and the loss jumps. Rows "
    "that stay far darker than the others hardly learn.",
)
_PROFILE = about(
    "The same ratios at three moments: left is the first layer after the picture, right is the last one. "
    "Each mark upwards means ten times more.",
    "Within a factor of ten over depth, and lower at each later moment if the learning rate falls.",
    "Compare the first step of a plain and of a residual network, or SGD with AdamW.",
)


def update_ratios(history: "History") -> go.Figure:
    """Heat map of update ratios: layers from input (top) to output, steps to the right, colour is the ratio.

    Read from it whether all layers learn at the same speed, and whether the learning rate is right.

    Args:
        history: of one run, with the group ``update_ratio``.

    Returns:
        Figure with one map of at most 60 rows and 200 columns; deeper nets share rows among neighbours.
    """
    vectors = history.vectors(_GROUP, max_points=MOST_COLUMNS)
    return map_figure(map_info(vectors, _summary(vectors)), _QUANTITY, _MAP)


def update_profile(history: "History") -> go.Figure:
    """Update ratio of each layer over depth, at the first, a middle and the latest record.

    Args:
        history: of one run, with the group ``update_ratio``.

    Returns:
        Figure with three lines on a logarithmic scale.
    """
    vectors = history.vectors(_GROUP, max_points=MOST_COLUMNS)
    return profile_figure(profile_info(vectors, _summary(vectors)), _QUANTITY, _PROFILE)


def _summary(vectors: "Vectors") -> str:
    if not len(vectors.steps) or not vectors.labels:
        return "No update ratios recorded yet."
    latest = vectors.values[-1]
    known = latest[np.isfinite(latest)]
    middle = float(np.median(known)) if len(known) else float("nan")
    text = f"At step {int(vectors.steps[-1])} an update changes the weights of a middling layer by {number(middle)}"
    if len(known):
        most = int(np.nanargmax(np.where(np.isfinite(latest), latest, np.nan)))
        text += f" of their size; most in {vectors.labels[most]}, by {number(float(latest[most]))}"
    return text + "."
