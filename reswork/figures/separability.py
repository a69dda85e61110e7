"""How much of the answer is there at each depth."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from reswork.figures.canvas import COLOURS, DASHES, SYMBOLS, about, axis, canvas
from reswork.figures.depth_axis import depth_axis, depth_groups
from reswork.figures.text import distinct
from reswork.results.layers import LinearProbe

_ABOUT = about(
    "How many images a simple linear classifier names right when it sees only what one block has made of them. "
    "Solid: images that it has not seen. Dashed: those it was fitted to. Level lines: the network's own answers, "
    "and always naming the most frequent class.",
    "It rises with depth, slowly at first and steeply in the last stage, up to the network's own accuracy.",
    "Level at the end: the last blocks add little, try a shallower network. Train on labels that are drawn at "
    "random and see where the line stays down.",
)


def linear_probe(found: LinearProbe) -> go.Figure:
    """Accuracy of linear probes over the depth, with the network's own and chance beside it.

    Args:
        found: from ``probes.linear_probe``.

    Returns:
        Figure with two curves and two level lines, in percent.
    """
    positions = np.arange(1, len(found.layers) + 1, dtype=np.float32)
    names = distinct(found.layers, 40)
    traces = [
        _curve(0, "other images", positions, found.test, names),
        _curve(1, "fitted images", positions, found.train, names),
        _level(2, "the network itself", positions, found.network),
        _level(3, "chance", positions, found.chance),
    ]
    x, borders = depth_axis(depth_groups(found.layers), 1, of="block")
    return canvas(
        traces,
        title="Linear probes over the depth",
        summary=_summary(found),
        explained=_ABOUT,
        x=x,
        y=axis("right answers, %", rangemode="tozero"),
        shapes=borders,
    )


def _curve(
    row: int, name: str, positions: np.ndarray, values: np.ndarray, names: list[str]
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines+markers" if len(names) <= 60 else "lines",
        "x": positions,
        "y": (100 * values).astype(np.float32),
        "name": name,
        "text": names,
        "line": {"color": COLOURS[row], "width": 2, "dash": DASHES[row]},
        "marker": {"symbol": SYMBOLS[row], "size": 6},
        "hovertemplate": "%{text}: %{y:.1f} %",
    }


def _level(row: int, name: str, positions: np.ndarray, value: float) -> dict[str, Any]:
    ends = positions[[0, -1]] if len(positions) and np.isfinite(value) else positions[:0]
    return {
        "type": "scatter",
        "mode": "lines",
        "x": ends,
        "y": np.full(len(ends), 100 * value, np.float32),
        "name": name,
        "showlegend": len(ends) > 0,
        "line": {"color": COLOURS[row], "width": 1.5, "dash": DASHES[row]},
        "hovertemplate": "%{y:.1f} %",
    }


def _summary(found: LinearProbe) -> str:
    if not found.layers:
        return "No linear probes to show."
    best = int(found.test.argmax())
    text = (
        f"A linear classifier on {found.layers[0]} names {100 * found.test[0]:.1f} % of {found.test_images} images "
        f"right, on {found.layers[-1]} {100 * found.test[-1]:.1f} %; best is {found.layers[best]} with "
        f"{100 * found.test[best]:.1f} %"
    )
    if not np.isfinite(found.network):
        return f"{text}; chance is {100 * found.chance:.1f} %."
    return f"{text}; the network itself has {100 * found.network:.1f} %, chance {100 * found.chance:.1f} %."
