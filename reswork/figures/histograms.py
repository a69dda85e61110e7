"""How activations are distributed over the depth."""

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from reswork.figures.canvas import about, axis, canvas
from reswork.figures.smoothing import Floats
from reswork.figures.text import distinct, number
from reswork.results.layers import ActivationHistograms

_MOST_ROWS = 60
_MOST_COLUMNS = 200

_ABOUT = about(
    "Each row is a layer, the top one next to the picture. Along the row: how many of its outputs have which "
    "value; yellow many, dark blue few, each step of the scale ten times as many. Beside the name stands how many "
    "are exactly zero.",
    "Rows of similar width, with a bright column at zero, where ReLUs cut off about half.",
    "Rows that grow wider and wider, or shrink to a line, make training hard: compare a network with and without "
    "norms. Many dead channels: lower the learning rate.",
)


@dataclass(frozen=True, eq=False)
class _Map:
    rows: tuple[str, ...]  # (R,)
    values: Floats  # (B,) middle of each bin
    log_shares: Floats  # (R, B) powers of ten of the fraction in the bin; NaN where there is none
    per_row: int
    summary: str


def activation_histograms(found: ActivationHistograms) -> go.Figure:
    """Histograms of all layers as rows of one map, from input (top) to output.

    Args:
        found: from ``probes.activation_histograms``.

    Returns:
        Figure with one map of at most 60 rows and 200 columns.
    """
    return _figure(_info(found))


def _info(found: ActivationHistograms) -> _Map:
    per_row = -(-len(found.layers) // _MOST_ROWS) or 1
    per_column = -(-found.counts.shape[1] // _MOST_COLUMNS) or 1
    counts = _summed(_summed(found.counts.astype(np.float64), per_row, 0), per_column, 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        logs = np.log10(counts / counts.sum(axis=1, keepdims=True))
    middles = (found.edges[:-1] + found.edges[1:]) / 2
    values = np.array([middles[at : at + per_column].mean() for at in range(0, len(middles), per_column)])
    names = tuple(
        f"{name} ({100 * zeros:.0f} %)"
        for name, zeros in zip(found.layers[::per_row], found.zeros[::per_row], strict=True)
    )
    shown = np.where(np.isfinite(logs), logs, np.nan).astype(np.float32)
    return _Map(names, values.astype(np.float32), shown, per_row, _summary(found))


def _summed(counts: np.ndarray, width: int, axis: int) -> np.ndarray:
    if width == 1:
        return counts
    return np.add.reduceat(counts, np.arange(0, counts.shape[axis], width), axis=axis)


def _summary(found: ActivationHistograms) -> str:
    if not found.layers:
        return "No activations to show."
    most = int(np.nanargmax(found.zeros)) if np.isfinite(found.zeros).any() else 0
    text = (
        f"The deviation goes from {number(float(found.deviations[0]))} in {found.layers[0]} to "
        f"{number(float(found.deviations[-1]))} in {found.layers[-1]}; most zeros are in {found.layers[most]}, "
        f"{100 * found.zeros[most]:.0f} %"
    )
    bad = int(found.not_finite.sum())
    return f"{text}; {bad} values are not finite." if bad else f"{text}."


def _figure(info: _Map) -> go.Figure:
    trace = {
        "type": "heatmap",
        "x": info.values,
        "y": distinct(info.rows, 32),
        "z": info.log_shares,
        "colorscale": "Viridis",
        "hoverongaps": False,
        "hovertemplate": "%{y} at %{x:.3g}: 10<sup>%{z:.2f}</sup> of its outputs<extra></extra>",
        "colorbar": {
            "title": {"text": "fraction of outputs,<br>powers of ten", "side": "right", "font": {"size": 12}},
            "thickness": 12,
            "tickprefix": "10<sup>",
            "ticksuffix": "</sup>",
            "outlinewidth": 0,
        },
    }
    title = "layer (zeros), input at the top" + (
        f"<br>(a row: {info.per_row} neighbours)" if info.per_row > 1 else ""
    )
    return canvas(
        [trace],
        title="Activations of each layer",
        summary=info.summary,
        explained=_ABOUT,
        x=axis("activation", showgrid=False),
        y=axis(title, autorange="reversed", type="category", showgrid=False),
        height=int(np.clip(110 + 14 * len(info.rows), 280, 480)),
    )
