"""Learning rate, its schedule beforehand, and speed: one line over the steps each."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from reswork.figures.canvas import COLOURS, about, axis, canvas
from reswork.figures.smoothing import Floats, finite, smoothed
from reswork.figures.text import escape, number

if TYPE_CHECKING:
    from reswork.history import History

_MOST_POINTS = 1_000
_DASHES = ("dash", "dot", "dashdot", "longdash")

_RATE = about(
    "The learning rate is how far each step moves the weights. This is what it really was at each step.",
    "It follows the schedule of the recipe: often a short rise, then a long fall. A jump is a change by "
    "hand.",
    "Lower it while the run goes: the loss usually drops within a few dozen steps. Raise it tenfold and "
    "watch the loss climb.",
)
_SCHEDULE = about(
    "The plan for the learning rate, how far each step moves the weights, before anything runs.",
    "Large at first to get far, small at the end to settle. A warm-up rises from near zero, which keeps "
    "deep networks from blowing up in the first steps.",
    "Choose another schedule and compare two runs with the same seed.",
)
_SPEED = about(
    "How many training inputs pass through the network each second. Pale: single measurements. Strong: "
    "their average.",
    "The first steps are slow, then it is level. Dips come from testing after each pass, or from other "
    "programs.",
    "Larger batches, fewer layers or a narrower network make it faster. A line that sinks steadily means "
    "that the machine gets hot or busy.",
)


@dataclass(frozen=True, eq=False)
class _Rates:
    x: Floats
    y: Floats
    current: tuple[float, float] | None = None  # step, rate
    layers: tuple[
        tuple[str, Floats, Floats], ...
    ] = ()  # name, steps, rates of layers with a rate of their own


@dataclass(frozen=True, eq=False)
class _Speeds:
    raw_x: Floats
    raw_y: Floats
    x: Floats
    y: Floats
    mean: float | None


def learning_rate(history: "History") -> go.Figure:
    """The learning rate that was used at each step: shows the schedule and every change by hand.

    Args:
        history: of one run, with the series ``learning_rate``, and ``learning_rate/<layer>`` of layers with their own.

    Returns:
        Figure with a line for the rate, and one for each layer that has its own, from the step on that trains it.
    """
    series = history.series("learning_rate", max_points=_MOST_POINTS)
    own = [name for name in history.names if name.startswith("learning_rate/")]
    layers = [history.series(name, max_points=_MOST_POINTS) for name in own]
    info = _Rates(
        series.steps.astype(np.float32),
        finite(series.values),
        layers=tuple(
            (each.name.partition("/")[2], each.steps.astype(np.float32), finite(each.values))
            for each in layers
        ),
    )
    summary = "No learning rate recorded yet."
    if len(info.x):
        summary = f"At step {info.x[-1]:.0f} the learning rate is {number(float(info.y[-1]))}."
    return _rates_figure(info, "Learning rate", summary, _RATE)


def schedule(
    steps: ArrayLike,
    rates: ArrayLike,
    current: int | None = None,
    *,
    factors: Mapping[str, float] | None = None,
) -> go.Figure:
    """The planned learning rate, before the run or beside it.

    Args:
        steps: (n,) in rising order.
        rates: (n,) learning rates at these steps.
        current: mark this step, where the run is now; None: no mark.
        factors: layers whose rate is so many times as high, such as ``Recipe.layer_rates``.

    Returns:
        Figure with the plan, a thinner line for each of these layers, and the mark.
    """
    info = _schedule_info(np.asarray(steps, np.float64), np.asarray(rates, np.float64), current)
    own = tuple((layer, info.x, info.y * np.float32(factor)) for layer, factor in (factors or {}).items())
    info = replace(info, layers=own)
    return _rates_figure(info, "Planned learning rate", _schedule_summary(info), _SCHEDULE)


def throughput(history: "History", *, of: str = "images") -> go.Figure:
    """Training pictures per second over steps: tells whether something slows the run down.

    Args:
        history: of one run, with the series ``images_per_second``.
        of: what is counted, in the plural.

    Returns:
        Figure with single measurements and their average.
    """
    return _throughput_figure(_throughput_info(history), of)


def _schedule_info(steps: np.ndarray, rates: np.ndarray, current: int | None) -> _Rates:
    if len(steps) > _MOST_POINTS:
        chosen = np.unique(np.linspace(0, len(steps) - 1, _MOST_POINTS).astype(int))
        thin_steps, thin_rates = steps[chosen], rates[chosen]
    else:
        thin_steps, thin_rates = steps, rates
    mark = None
    if current is not None and len(steps):
        mark = (float(current), float(np.interp(current, steps, rates)))
    return _Rates(thin_steps.astype(np.float32), finite(thin_rates), mark)


def _schedule_summary(info: _Rates) -> str:
    if not len(info.x) or not np.isfinite(info.y).any():
        return "No schedule to draw."
    top = int(np.nanargmax(info.y))
    text = (
        f"The learning rate starts at {number(float(info.y[0]))}, is highest with "
        f"{number(float(info.y[top]))} at step {info.x[top]:.0f} and ends at "
        f"{number(float(info.y[-1]))} at step {info.x[-1]:.0f}"
    )
    if info.current:
        return f"{text}; now, at step {info.current[0]:.0f}, it is {number(info.current[1])}."
    return text + "."


def _rates_figure(info: _Rates, title: str, summary: str, explained: dict[str, str]) -> go.Figure:
    mark = info.current
    traces: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": info.x,
            "y": info.y,
            "name": "learning rate",
            "line": {"color": COLOURS[0], "width": 2.5},
            "showlegend": bool(info.layers),
            "hovertemplate": "step %{x}: %{y:.4g}<extra></extra>",
        },
        *(
            {
                "type": "scatter",
                "mode": "lines",
                "x": x,
                "y": y,
                "name": escape(name),
                "line": {
                    "color": COLOURS[index % len(COLOURS)],
                    "width": 1.5,
                    "dash": _DASHES[index % len(_DASHES)],
                },
                "hovertemplate": f"{escape(name)}, step %{{x}}: %{{y:.4g}}<extra></extra>",
            }
            for index, (name, x, y) in enumerate(info.layers, 2)
        ),
        {
            "type": "scatter",
            "mode": "markers",
            "x": np.array([mark[0]] if mark else [], np.float32),
            "y": np.array([mark[1]] if mark else [], np.float32),
            "name": "now",
            "marker": {"color": COLOURS[1], "size": 11, "symbol": "diamond"},
            "showlegend": mark is not None,
            "cliponaxis": False,
            "hovertemplate": "now, step %{x}: %{y:.4g}<extra></extra>",
        },
    ]
    return canvas(
        traces,
        title=title,
        summary=summary,
        explained=explained,
        x=axis("step", rangemode="nonnegative"),
        y=axis("learning rate", rangemode="tozero", exponentformat="power"),
        height=260,
    )


def _throughput_info(history: "History") -> _Speeds:
    raw = history.series("images_per_second", max_points=_MOST_POINTS)
    means = history.means("images_per_second", _MOST_POINTS)
    steps, calm = smoothed(means, most_steps=20)
    count = int(means.counts.sum())
    mean = float(np.nansum(means.values * means.counts)) / count if count else None
    return _Speeds(raw.steps.astype(np.float32), finite(raw.values), steps, calm, mean)


def _throughput_figure(info: _Speeds, of: str = "images") -> go.Figure:
    line: dict[str, Any] = {"type": "scatter", "mode": "lines", "showlegend": False}
    traces = [
        line
        | {"x": info.raw_x, "y": info.raw_y, "opacity": 0.3, "hoverinfo": "skip"}
        | {"line": {"color": COLOURS[2], "width": 1}, "name": "measured"},
        line
        | {"x": info.x, "y": info.y, "line": {"color": COLOURS[2], "width": 2.5}, "name": "average"}
        | {"hovertemplate": f"step %{{x}}: %{{y:,.0f}} {of}/s<extra></extra>"},
    ]
    now = float(info.y[-1]) if len(info.y) else None
    summary = (
        f"At step {info.raw_x[-1]:.0f} {number(now)} {of} per second; {number(info.mean)} on average."
        if now is not None
        else "No speed recorded yet."
    )
    return canvas(
        traces,
        title="Speed",
        summary=summary,
        explained=_SPEED,
        x=axis("step", rangemode="nonnegative"),
        y=axis(f"{of} per second", rangemode="tozero"),
        height=260,
    )
