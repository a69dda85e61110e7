"""A line across a figure at the step that is looked at."""

import plotly.graph_objects as go

from reswork.figures.canvas import COLOURS
from reswork.figures.text import escape


def with_cursor(figure: go.Figure, step: int, label: str = "", *, told: go.Figure | None = None) -> go.Figure:
    """The same figure with a dotted upright line at a step; for figures whose x axis counts steps.

    Args:
        figure: from this package; unchanged.
        step: updates so far.
        label: a few words on top of the line; none: the step.
        told: whose summary it gets, such as the same figure of the record until that step; None: its own.

    Returns:
        A new figure.

    Example:
        >>> from reswork.figures import loss_curves
        >>> with_cursor(loss_curves({}), 40).layout.annotations[-1].text
        'step 40'
    """
    layout = figure.layout.to_plotly_json()
    if told is not None:
        layout["meta"] = told.layout.meta
    line = {"type": "line", "x0": step, "x1": step, "y0": 0, "y1": 1, "yref": "paper"}
    words = {"x": step, "y": 1, "yref": "paper", "yanchor": "top", "xanchor": "left", "showarrow": False}
    layout["shapes"] = [
        *(layout.get("shapes") or ()),
        line | {"line": {"color": COLOURS[1], "width": 2, "dash": "dot"}},
    ]
    layout["annotations"] = [
        *(layout.get("annotations") or ()),
        words | {"text": escape(label, 40) if label else f"step {step:,}", "font": {"size": 11}},
    ]
    return go.Figure(
        {"data": [trace.to_plotly_json() for trace in figure.data], "layout": layout}, _validate=False
    )
