"""The common ground of all figures: colours, axes, margins and words, legible on light and dark pages."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from reswork.figures.text import escape

INK = "#787878"  # 4.4:1 on white, 4.3:1 on #111111
GRID = "rgba(128,128,128,0.25)"
CLEAR = "rgba(0,0,0,0)"
# Okabe and Ito's colours without black and yellow, which vanish on one of the two pages
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x")
PATTERNS = ("", "/", ".", "x")  # of bars
MODEBAR: dict[str, Any] = {
    "bgcolor": CLEAR,
    "color": INK,
    "activecolor": COLOURS[0],
    # the first would upload the plot; without the others the title has room beside the buttons
    "remove": ["sendChartToCloud", "zoomIn2d", "zoomOut2d", "autoScale2d", "select2d", "lasso2d"],
}
_HEAD = 30  # pixels on top of every figure: the title to the left, plotly's buttons to the right
_LINEAR = 0.8  # decades below which a logarithmic axis is marked like any other
_LONGEST = 31  # letters of a title; more would reach the buttons in the narrowest panel


def about(what: str, normal: str, then: str) -> dict[str, str]:
    """The three texts under a figure's "what is this"."""
    return {"what": what, "normal": normal, "try": then}


def axis(title: str, **more: Any) -> dict[str, Any]:
    """An axis with a title that is never cut and a grid that is seen on both pages."""
    return {
        "title": {"text": title, "standoff": 8, "font": {"size": 12}},
        "gridcolor": GRID,
        "linecolor": GRID,
        "zeroline": False,
        "automargin": True,
        **more,
    }


def log_axis(title: str, *values: np.ndarray, **more: Any) -> dict[str, Any]:
    """A logarithmic axis with as many marks as are legible: within two decades also at twos and fives."""
    drawn = np.concatenate([*values, np.empty(0)])
    drawn = drawn[np.isfinite(drawn) & (drawn > 0)]
    decades = float(np.log10(drawn.max() / drawn.min())) if len(drawn) else 5.0  # an empty axis shows so many
    if decades < _LINEAR:  # plotly's own marks, at equal steps; twos and fives would leave one or none
        return axis(title, type="log", **more)
    return axis(title, type="log", dtick="D2" if decades <= 2 else math.ceil(decades / 6), **more)


def canvas(
    traces: Sequence[Mapping[str, Any]],
    *,
    title: str,
    summary: str,
    explained: Mapping[str, str],
    x: Mapping[str, Any],
    y: Mapping[str, Any],
    height: int = 280,
    **layout: Any,
) -> go.Figure:
    """A figure with the common look.

    From the top: the title, beside it the buttons that plotly shows on hover, below both the legend, which takes as
    many rows as it needs and pushes the drawing down. Each has pixels of its own, so that none covers another.

    Args:
        traces: plain dicts as plotly takes them; dicts cost half of what constructors do.
        title: what the figure shows, in a few words; a name in it is not yet escaped.
        summary: one sentence with the current numbers, for screen readers; plain text, not escaped.
        explained: the texts of `about`.
        x: x axis, from `axis`.
        y: y axis, from `axis`.
        height: of what is below the title, in pixels; the width follows the page.
        **layout: further layout, such as annotations; a margin is that of what is below the title.
    """
    margin = {"l": 56, "r": 16, "t": 8, "b": 44} | layout.pop("margin", {})
    height += _HEAD
    ground = {
        "template": {},
        "autosize": True,
        "height": height,
        "margin": margin | {"t": margin["t"] + _HEAD},
        "title": {
            "text": f"<b>{escape(title, _LONGEST)}</b>",
            "font": {"size": 13},
            "x": 0,
            "xanchor": "left",
            "y": 1,
            "yanchor": "top",
            "yref": "container",
            "pad": {"l": 8, "t": 8},
        },
        "paper_bgcolor": CLEAR,
        "plot_bgcolor": CLEAR,
        "font": {"color": INK, "size": 12},
        "legend": {
            "orientation": "h",
            "x": 0,
            "yref": "container",
            "y": 1 - _HEAD / height,
            "yanchor": "top",
            "bgcolor": CLEAR,
        },
        "hoverlabel": {"namelength": -1},
        "modebar": MODEBAR,
        "uirevision": "keep",
        "meta": {"summary": summary, "about": dict(explained)},
        "xaxis": dict(x),
        "yaxis": dict(y),
        **layout,
    }
    # Without plotly's checks a figure takes a third of the time; the tests make them, for every figure.
    return go.Figure({"data": list(traces), "layout": ground}, _validate=False)
