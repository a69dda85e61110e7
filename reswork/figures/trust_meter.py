"""How far a map can be trusted: what its pixels do to the answer, and whether it needs the weights at all."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from reswork.figures.canvas import COLOURS, DASHES, SYMBOLS, about, axis, canvas
from reswork.figures.text import distinct, escape
from reswork.results import Trust

_MOST_LAYERS = 100
_CURVES = about(
    "Deletion takes the map's strongest pixels away first, insertion puts them back first; holes are filled "
    "from what lies around them. The thin lines do the same with the map laid elsewhere in the picture.",
    "Deletion falls early and insertion rises early, both well apart from their thin lines.",
    "Compare two methods for the same picture: the one with more room between its lines knows better where.",
)
_SHUFFLED = about(
    "The weights are shuffled layer by layer, from the answer down to the picture, and each time the map is "
    "made anew: the line says how alike it still is, 1 the same, 0 nothing in common.",
    "It falls at once, below 0.7 with the upper layers shuffled: a network that knows nothing of the classes has "
    "to give another map.",
    "Try guided backprop: its line falls last, because it draws the picture's edges whatever the network knows.",
)


def trust_curves(trust: Trust | None) -> go.Figure:
    """Deletion and insertion of one map, and of the same map laid elsewhere.

    Read from it whether the marked pixels carry the answer.

    Args:
        trust: from ``probes.trust``; None: an empty figure.

    Returns:
        Figure with four lines over the share of pixels, in percent.
    """
    traces = _curve_traces(trust) if trust else []
    return canvas(
        traces,
        title="Pixels taken away and put back",
        summary=_summary(trust),
        explained=_CURVES,
        x=axis("pixels taken away or put back, %", range=[0, 100]),
        y=axis("probability of the target"),
    )


def randomisation_curve(trust: Trust | None) -> go.Figure:
    """How alike a map stays while the network's weights are shuffled from the last layer to the first.

    Read from it whether the map depends on what the network learned.

    Args:
        trust: from ``probes.trust``; None: an empty figure.

    Returns:
        Figure with one line.

    Reference:
        Adebayo 2018, arXiv:1810.03292.
    """
    trace = {
        "type": "scatter",
        "mode": "lines+markers",
        "x": distinct(("nothing", *trust.layers[:_MOST_LAYERS]), 24),
        "y": np.concatenate([[1.0], trust.correlations[:_MOST_LAYERS]]).astype(np.float32),
        "line": {"color": COLOURS[0], "width": 2},
        "marker": {"symbol": SYMBOLS[0], "size": 7},
        "hovertemplate": "shuffled down to %{x}: %{y:.2f}<extra></extra>",
    } if trust else None  # fmt: skip
    return canvas(
        [trace] if trace else [],
        title="The map, weights shuffled",
        summary=_summary(trust),
        explained=_SHUFFLED,
        x=axis("shuffled down to layer", type="category", showgrid=False),
        y=axis("likeness to the map (rank correlation)", range=[-0.5, 1.05]),
    )


def _curve_traces(trust: Trust) -> list[dict[str, Any]]:
    lines = (
        ("deletion", trust.deletion, COLOURS[1], DASHES[0], 2.5, SYMBOLS[0]),
        ("insertion", trust.insertion, COLOURS[0], DASHES[1], 2.5, SYMBOLS[1]),
        ("deletion, map elsewhere", trust.moved_deletion.mean(axis=0), COLOURS[1], DASHES[2], 1, None),
        ("insertion, map elsewhere", trust.moved_insertion.mean(axis=0), COLOURS[0], DASHES[2], 1, None),
    )
    return [
        {
            "type": "scatter",
            "mode": "lines+markers" if symbol else "lines",
            "x": 100 * trust.fractions,
            "y": values,
            "name": name,
            "line": {"color": colour, "width": width, "dash": dash},
            "marker": {"symbol": symbol or SYMBOLS[0], "size": 6},
            "hovertemplate": "%{x:.0f} % of the pixels: %{y:.2f}",
        }
        for name, values, colour, dash, width, symbol in lines
    ]


def _summary(trust: Trust | None) -> str:
    if trust is None:
        return "No map was checked yet."
    return f"{escape(trust.label or trust.method)}: {trust.verdict}"
