"""Gradient norms: how strongly each layer is told to change, over the steps and over the depth."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from reswork.figures.canvas import COLOURS, DASHES, SYMBOLS, about, axis, canvas
from reswork.figures.depth_axis import Group, depth_axis, depth_groups
from reswork.figures.depth_lines import depth_line
from reswork.figures.smoothing import Floats
from reswork.figures.text import distinct, number

if TYPE_CHECKING:
    from reswork.history import History, Vectors

_GROUP = "grad_norm"
_MOST_COLUMNS = 200
_MOST_ROWS = 60
_MOST_DEPTHS = 300  # points of one profile

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
_COMPARISON = about(
    "How strongly each layer is told to change at the first step, one line for each network: left is the first "
    "layer after the picture, right is the last one. Each mark upwards means ten times more.",
    "With shortcuts and batch norm the line stays within a factor of ten or so.",
    "Make the networks deeper: a plain one's slope gets longer, while a residual one's line hardly moves.",
)


@dataclass(frozen=True, eq=False)
class _Map:
    """Rows from input to output; NaN where there is no finite, positive norm."""

    steps: Floats  # (n,)
    rows: tuple[str, ...]  # (R,) a layer, or the first of the layers in the row
    log_norms: Floats  # (R, n)
    per_row: int  # neighbouring layers in one row
    summary: str


@dataclass(frozen=True, eq=False)
class _Profile:
    """Norms over depth at up to three moments."""

    layers: tuple[str, ...]  # (P,)
    depths: Floats  # (P,) place of the layer from the input, the first is 1
    moments: tuple[tuple[int, Floats], ...]  # step, (P,) norms
    groups: tuple[Group, ...]
    per_point: int
    summary: str


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
    return _map_figure(_map_info(history.vectors(_GROUP, max_points=_MOST_COLUMNS)))


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
        firsts = {name: _first(history.vectors(_GROUP)) for name, history in runs.items()}
        return _comparison_figure(_comparison_info(firsts))
    return _profile_figure(_profile_info(runs.vectors(_GROUP, max_points=_MOST_COLUMNS)))


def _map_info(vectors: "Vectors") -> _Map:
    per_row = -(-len(vectors.labels) // _MOST_ROWS) or 1
    logs = _pooled(_logs(vectors.values), per_row)
    return _Map(
        vectors.steps.astype(np.float32),
        tuple(vectors.labels[::per_row]),
        np.ascontiguousarray(logs.T, np.float32),
        per_row,
        _summary(vectors),
    )


def _profile_info(vectors: "Vectors") -> _Profile:
    per_point = -(-len(vectors.labels) // _MOST_DEPTHS) or 1
    count = len(vectors.steps)
    places = list(dict.fromkeys((0, count // 2, count - 1))) if count else []
    logs = _pooled(_logs(vectors.values[places]), per_point) if count else np.empty((0, 0))
    norms = (10.0**logs).astype(np.float32)
    depths = np.arange(len(vectors.labels), dtype=np.float32)[::per_point] + 1
    moments = tuple((int(vectors.steps[place]), norms[row]) for row, place in enumerate(places))
    return _Profile(
        tuple(vectors.labels[::per_point]),
        depths,
        moments,
        depth_groups(vectors.labels),
        per_point,
        _summary(vectors),
    )


def _first(vectors: "Vectors") -> "Vectors":
    """Only the first record."""
    return replace(vectors, steps=vectors.steps[:1], values=vectors.values[:1])


def _comparison_info(firsts: Mapping[str, "Vectors"]) -> _Comparison:
    deepest = max((each.labels for each in firsts.values()), key=len, default=())
    per_point = -(-len(deepest) // _MOST_DEPTHS) or 1
    lines = []
    for name, each in firsts.items():
        norms = (10.0 ** _pooled(_logs(each.values), per_point)).astype(np.float32).ravel()
        lines.append((name, np.arange(len(norms), dtype=np.float32) * per_point + 1, norms))
    summary = " ".join(f"{name}: {_summary(each)}" for name, each in firsts.items())
    return _Comparison(
        tuple(lines), depth_groups(deepest), per_point, summary or "No gradient norms recorded yet."
    )


def _logs(values: np.ndarray) -> np.ndarray:
    """Decimal logarithm, NaN for what is not finite and positive."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.log10(np.where(np.isfinite(values) & (values > 0), values, np.nan))


def _pooled(logs: np.ndarray, width: int) -> np.ndarray:
    """Means of ``width`` neighbouring columns, (n, L) to (n, ceil(L / width)); NaN only where all are."""
    if width == 1 or logs.shape[1] == 0:
        return logs
    starts = np.arange(0, logs.shape[1], width)
    valid = np.isfinite(logs)
    sums = np.add.reduceat(np.where(valid, logs, 0.0), starts, axis=1)
    with np.errstate(invalid="ignore"):
        return sums / np.add.reduceat(valid, starts, axis=1, dtype=np.float64)


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


def _map_figure(info: _Map) -> go.Figure:
    title = "layer, input at the top" + (
        f"<br>(a row: {info.per_row} neighbours)" if info.per_row > 1 else ""
    )
    trace = {
        "type": "heatmap",
        "x": info.steps,
        "y": distinct(info.rows, 32),
        "z": info.log_norms,
        "colorscale": "Viridis",
        "hoverongaps": False,
        "hovertemplate": "%{y}, step %{x}: norm 10<sup>%{z:.2f}</sup><extra></extra>",
        "colorbar": {
            "title": {"text": "gradient norm", "side": "top", "font": {"size": 12}},
            "thickness": 12,
            "tickprefix": "10<sup>",
            "ticksuffix": "</sup>",
            "outlinewidth": 0,
        },
    }
    height = int(np.clip(110 + 9 * len(info.rows), 280, 480))
    return canvas(
        [trace],
        summary=info.summary,
        explained=_MAP,
        x=axis("step", showgrid=False, rangemode="nonnegative"),
        y=axis(title, autorange="reversed", type="category", showgrid=False),
        height=height,
    )


def _profile_figure(info: _Profile) -> go.Figure:
    names = distinct(info.layers, 32)
    traces = [_moment(info, index, names) for index in range(3)]
    x, borders = depth_axis(info.groups, info.per_point)
    return canvas(
        traces,
        summary=info.summary,
        explained=_PROFILE,
        x=x,
        y=axis("gradient norm", type="log", dtick="D2", exponentformat="power"),
        shapes=borders,
    )


def _comparison_figure(info: _Comparison) -> go.Figure:
    traces = [depth_line(index, *line) for index, line in enumerate(info.lines)]
    x, borders = depth_axis(info.groups, info.per_point)
    return canvas(
        traces,
        summary=info.summary,
        explained=_COMPARISON,
        x=x,
        y=axis("gradient norm", type="log", exponentformat="power"),
        shapes=borders,
        showlegend=True,
    )


def _moment(info: _Profile, index: int, names: list[str]) -> dict[str, Any]:
    present = index < len(info.moments)
    step, norms = info.moments[index] if present else (0, np.empty(0, np.float32))
    return {
        "type": "scatter",
        "mode": "lines+markers" if len(names) <= 60 else "lines",
        "x": info.depths if present else np.empty(0, np.float32),
        "y": norms,
        "name": f"step {step}",
        "text": names if index == 0 else None,
        "showlegend": present,
        "line": {"color": COLOURS[index], "width": 2, "dash": DASHES[2 - index]},
        "marker": {"symbol": SYMBOLS[index], "size": 6},
        "hovertemplate": ("%{text}: " if index == 0 else "layer %{x}: ") + "%{y:.3g}",
    }
