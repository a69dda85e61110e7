"""Lines over the depth of networks: one number for each layer, several networks over each other."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import plotly.graph_objects as go

from reswork.figures.canvas import COLOURS, DASHES, SYMBOLS, about, axis, canvas
from reswork.figures.smoothing import Floats
from reswork.figures.text import escape, number

_MOST_MARKED = 60  # a longer line has no markers

_ABOUT = about(
    "One number for each layer: left is the layer next to the input, right the one next to the output.",
    "A line that stays nearly level: every layer works with numbers of about the same size.",
    "Look at the ends of a slope: the ratio of the two is what the layers in between do to a signal.",
)


def over_depth(
    lines: Mapping[str, Sequence[float]], *, of: str, y_scale: Literal["linear", "log"] = "log"
) -> go.Figure:
    """One number for each layer, such as the length of the signal that leaves it, of one or several networks.

    Read from it whether signals or gradients keep their size on their way through the depth.

    Args:
        lines: name to numbers, the first of which belongs to the input, at depth 0; what is not finite, or on
            a logarithmic scale not positive, leaves a hole.
        of: title of the y axis: what the numbers are.
        y_scale: "log" shows powers of ten as equal distances.

    Returns:
        Figure with one line for each name.

    Example:
        >>> over_depth({"plain": [1.0, 0.1, 0.01]}, of="length of the signal").layout.meta["summary"]
        'plain: length of the signal 1 at depth 0 and 0.01 at depth 2.'
    """
    values = {name: np.asarray(numbers, np.float64) for name, numbers in lines.items()}
    traces = [
        depth_line(index, name, np.arange(len(each), dtype=np.float32), _drawable(each, y_scale))
        for index, (name, each) in enumerate(values.items())
    ]
    return canvas(
        traces,
        title=f"{of[:1].upper()}{of[1:]}",
        summary=" ".join(_sentence(name, each, of) for name, each in values.items()) or f"No {of} yet.",
        explained=_ABOUT,
        x=axis("depth, from input to output", rangemode="nonnegative"),
        y=axis(escape(of), type=y_scale, exponentformat="power"),
        showlegend=True,
    )


def depth_line(index: int, name: str, depths: Floats, values: Floats) -> dict[str, Any]:
    """The line of one network among several: a colour, a dash and a marker of its own.

    Args:
        index: of the network, from 0.
        name: of the network, not yet escaped.
        depths: (P,) places of the layers.
        values: (P,) numbers; NaN makes a hole.
    """
    turn = index // len(COLOURS)
    return {
        "type": "scatter",
        "mode": "lines+markers" if len(values) <= _MOST_MARKED else "lines",
        "x": depths,
        "y": values,
        "name": escape(name, 40),
        "line": {
            "color": COLOURS[index % len(COLOURS)],
            "width": 2,
            "dash": DASHES[(index + turn) % len(DASHES)],
        },
        "marker": {"symbol": SYMBOLS[index % len(SYMBOLS)], "size": 6},
        "hovertemplate": "depth %{x}: %{y:.3g}",
    }


def _drawable(values: np.ndarray, y_scale: str) -> Floats:
    """Float32 with NaN where nothing can be drawn."""
    fits = np.isfinite(values) & ((values > 0) if y_scale == "log" else True)
    return np.where(fits, values, np.nan).astype(np.float32)


def _sentence(name: str, values: np.ndarray, of: str) -> str:
    if not len(values):
        return f"{name}: no {of} yet."
    first, last = number(float(values[0])), number(float(values[-1]))
    return f"{name}: {of} {first} at depth 0 and {last} at depth {len(values) - 1}."
