"""Where the time of a forward pass goes."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from reswork.figures.canvas import COLOURS, SYMBOLS, about, axis, canvas
from reswork.figures.depth_axis import depth_axis, depth_groups
from reswork.figures.text import amount, distinct, number, size
from reswork.results.layer_costs import LayerCost, LayerTable

_MOST = 300  # bars

_ABOUT = about(
    "Bars: how much of the time of one forward pass each layer takes, as measured here. Diamonds: its part of all "
    "multiplications. Hover for parameters and memory.",
    "Convolutions take most. Norms and ReLUs have no multiplications and still take time, because they too read "
    "and write the whole map.",
    "Bars far above their diamonds are bound by memory or by the cost of the call: larger batches, channels last "
    "or compiling help there; where bars and diamonds agree, only a smaller layer does.",
)


def layer_table(table: LayerTable) -> go.Figure:
    """Time and multiplications of each layer, as shares of the whole.

    Args:
        table: from ``probes.layer_table``.

    Returns:
        Figure with bars for time and marks for multiplications, at most 300 of each.
    """
    each = -(-len(table.layers) // _MOST) or 1
    groups = [table.layers[at : at + each] for at in range(0, len(table.layers), each)]
    positions = np.arange(len(groups), dtype=np.float32) * each + 1
    texts = distinct(_told(group) for group in groups)
    x, borders = depth_axis(depth_groups([layer.name for layer in table.layers]), each)
    common = {
        "x": positions,
        "text": texts,
        "hovertemplate": "%{text}<extra></extra>",
        "textposition": "none",
    }
    bars = common | {
        "type": "bar",
        "name": "time",
        "y": _shares([sum(layer.seconds for layer in group) for group in groups], table.seconds),
        "marker": {"color": COLOURS[0], "line": {"width": 0}},
    }
    marks: dict[str, Any] = common | {
        "type": "scatter",
        "mode": "markers",
        "name": "MACs (operations)",
        "y": _shares([sum(layer.macs for layer in group) for group in groups], table.macs),
        "marker": {"color": COLOURS[1], "symbol": SYMBOLS[2], "size": 6},
        "textposition": "top center",
    }
    return canvas(
        [bars, marks],
        title="Time of each layer",
        summary=_summary(table),
        explained=_ABOUT,
        x=x,
        y=axis("share of the whole, %", rangemode="tozero"),
        shapes=borders,
        bargap=0.1,
    )


def _shares(values: list[float], total: float) -> np.ndarray:
    return (100 * np.array(values, np.float64) / (total or 1)).astype(np.float32)


def _told(group: tuple[LayerCost, ...]) -> str:
    """Name and numbers of neighbouring layers."""
    seconds, parameters, macs, kept = (
        sum(getattr(layer, name) for layer in group)
        for name in ("seconds", "parameters", "macs", "activation_bytes")
    )
    first = group[0]
    name = f"{first.name} ({first.kind})" if len(group) == 1 else f"{first.name} to {group[-1].name}"
    numbers = f"{amount(parameters, 'parameters')}, {amount(macs, 'MACs')}, {size(kept)} kept"
    return f"{name}: {number(1e3 * seconds)} ms, {numbers}"


def _summary(table: LayerTable) -> str:
    if not table.layers:
        return "No layers to show."
    slowest = max(table.layers, key=lambda layer: layer.seconds)
    return (
        f"A forward pass of {table.samples} takes {number(1e3 * table.seconds)} ms on {table.device}, with "
        f"{amount(table.macs)} multiplications; the slowest layer is {slowest.name}, "
        f"{100 * slowest.seconds / (table.seconds or 1):.0f} % of the time, and "
        f"{100 * table.elsewhere_seconds / (table.seconds or 1):.0f} % is spent between layers."
    )
