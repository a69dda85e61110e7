"""Two networks beside each other: how far apart their blocks are, and what lies between their weights."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from reswork.figures.canvas import COLOURS, DASHES, SYMBOLS, about, axis, canvas
from reswork.figures.depth_axis import depth_axis, depth_groups
from reswork.figures.text import distinct
from reswork.results.contrast import Distances, WeightPath

_WEIGHTS = about(
    "How far the weights of two networks are apart, part by part: the size of the difference over the size of the "
    "first's weights. 0: equal.",
    "After fine-tuning the end has moved most. Two networks from other seeds are about 140 % apart everywhere: "
    "directions that have nothing to do with each other.",
    "Compare two steps of one training: which part moves last?",
)
_FEATURES = about(
    "How far apart the outputs of two networks' blocks are for the same images: the size of the difference over the "
    "size of the first's outputs. 0: equal.",
    "Equal up to the first block that differs, then growing or shrinking. Two seeds differ from the first block on, "
    "for their channels mean other things; whether they see the same likenesses says CKA.",
    "Delete one block: how far does the damage reach?",
)
_PATH = about(
    "Networks on the straight line from the weights of one network (left) to those of another (right), judged on test "
    "images.",
    "Flat between two networks of one training; a hill of loss in the middle between two seeds, a part of which goes "
    "when the batch norms' statistics are estimated anew.",
    "Take the network before and after fine-tuning, and the average of both.",
)


def distances(found: Distances) -> go.Figure:
    """How far two networks are apart over the depth, in percent.

    Args:
        found: of weights or of features.
    """
    positions = np.arange(1, len(found.names) + 1, dtype=np.float32)
    names = distinct(found.names, 40)
    trace = {
        "type": "scatter",
        "mode": "lines+markers" if len(names) <= 60 else "lines",
        "x": positions,
        "y": (100 * found.values).astype(np.float32),
        "name": f"{found.of} apart",
        "text": names,
        "line": {"color": COLOURS[0], "width": 2},
        "marker": {"symbol": SYMBOLS[0], "size": 6},
        "hovertemplate": "%{text}: %{y:.1f} %<extra></extra>",
    }
    x, borders = depth_axis(depth_groups(found.names), 1, of="block")
    return canvas(
        [trace],
        title=f"{found.of.capitalize()} apart",
        summary=_apart(found),
        explained=_FEATURES if found.of == "features" else _WEIGHTS,
        x=x,
        y=axis("difference, %", rangemode="tozero"),
        shapes=borders,
    )


def _apart(found: Distances) -> str:
    if not found.names:
        return f"No {found.of} to compare."
    high = int(np.argmax(found.values))
    if not found.values.any():
        return f"The {found.of} of all {len(found.names)} parts are equal."
    return (
        f"The {found.of} are farthest apart at {found.names[high]}, by {100 * found.values[high]:.1f} %; "
        f"{int((found.values == 0).sum())} of {len(found.names)} parts are equal."
    )


def weight_path(found: WeightPath, metric: str = "loss") -> go.Figure:
    """Loss, or another metric, on the line between two networks.

    Args:
        found: of the line.
        metric: a name in ``found.metrics``.
    """
    share = 100 if metric != "loss" else 1
    curves = [("as they are", found.metrics), ("norms estimated anew", found.reestimated)]
    traces: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "x": (100 * found.shares).astype(np.float32),
            "y": (share * table[metric]).astype(np.float32),
            "name": name,
            "line": {"color": COLOURS[row], "width": 2, "dash": DASHES[row]},
            "marker": {"symbol": SYMBOLS[row], "size": 6},
            "hovertemplate": "%{x:.0f} % of the second: %{y:.3g}",
        }
        for row, (name, table) in enumerate(curves)
        if metric in table
    ]
    said = metric.replace("_", " ").replace("top1", "accuracy")
    return canvas(
        traces,
        title=f"{said.capitalize()} between two networks",
        summary=found.sentence,
        explained=_PATH,
        x=axis("share of the second network, %", range=[-2, 102]),
        y=axis(
            said if metric == "loss" else f"{said}, %", rangemode="tozero" if metric == "loss" else "normal"
        ),
    )
