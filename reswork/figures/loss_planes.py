"""The loss around trained weights: as contours, and as a surface."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from reswork.figures.canvas import CLEAR, COLOURS, GRID, about, axis, canvas
from reswork.figures.text import number

_ABOUT = about(
    "The loss when the trained weights (in the middle) are moved along two random directions, each "
    "filter's part of which is as "
    "long as the filter. Colour: the loss on a logarithmic scale, the same for both networks.",
    "Residual: a wide valley around the middle. Deep and plain: narrow, with walls and other pits nearby.",
    "Set the depth to 20: the two look much alike.",
)
_ABOUT_PATH = about(
    "The way of the weights from the first step to the last, seen in the plane of its two main "
    "directions, over the loss in that "
    "plane.",
    "A curved way downhill that ends at 0, 0. These two directions hold most of the movement.",
    "How much of the movement do the two directions hold? The axes say it.",
)


def loss_contours(
    xs: np.ndarray, ys: np.ndarray, losses: np.ndarray, *, title: str, span: tuple[float, float]
) -> go.Figure:
    """Lines of equal loss in a plane.

    Args:
        xs: (X,) places along the first direction.
        ys: (Y,) along the second.
        losses: (Y, X); NaN where nothing is computed yet.
        title: at most 31 letters.
        span: smallest and largest loss of the colours.

    Returns:
        Figure with one map; between computed points it is filled in.
    """
    return canvas(
        [_contour(xs, ys, losses, span)],
        title=title,
        summary=_summary(losses),
        explained=_ABOUT,
        x=axis("first direction"),
        y=axis("second direction"),
        height=340,
    )


def loss_surface(
    xs: np.ndarray, ys: np.ndarray, losses: np.ndarray, *, title: str, span: tuple[float, float]
) -> go.Figure:
    """The same as mountains, to be turned with the mouse; arguments as those of `loss_contours`."""
    heights = _logarithms(losses)
    scene_axis = {"gridcolor": GRID, "backgroundcolor": CLEAR, "showbackground": False, "zeroline": False}
    low, high = np.log10(span[0]), np.log10(span[1])
    trace = {
        "type": "surface",
        "x": xs.astype(np.float32),
        "y": ys.astype(np.float32),
        "z": heights,
        "cmin": low,
        "cmax": high,
        "colorscale": "Viridis",
        "connectgaps": True,
        "colorbar": _colour_bar(low, high),
    }
    return canvas(
        [trace],
        title=title,
        summary=_summary(losses),
        explained=_ABOUT,
        x=axis("first direction"),
        y=axis("second direction"),
        height=380,
        margin={"l": 0, "r": 0, "b": 0},
        scene={
            "xaxis": {"title": {"text": "first direction"}, **scene_axis},
            "yaxis": {"title": {"text": "second direction"}, **scene_axis},
            "zaxis": {"title": {"text": "log10 loss"}, "range": [low, high], **scene_axis},
            "bgcolor": CLEAR,
        },
    )


def training_path(
    xs: np.ndarray,
    ys: np.ndarray,
    losses: np.ndarray,
    path: np.ndarray,
    explained: tuple[float, float],
    *,
    title: str,
    span: tuple[float, float],
) -> go.Figure:
    """The way of a training over the loss in the plane of its two main directions.

    Args:
        xs: as for `loss_contours`.
        ys: likewise.
        losses: likewise.
        path: (E, 2) places of the weights, the last at 0, 0.
        explained: shares of the movement along the two directions.
        title: at most 31 letters.
        span: smallest and largest loss of the colours.
    """
    way = {
        "type": "scatter",
        "mode": "lines+markers",
        "x": path[:, 0].astype(np.float32),
        "y": path[:, 1].astype(np.float32),
        "name": "weights, epoch by epoch",
        "line": {"color": COLOURS[1], "width": 2},
        "marker": {"symbol": "circle", "size": 6},
        "hovertemplate": "epoch %{pointNumber}<extra></extra>",
    }
    return canvas(
        [_contour(xs, ys, losses, span), way],
        title=title,
        summary=f"The two directions hold {100 * sum(explained):.0f} % of the movement. {_summary(losses)}",
        explained=_ABOUT_PATH,
        x=axis(f"first direction, {100 * explained[0]:.0f} %"),
        y=axis(f"second direction, {100 * explained[1]:.0f} %"),
        height=340,
    )


def _contour(xs: np.ndarray, ys: np.ndarray, losses: np.ndarray, span: tuple[float, float]) -> dict[str, Any]:
    low, high = np.log10(span[0]), np.log10(span[1])
    return {
        "type": "contour",
        "x": xs.astype(np.float32),
        "y": ys.astype(np.float32),
        "z": _logarithms(losses),
        "zmin": low,
        "zmax": high,
        "contours": {"start": low, "end": high, "size": max((high - low) / 16, 1e-3)},
        "line": {"width": 0.6},
        "colorscale": "Viridis",
        "connectgaps": True,
        "hovertemplate": "%{x:.2f}, %{y:.2f}: 10^%{z:.2f}<extra></extra>",
        "colorbar": _colour_bar(low, high),
        "showlegend": False,
    }


def _colour_bar(low: float, high: float) -> dict[str, Any]:
    ticks = list(range(int(np.ceil(low)), int(np.floor(high)) + 1))
    return {
        "title": {"text": "loss", "side": "right"},
        "thickness": 12,
        "outlinewidth": 0,
        "tickvals": ticks,
        "ticktext": [f"{10.0**tick:g}" for tick in ticks],
    }


def _logarithms(losses: np.ndarray) -> np.ndarray:
    known = np.isfinite(losses) & (losses > 0)
    return np.where(known, np.log10(np.where(known, losses, 1.0)), np.nan).astype(np.float32)


def _summary(losses: np.ndarray) -> str:
    known = losses[np.isfinite(losses)]
    if not known.size:
        return "No loss is computed yet."
    low, middle = number(float(known.min())), number(float(np.median(known)))
    return f"The loss is {low} at its lowest and {middle} in the median."
