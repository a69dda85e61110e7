"""What a quantity of every layer or block looks like over steps and over depth: maps, profiles and lines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from reswork.figures.canvas import COLOURS, DASHES, SYMBOLS, axis, canvas, log_axis
from reswork.figures.depth_axis import Group, depth_axis, depth_groups
from reswork.figures.smoothing import Floats
from reswork.figures.text import distinct

if TYPE_CHECKING:
    from reswork.history import Vectors

MOST_COLUMNS = 200  # steps of a map or profile
_MOST_ROWS = 60
_MOST_DEPTHS = 300  # points of one line


@dataclass(frozen=True, eq=False)
class DepthMap:
    """Rows from input to output; NaN where there is no finite, positive value."""

    steps: Floats  # (n,)
    rows: tuple[str, ...]  # (R,) a layer, or the first of the layers in the row
    logs: Floats  # (R, n) decimal logarithms
    per_row: int  # neighbouring layers in one row
    summary: str


@dataclass(frozen=True, eq=False)
class Profile:
    """A quantity over depth at up to three moments."""

    layers: tuple[str, ...]  # (P,)
    depths: Floats  # (P,) place of the layer from the input, the first is 1
    moments: tuple[tuple[int, Floats], ...]  # step, (P,) values
    groups: tuple[Group, ...]
    per_point: int
    summary: str


@dataclass(frozen=True, eq=False)
class Line:
    """One quantity of every block at one moment."""

    name: str
    values: Floats  # (P,)
    quiet: bool = False  # thin, for comparison


@dataclass(frozen=True, eq=False)
class DepthLines:
    """Several quantities over the same blocks."""

    blocks: tuple[str, ...]  # (P,)
    depths: Floats  # (P,) the first is 1
    lines: tuple[Line, ...]
    groups: tuple[Group, ...]
    per_point: int
    summary: str


def map_info(vectors: "Vectors", summary: str) -> DepthMap:
    """The map of a group; deeper nets share rows among neighbours."""
    per_row = -(-len(vectors.labels) // _MOST_ROWS) or 1
    logs = pooled(logarithms(vectors.values), per_row)
    return DepthMap(
        vectors.steps.astype(np.float32),
        tuple(vectors.labels[::per_row]),
        np.ascontiguousarray(logs.T, np.float32),
        per_row,
        summary,
    )


def profile_info(vectors: "Vectors", summary: str) -> Profile:
    """A group's first, middle and newest values."""
    per_point = points_shared(vectors.labels)
    count = len(vectors.steps)
    indices = list(dict.fromkeys((0, count // 2, count - 1))) if count else []
    logs = pooled(logarithms(vectors.values[indices]), per_point) if count else np.empty((0, 0))
    values = (10.0**logs).astype(np.float32)
    return Profile(
        tuple(vectors.labels[::per_point]),
        _depths(vectors.labels, per_point),
        tuple((int(vectors.steps[index]), values[row]) for row, index in enumerate(indices)),
        depth_groups(vectors.labels),
        per_point,
        summary,
    )


def lines_info(labels: Sequence[str], lines: Sequence[Line], summary: str) -> DepthLines:
    """Lines over blocks; of very deep nets means of neighbours."""
    per_point = points_shared(labels)
    drawn = []
    for line in lines:
        values = line.values
        if len(labels):
            finite = np.where(np.isfinite(values), values, np.nan)
            values = pooled(finite[None], per_point)[0].astype(np.float32)
        drawn.append(Line(line.name, values, line.quiet))
    blocks, depths = tuple(labels[::per_point]), _depths(labels, per_point)
    return DepthLines(blocks, depths, tuple(drawn), depth_groups(labels), per_point, summary)


def logarithms(values: np.ndarray) -> np.ndarray:
    """Decimal logarithm, NaN for what is not finite and positive."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.log10(np.where(np.isfinite(values) & (values > 0), values, np.nan))


def pooled(values: np.ndarray, width: int) -> np.ndarray:
    """Means of ``width`` neighbouring columns, (n, L) to (n, ceil(L / width)); NaN only where all are."""
    if width == 1 or values.shape[1] == 0:
        return values
    starts = np.arange(0, values.shape[1], width)
    valid = np.isfinite(values)
    sums = np.add.reduceat(np.where(valid, values, 0.0), starts, axis=1)
    with np.errstate(invalid="ignore"):
        return sums / np.add.reduceat(valid, starts, axis=1, dtype=np.float64)


def points_shared(labels: Sequence[str]) -> int:
    """How many neighbours share a point of a line."""
    return -(-len(labels) // _MOST_DEPTHS) or 1


def map_figure(info: DepthMap, title: str, quantity: str, explained: Mapping[str, str]) -> go.Figure:
    """Heat map: layers from input (top) to output, steps to the right, colour is the logarithm."""
    rows = "layer, input at the top" + (f"<br>(a row: {info.per_row} neighbours)" if info.per_row > 1 else "")
    short = quantity.split()[-1]
    trace = {
        "type": "heatmap",
        "x": info.steps,
        "y": distinct(info.rows, 24),
        "z": info.logs,
        "colorscale": "Viridis",
        "hoverongaps": False,
        "hovertemplate": f"%{{y}}, step %{{x}}: {short} 10<sup>%{{z:.2f}}</sup><extra></extra>",
        "colorbar": {
            "title": {"text": quantity, "side": "top", "font": {"size": 12}},
            "thickness": 12,
            "tickprefix": "10<sup>",
            "ticksuffix": "</sup>",
            "outlinewidth": 0,
        },
    }
    height = int(np.clip(110 + 9 * len(info.rows), 280, 480))
    return canvas(
        [trace],
        title=title,
        summary=info.summary,
        explained=explained,
        x=axis("step", showgrid=False, rangemode="nonnegative"),
        y=axis(rows, autorange="reversed", type="category", showgrid=False),
        height=height,
    )


def profile_figure(info: Profile, title: str, quantity: str, explained: Mapping[str, str]) -> go.Figure:
    """Three lines over depth on a logarithmic scale."""
    names = distinct(info.layers, 32)
    x, borders = depth_axis(info.groups, info.per_point)
    return canvas(
        [_moment(info, index, names) for index in range(3)],
        title=title,
        summary=info.summary,
        explained=explained,
        x=x,
        y=log_axis(quantity, *(values for _, values in info.moments), exponentformat="power"),
        shapes=borders,
    )


def lines_figure(
    info: DepthLines, title: str, y: Mapping[str, Any], explained: Mapping[str, str]
) -> go.Figure:
    """Lines over blocks; ``y`` is the axis, from `axis`."""
    names = distinct(info.blocks, 32)
    x, borders = depth_axis(info.groups, info.per_point, of="block")
    return canvas(
        [_line(info, index, names) for index in range(len(info.lines))],
        title=title,
        summary=info.summary,
        explained=explained,
        x=x,
        y=y,
        shapes=borders,
    )


def _moment(info: Profile, index: int, names: list[str]) -> dict[str, Any]:
    present = index < len(info.moments)
    step, values = info.moments[index] if present else (0, np.empty(0, np.float32))
    return {
        "type": "scatter",
        "mode": _mode(names),
        "x": info.depths if present else np.empty(0, np.float32),
        "y": values,
        "name": f"step {step}",
        "text": names if index == 0 else None,
        "showlegend": present,
        "line": {"color": COLOURS[index], "width": 2, "dash": DASHES[2 - index]},
        "marker": {"symbol": SYMBOLS[index], "size": 6},
        "hovertemplate": ("%{text}: " if index == 0 else "layer %{x}: ") + "%{y:.3g}",
    }


def _line(info: DepthLines, index: int, names: list[str]) -> dict[str, Any]:
    line = info.lines[index]
    return {
        "type": "scatter",
        "mode": "lines" if line.quiet else _mode(names),
        "x": info.depths[: len(line.values)],
        "y": line.values,
        "name": line.name,
        "text": names,
        "showlegend": len(line.values) > 0,
        "opacity": 0.6 if line.quiet else 1.0,
        "line": {"color": COLOURS[index], "width": 1.5 if line.quiet else 2, "dash": DASHES[index]},
        "marker": {"symbol": SYMBOLS[index], "size": 6},
        "hovertemplate": "%{text}: %{y:.3g}",
    }


def _mode(names: Sequence[str]) -> str:
    return "lines+markers" if len(names) <= 60 else "lines"


def _depths(labels: Sequence[str], per_point: int) -> Floats:
    return np.arange(len(labels), dtype=np.float32)[::per_point] + 1
