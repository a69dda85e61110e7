"""Lines of a study with what they are spread over."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import plotly.graph_objects as go

from reswork.figures.canvas import COLOURS, SYMBOLS, axis, canvas, log_axis
from reswork.figures.text import escape
from reswork.results.study import Line

_MOST_MARKED = 40
_MOST_POINTS = 1_000
_LARGEST = 1e38  # that is drawn: the page gets float32


def study_lines(
    lines: Sequence[Line],
    *,
    title: str,
    x: str,
    y: str,
    summary: str,
    explained: dict[str, str],
    x_scale: Literal["linear", "log"] = "linear",
    y_scale: Literal["linear", "log"] = "linear",
    y_range: tuple[float, float] | None = None,
    ticks: tuple[Sequence[float], Sequence[str]] | None = None,
    height: int = 280,
) -> go.Figure:
    """Several lines, each a mean with bars from the smallest to the largest.

    Args:
        lines: what is drawn; the same colour with and without a dash belongs together.
        title: at most 31 letters.
        x: title of the x axis.
        y: title of the y axis.
        summary: one sentence with the numbers.
        explained: the texts of `about`.
        x_scale: "log" shows powers of ten as equal distances.
        y_scale: likewise; what is not positive leaves a hole.
        y_range: ends of the y axis; None: as the numbers need it.
        ticks: places and words on the x axis; None: as plotly chooses.
        height: of what is below the title, in pixels.

    Returns:
        Figure with one trace for each line.
    """
    marked: dict[str, Any] = {}
    if ticks is not None:
        marked |= {
            "tickmode": "array",
            "tickvals": list(ticks[0]),
            "ticktext": [escape(word, 16) for word in ticks[1]],
        }
    upright: dict[str, Any] = {"exponentformat": "power"}
    if y_range is not None:
        upright["range"] = list(y_range)
    elif y_scale == "linear":
        upright["rangemode"] = "tozero"
    return canvas(
        [_trace(line, y_scale) for line in lines],
        title=title,
        summary=summary[:1].upper() + summary[1:],
        explained=explained,
        x=_axis_of(x, x_scale, [line.x for line in lines], marked),
        y=_axis_of(y, y_scale, [line.y for line in lines], upright),
        height=height,
        showlegend=True,
    )


def _axis_of(title: str, scale: str, values: Sequence[np.ndarray], more: dict[str, Any]) -> dict[str, Any]:
    return log_axis(title, *values, **more) if scale == "log" else axis(title, **more)


def _trace(line: Line, y_scale: str) -> dict[str, Any]:
    at = np.linspace(0, len(line.x) - 1, min(len(line.x), _MOST_POINTS)).round().astype(int)
    y = line.y[at]
    drawn = (np.abs(y) < _LARGEST) & ((y > 0) if y_scale == "log" else True)
    colour, marks = COLOURS[line.colour % len(COLOURS)], len(at) <= _MOST_MARKED
    trace = {
        "type": "scatter",
        "mode": "lines+markers" if marks else "lines",
        "name": escape(line.name, 40),
        "x": line.x[at].astype(np.float32),
        "y": np.where(drawn, y, np.nan).astype(np.float32),
        "line": {
            "color": colour,
            "width": 1.5 if line.dashed else 2,
            "dash": "dash" if line.dashed else "solid",
        },
        "marker": {
            "symbol": SYMBOLS[line.colour % len(SYMBOLS)] + ("-open" if line.dashed else ""),
            "size": 6,
        },
        "hovertemplate": "%{x:.4g}: %{y:.4g}",
    }
    if line.low is not None and line.high is not None and marks:
        above, below = line.high[at] - y, y - line.low[at]
        trace["error_y"] = {
            "type": "data",
            "symmetric": False,
            "array": np.nan_to_num(above).astype(np.float32),
            "arrayminus": np.nan_to_num(below).astype(np.float32),
            "thickness": 1,
            "width": 3,
        }
    return trace
