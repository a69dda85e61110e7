"""What a run records of each layer, over the steps and over the depth: gradient norms, and updates of the weights."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from reswork.figures.canvas import about, axis, canvas
from reswork.figures.depth_axis import Group, depth_axis, depth_groups
from reswork.figures.depth_lines import depth_line
from reswork.figures.depth_views import (
    MOST_COLUMNS,
    logarithms,
    map_figure,
    map_info,
    points_shared,
    pooled,
    profile_figure,
    profile_info,
)
from reswork.figures.smoothing import Floats
from reswork.figures.text import number

if TYPE_CHECKING:
    from reswork.history import History, Vectors

Summary = Callable[["Vectors"], str]

__all__ = ["gradient_norms", "gradient_profile", "update_profile", "update_ratios", "weight_norms"]

_GRADIENTS = about(
    "Each row is a layer, the top one next to the picture, the bottom one next to the answer. Colour says "
    "how strongly the layer is told to change (the length of its gradient): yellow much, dark blue "
    "little.",
    "All rows have similar colours, and grow darker together as the network gets better.",
    "Switch the shortcuts off at depth 56: rows drift apart, and the first layers get signals a thousand "
    "times larger or smaller than the last. Holes mean zero or not a number: lower the learning rate.",
)
_GRADIENT_PROFILE = about(
    "The same strengths at three moments: left is the first layer after the picture, right is the last "
    "one. Each mark upwards means ten times more.",
    "With shortcuts the line is nearly level, within a factor of ten or so, and sinks as training goes on.",
    "Compare a plain network with a residual one of the same depth: the plain one's line is a steep slope.",
)
_GRADIENT_COMPARISON = about(
    "How strongly each layer is told to change at the first step, one line for each network: left is the first "
    "layer after the picture, right is the last one. Each mark upwards means ten times more.",
    "With shortcuts and batch norm the line stays within a factor of ten or so.",
    "Make the networks deeper: a plain one's slope gets longer, while a residual one's line hardly moves.",
)
_UPDATES = about(
    "Each row is a layer, the top one next to the picture. Colour says by what part of their own size one "
    "step changes the layer's weights: 10<sup>-3</sup> is a thousandth.",
    "About a thousandth everywhere, sinking with the learning rate. The last layer often moves more.",
    "Raise the learning rate tenfold: above a tenth the weights are thrown about and the loss jumps. Rows "
    "that stay far darker than the others hardly learn.",
)
_UPDATE_PROFILE = about(
    "The same ratios at three moments: left is the first layer after the picture, right is the last one. "
    "Each mark upwards means ten times more.",
    "Within a factor of ten over depth, and lower at each later moment if the learning rate falls.",
    "Compare the first step of a plain and of a residual network, or SGD with AdamW.",
)
_WEIGHT_PROFILE = about(
    "How long each layer's weights are, at three moments: left is the first layer after the picture, right the last.",
    "Wide layers are longer. The lines move little, and come to rest where weight decay and gradient are even.",
    "Set the weight decay to 0: all lines rise. At 0.05 they sink to a fifth, and each step turns a layer further.",
)


@dataclass(frozen=True, eq=False)
class _Comparison:
    """Norms over depth of several networks, each at its first record."""

    lines: tuple[tuple[str, Floats, Floats], ...]  # name, (P,) depths, (P,) norms
    groups: tuple[Group, ...]  # of the deepest network
    per_point: int
    summary: str


def gradient_norms(history: "History") -> go.Figure:
    """Heat map of gradient norms: layers from input (top) to output, steps to the right, colour is the norm.

    Read from it whether all layers learn alike, and where gradients vanish or explode.

    Args:
        history: of one run, with the group ``grad_norm``.

    Returns:
        Figure with one map of at most 60 rows and 200 columns; deeper nets share rows among neighbours.
    """
    return _map(
        history, "grad_norm", "Gradient norm of each layer", "gradient norm", _gradient_summary, _GRADIENTS
    )


def gradient_profile(runs: "History | Mapping[str, History]") -> go.Figure:
    """Gradient norm of each layer over depth.

    Of one run at the first, a middle and the latest record; of several runs at the first record of each, so
    that networks are compared before training has moved them apart.

    Args:
        runs: one history with the group ``grad_norm``, or several by name.

    Returns:
        Figure with three lines, or one for each name, on a logarithmic scale.
    """
    if isinstance(runs, Mapping):
        every = {name: history.vectors("grad_norm") for name, history in runs.items()}
        firsts = {
            name: replace(each, steps=each.steps[:1], values=each.values[:1]) for name, each in every.items()
        }
        return _comparison_figure(_comparison_info(firsts))
    title = "Gradient norm over depth"
    return _profile(runs, "grad_norm", title, "gradient norm", _gradient_summary, _GRADIENT_PROFILE)


def update_ratios(history: "History") -> go.Figure:
    """Heat map of update ratios: layers from input (top) to output, steps to the right, colour is the ratio.

    Read from it whether all layers learn at the same speed, and whether the learning rate is right.

    Args:
        history: of one run, with the group ``update_ratio``.

    Returns:
        Figure with one map of at most 60 rows and 200 columns; deeper nets share rows among neighbours.
    """
    return _map(history, "update_ratio", "Update of each layer", "update ratio", _update_summary, _UPDATES)


def update_profile(history: "History") -> go.Figure:
    """Update ratio of each layer over depth, at the first, a middle and the latest record.

    Args:
        history: of one run, with the group ``update_ratio``.

    Returns:
        Figure with three lines on a logarithmic scale.
    """
    title = "Update over depth"
    return _profile(history, "update_ratio", title, "update ratio", _update_summary, _UPDATE_PROFILE)


def weight_norms(history: "History") -> go.Figure:
    """Weight norm of each layer over depth, at the first, a middle and the latest record.

    Args:
        history: of one run, with the group ``weight_norm``.
    """
    title = "Weight norm over depth"
    return _profile(history, "weight_norm", title, "weight norm", _weight_summary, _WEIGHT_PROFILE)


def _map(
    history: "History", group: str, title: str, quantity: str, summary: Summary, explained: Mapping[str, str]
) -> go.Figure:
    vectors = history.vectors(group, max_points=MOST_COLUMNS)
    return map_figure(map_info(vectors, summary(vectors)), title, quantity, explained)


def _profile(
    history: "History", group: str, title: str, quantity: str, summary: Summary, explained: Mapping[str, str]
) -> go.Figure:
    vectors = history.vectors(group, max_points=MOST_COLUMNS)
    return profile_figure(profile_info(vectors, summary(vectors)), title, quantity, explained)


def _comparison_info(firsts: Mapping[str, "Vectors"]) -> _Comparison:
    deepest = max((each.labels for each in firsts.values()), key=len, default=())
    per_point = points_shared(deepest)
    lines = []
    for name, each in firsts.items():
        norms = (10.0 ** pooled(logarithms(each.values), per_point)).astype(np.float32).ravel()
        lines.append((name, np.arange(len(norms), dtype=np.float32) * per_point + 1, norms))
    summary = " ".join(f"{name}: {_gradient_summary(each)}" for name, each in firsts.items())
    return _Comparison(
        tuple(lines), depth_groups(deepest), per_point, summary or "No gradient norms recorded yet."
    )


def _gradient_summary(vectors: "Vectors") -> str:
    if not len(vectors.steps) or not vectors.labels:
        return "No gradient norms recorded yet."
    latest = vectors.values[-1]
    bad = int(np.sum(~np.isfinite(latest)))
    text = (
        f"At step {int(vectors.steps[-1])} the gradient norm is {number(float(latest[0]))} in the first "
        f"layer ({vectors.labels[0]}) and {number(float(latest[-1]))} in the last ({vectors.labels[-1]})"
    )
    return f"{text}; {bad} of {len(latest)} layers have no finite norm." if bad else text + "."


def _weight_summary(vectors: "Vectors") -> str:
    if not len(vectors.steps) or not vectors.labels:
        return "No weight norms recorded yet."
    logs = np.diff(logarithms(vectors.values[[0, -1]]), axis=0)[0]
    most = int(np.argmax(np.abs(np.nan_to_num(logs))))
    return (
        f"At step {int(vectors.steps[-1])} the weights of {vectors.labels[most]} are {number(10 ** float(logs[most]))} "
        f"times as long as at step {int(vectors.steps[0])}: of all layers the largest change."
    )


def _update_summary(vectors: "Vectors") -> str:
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


def _comparison_figure(info: _Comparison) -> go.Figure:
    traces = [depth_line(index, *line) for index, line in enumerate(info.lines)]
    x, borders = depth_axis(info.groups, info.per_point)
    return canvas(
        traces,
        title="Gradient norm at the start",
        summary=info.summary,
        explained=_GRADIENT_COMPARISON,
        x=x,
        y=axis("gradient norm", type="log", exponentformat="power"),
        shapes=borders,
        showlegend=True,
    )
