"""The tree of runs: which branched off which, at what step, and what was changed there."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from reswork.figures.canvas import COLOURS, DASHES, GRID, INK, about, axis, canvas
from reswork.figures.text import distinct, escape
from reswork.results.run_tree import RunNode

_MOST = 40  # runs
_ROW = 46  # pixels
_GAP = np.nan

_ABOUT = about(
    "Each line is a run, from its first step on the left to its last. Where a dotted line goes up to another run, it "
    "began with that run's weights at that step; above the line stands what was changed there.",
    "One long line, the first run, and shorter ones below it that begin in its middle.",
    "Click the dot at the end of a line to show that run; put the slider on a step and press Branch here for one more.",
)


def run_tree(nodes: Sequence[RunNode], selected: str | None = None) -> go.Figure:
    """Runs as lines over their steps, joined where one branched off another.

    Read from it which changes were tried from which moment, and what they led to.

    Args:
        nodes: parents before children, as ``results.family`` gives them; at most 40 are drawn.
        selected: name of the run that is drawn strongest.

    Returns:
        Figure; the dot at the end of each run has the run's name as ``customdata``.
    """
    shown = tuple(nodes)[:_MOST]
    rows = {node.name: -index for index, node in enumerate(shown)}
    names = distinct([node.name for node in shown], 34)
    traces = [_joints(shown, rows), *(_line(node, i, selected) for i, node in enumerate(shown))]
    return canvas(
        [*traces, _ends(shown, names)],
        title="Runs and their branches",
        summary=_summary(shown, len(nodes)),
        explained=_ABOUT,
        x=axis("step", rangemode="nonnegative"),
        y=axis(
            "run", tickmode="array", tickvals=list(rows.values()), ticktext=names, showgrid=False,
            range=[-len(shown) + 0.4, 0.8], fixedrange=True,
        ),
        height=min(640, 110 + _ROW * max(1, len(shown))),
        margin={"l": 56, "r": 90, "t": 16, "b": 44},
        annotations=[_changes(node, rows[node.name]) for node in shown if node.parent in rows],
        showlegend=False,
        hovermode="closest",
    )  # fmt: skip


def _line(node: RunNode, index: int, selected: str | None) -> dict[str, Any]:
    strong, colour = node.name == selected, COLOURS[index % len(COLOURS)]
    return {
        "type": "scatter",
        "mode": "lines",
        "x": np.array([node.from_step, node.steps], np.float32),
        "y": np.array([-index, -index], np.float32),
        "line": {"color": colour, "width": 5 if strong else 2.5, "dash": DASHES[index % len(DASHES)]},
        "hoverinfo": "skip",
    }


def _joints(nodes: Sequence[RunNode], rows: dict[str, int]) -> dict[str, Any]:
    """Upright lines from each run's beginning to the run that it came from."""
    x: list[float] = []
    y: list[float] = []
    for node in nodes:
        if node.parent in rows:
            x += [node.from_step, node.from_step, _GAP]
            y += [rows[node.parent], rows[node.name], _GAP]
    return {
        "type": "scatter",
        "mode": "lines",
        "x": np.array(x, np.float32),
        "y": np.array(y, np.float32),
        "line": {"color": INK, "width": 1.5, "dash": "dot"},
        "hoverinfo": "skip",
    }


def _ends(nodes: Sequence[RunNode], names: Sequence[str]) -> dict[str, Any]:
    words = [f" {node.score or node.state}" for node in nodes]
    colours = [COLOURS[index % len(COLOURS)] for index in range(len(nodes))]
    told = [
        f"{name}: {escape(node.state)}, step {node.steps:,}" for name, node in zip(names, nodes, strict=True)
    ]
    return {
        "type": "scatter",
        "mode": "markers+text",
        "x": np.array([node.steps for node in nodes], np.float32),
        "y": -np.arange(len(nodes), dtype=np.float32),
        "text": [escape(word) for word in words],
        "textposition": "middle right",
        "textfont": {"size": 11},
        "cliponaxis": False,
        "marker": {"size": 11, "color": colours, "line": {"color": GRID, "width": 1}},
        "customdata": [node.name for node in nodes],
        "hovertext": told,
        "hovertemplate": "%{hovertext}<extra></extra>",
    }


def _changes(node: RunNode, row: int) -> dict[str, Any]:
    told = ", ".join(node.changes) or "nothing changed"
    return {
        "x": node.from_step,
        "y": row,
        "text": escape(told, 60),
        "xanchor": "left",
        "yanchor": "bottom",
        "xshift": 4,
        "yshift": 3,
        "showarrow": False,
        "font": {"size": 11},
    }


def _summary(nodes: Sequence[RunNode], count: int) -> str:
    if not nodes:
        return "No runs to draw."
    told = [f"{count} run{'s' if count != 1 else ''}"]
    for node in nodes[:8]:
        if node.parent is not None:
            told.append(
                f"{node.name} branched off {node.parent} at step {node.from_step:,} "
                f"({', '.join(node.changes) or 'nothing changed'})"
            )
    return "; ".join(told) + "."
