"""The gradient noise scale over the steps."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from reswork.figures.canvas import COLOURS, DASHES, SYMBOLS, about, axis, canvas, log_axis
from reswork.figures.smoothing import Floats
from reswork.figures.text import number

if TYPE_CHECKING:
    from reswork.history import History

_MOST_POINTS = 1_000

_NOISE = about(
    "How many pictures a batch needs before its gradient is more signal than noise. Dashed: the batch size "
    "of this run.",
    "Tens at first; hundreds or thousands later, when what is left to learn differs from picture to picture. "
    "It is a rough measure: a factor of two means little.",
    "Where the line is far above the dashed one, larger batches would need fewer steps; where it is far "
    "below, smaller ones would do as well and see more updates.",
)


@dataclass(frozen=True, eq=False)
class _Noise:
    x: Floats
    y: Floats  # images; NaN where the signal is not told from zero
    batch_size: int | None


def noise_scale(history: "History", batch_size: int | None = None) -> go.Figure:
    """The gradient noise scale over steps: tells whether the batches are too small or too large.

    Args:
        history: of one run, with the series ``noise_scale``.
        batch_size: of the run, drawn for comparison; None: not drawn.

    Returns:
        Figure with one line on a logarithmic scale, and the batch size.
    """
    series = history.series("noise_scale", max_points=_MOST_POINTS)
    with np.errstate(invalid="ignore"):
        positive = np.isfinite(series.values) & (series.values > 0)
    values = np.where(positive, series.values, np.nan).astype(np.float32)
    return _noise_figure(_Noise(series.steps.astype(np.float32), values, batch_size))


def _summary(info: _Noise) -> str:
    if not len(info.x):
        return "No noise scale recorded yet."
    known = info.y[np.isfinite(info.y)]
    if not len(known):
        return f"At step {info.x[-1]:.0f} the gradient is not yet told from its noise."
    text = f"At step {info.x[-1]:.0f} the gradient noise scale is about {number(float(known[-1]))} images"
    return f"{text}; the batches have {info.batch_size}." if info.batch_size else f"{text}."


def _noise_figure(info: _Noise) -> go.Figure:
    line: dict[str, Any] = {"type": "scatter", "showlegend": False}
    drawn = info.batch_size is not None and len(info.x) > 0
    ends = np.array([info.x[0], info.x[-1]] if drawn else [], np.float32)
    traces = [
        line
        | {"mode": "lines+markers", "x": info.x, "y": info.y, "name": "noise scale"}
        | {"line": {"color": COLOURS[0], "width": 2}, "marker": {"symbol": SYMBOLS[0], "size": 5}}
        | {"hovertemplate": "step %{x}: %{y:.3g} images<extra></extra>"},
        line
        | {"mode": "lines", "x": ends, "y": np.full(len(ends), info.batch_size or 0, np.float32)}
        | {"line": {"color": COLOURS[1], "width": 1.5, "dash": DASHES[1]}, "name": "batch size"}
        | {"hovertemplate": "batch size %{y}<extra></extra>"},
    ]
    return canvas(
        traces,
        title="Gradient noise scale",
        summary=_summary(info),
        explained=_NOISE,
        x=axis("step", rangemode="nonnegative"),
        y=log_axis("images", info.y, np.full(len(ends), info.batch_size or 0)),
        height=260,
    )
