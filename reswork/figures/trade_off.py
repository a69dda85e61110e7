"""What several things cost against what they are worth."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from reswork.figures.canvas import COLOURS, INK, SYMBOLS, axis, canvas
from reswork.figures.text import escape
from reswork.results.study import Line


def trade_off(
    points: Sequence[Line],
    *,
    title: str,
    x: str,
    y: str,
    summary: str,
    explained: dict[str, str],
    height: int = 320,
) -> go.Figure:
    """A point for each thing, cost to the right on a logarithmic scale, worth upwards.

    Those that no other beats in both are joined by a line, Pareto's front: whoever wants less cost than one of them has
    to give up some worth.

    Args:
        points: each a `Line` with one place: its cost (above 0), its worth, and from where to where that goes.
        title: at most 31 letters.
        x: title of the x axis, the cost.
        y: title of the y axis, the worth.
        summary: one sentence with the numbers.
        explained: the texts of `about`.
        height: of what is below the title, in pixels.

    Returns:
        Figure with one trace for each point and, where there are two points, one for the front.
    """
    known = [each for each in points if np.isfinite([each.x[0], each.y[0]]).all() and each.x[0] > 0]
    costs, worth = np.array([each.x[0] for each in known]), np.array([each.y[0] for each in known])
    traces = [_point(each) for each in points]
    if len(known) > 1:
        at = [*front(costs, worth)]
        traces.insert(
            0,
            {
                "type": "scatter",
                "mode": "lines",
                "name": "none is better in both",
                "x": costs[at].astype(np.float32),
                "y": worth[at].astype(np.float32),
                "line": {"color": INK, "width": 1, "dash": "dot"},
                "hoverinfo": "skip",
            },
        )
    return canvas(
        traces,
        title=title,
        summary=summary,
        explained=explained,
        x=axis(x, type="log", exponentformat="power"),
        y=axis(y),
        height=height,
        showlegend=True,
    )


def front(costs: np.ndarray, worth: np.ndarray) -> list[int]:
    """Numbers of those that no other beats in both, by rising cost.

    Example:
        >>> front(np.array([3.0, 1.0, 2.0]), np.array([9.0, 5.0, 4.0]))
        [1, 0]
    """
    found: list[int] = []
    for index in np.lexsort((-worth, costs)):
        if not found or worth[index] > worth[found[-1]]:
            found.append(int(index))
    return found


def _point(point: Line) -> dict[str, Any]:
    mark = SYMBOLS[point.colour % len(SYMBOLS)] + ("-open" if point.dashed else "")
    trace = {
        "type": "scatter",
        "mode": "markers",
        "name": escape(point.name, 40),
        "x": point.x.astype(np.float32),
        "y": point.y.astype(np.float32),
        "marker": {"color": COLOURS[point.colour % len(COLOURS)], "symbol": mark, "size": 10},
        "hovertemplate": "%{x:.3g}: %{y:.4g}",
    }
    if point.low is not None and point.high is not None:
        trace["error_y"] = {
            "type": "data",
            "symmetric": False,
            "array": np.nan_to_num(point.high - point.y).astype(np.float32),
            "arrayminus": np.nan_to_num(point.y - point.low).astype(np.float32),
            "thickness": 1,
            "width": 3,
        }
    return trace
