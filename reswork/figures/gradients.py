"""Gradient norms: how strongly each layer is told to change, over the steps and over the depth."""

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from reswork.figures.canvas import about
from reswork.figures.over_depth import MOST_COLUMNS, map_figure, map_info, profile_figure, profile_info
from reswork.figures.text import number

if TYPE_CHECKING:
    from reswork.history import History, Vectors

_GROUP = "grad_norm"
_QUANTITY = "gradient norm"

_MAP = about(
    "Each row is a layer, the top one next to the picture, the bottom one next to the answer. Colour says "
    "how strongly the layer is told to change (the length of its gradient): yellow much, dark blue "
    "little.",
    "All rows have similar colours, and grow darker together as the network gets better.",
    "Switch the shortcuts off at depth 56: rows drift apart, and the first layers get signals a thousand "
    "times larger or smaller than the last. Holes mean zero or not a number: lower the learning rate.",
)
_PROFILE = about(
    "The same strengths at three moments: left is the first layer after the picture, right is the last "
    "one. Each mark upwards means ten times more.",
    "With shortcuts the line is nearly level, within a factor of ten or so, and sinks as training goes on.",
    "Compare a plain network with a residual one of the same depth: the plain one's line is a steep slope.",
)


def gradient_norms(history: "History") -> go.Figure:
    """Heat map of gradient norms: layers from input (top) to output, steps to the right, colour is the norm.

    Read from it whether all layers learn alike, and where gradients vanish or explode.

    Args:
        history: of one run, with the group ``grad_norm``.

    Returns:
        Figure with one map of at most 60 rows and 200 columns; deeper nets share rows among neighbours.
    """
    vectors = history.vectors(_GROUP, max_points=MOST_COLUMNS)
    return map_figure(map_info(vectors, _summary(vectors)), _QUANTITY, _MAP)


def gradient_profile(history: "History") -> go.Figure:
    """Gradient norm of each layer over depth, at the first, a middle and the latest record.

    Args:
        history: of one run, with the group ``grad_norm``.

    Returns:
        Figure with three lines on a logarithmic scale.
    """
    vectors = history.vectors(_GROUP, max_points=MOST_COLUMNS)
    return profile_figure(profile_info(vectors, _summary(vectors)), _QUANTITY, _PROFILE)


def _summary(vectors: "Vectors") -> str:
    if not len(vectors.steps) or not vectors.labels:
        return "No gradient norms recorded yet."
    latest = vectors.values[-1]
    bad = int(np.sum(~np.isfinite(latest)))
    text = (
        f"At step {int(vectors.steps[-1])} the gradient norm is {number(float(latest[0]))} in the first "
        f"layer ({vectors.labels[0]}) and {number(float(latest[-1]))} in the last ({vectors.labels[-1]})"
    )
    return f"{text}; {bad} of {len(latest)} layers have no finite norm." if bad else text + "."
