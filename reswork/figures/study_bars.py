"""Bars of a study, in groups, each with what it is spread over."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from reswork.figures.canvas import COLOURS, INK, PATTERNS, axis, canvas
from reswork.figures.text import escape
from reswork.results.study import Line


def study_bars(
    groups: Sequence[Line],
    names: Sequence[str],
    *,
    title: str,
    x: str,
    y: str,
    summary: str,
    explained: dict[str, str],
    height: int = 300,
) -> go.Figure:
    """For each of several things a bar of every group, beside each other.

    Args:
        groups: what is compared, each with a value at the places 0 to n - 1, which are the things.
        names: of the things, n of them.
        title: at most 31 letters.
        x: title of the x axis: what things they are.
        y: title of the y axis.
        summary: one sentence with the numbers.
        explained: the texts of `about`.
        height: of what is below the title, in pixels.

    Returns:
        Figure with one trace for each group; lines on the bars go from the smallest to the largest.
    """
    told = [escape(name, 26) for name in names]
    traces = []
    for place, group in enumerate(groups):
        values = np.where(np.isfinite(group.y), group.y, np.nan).astype(np.float32)
        trace = {
            "type": "bar",
            "name": escape(group.name, 40),
            "x": [told[int(index)] for index in group.x],
            "y": values,
            "marker": {
                "color": COLOURS[group.colour % len(COLOURS)],
                "pattern": {"shape": PATTERNS[place % len(PATTERNS)]},
            },
            "hovertemplate": "%{x}: %{y:.4g}",
        }
        if group.low is not None and group.high is not None:
            trace["error_y"] = {
                "type": "data",
                "symmetric": False,
                "array": np.nan_to_num(group.high - group.y).astype(np.float32),
                "arrayminus": np.nan_to_num(group.y - group.low).astype(np.float32),
                "color": INK,
                "thickness": 1,
                "width": 3,
            }
        traces.append(trace)
    return canvas(
        traces,
        title=title,
        summary=summary,
        explained=explained,
        x=axis(x, type="category"),
        y=axis(y, rangemode="tozero", exponentformat="power"),
        height=height,
        showlegend=True,
        barmode="group",
    )
