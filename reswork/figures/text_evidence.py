"""Texts of which each word, or each sign, is coloured by how much it spoke for the answer."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from reswork.figures.canvas import about, axis, canvas
from reswork.figures.text import distinct, escape
from reswork.results.text_evidence import TextEvidence

_MOST = 40  # parts of one text
_ABOUT = about(
    "A row for each text: red parts spoke for the answer on the left, blue ones against it; measured by making each "
    "unreadable in turn, by how much the logarithm of the odds falls.",
    "A few parts carry the answer: endings, rare letters, telling words.",
    "Where the answer is wrong, look which part misled it, and whether the texts of that class have it too.",
)


def text_evidence(
    found: Sequence[TextEvidence], classes: Sequence[str], truth: Sequence[int] | None = None
) -> go.Figure:
    """What spoke for the answers to some texts.

    Args:
        found: of `reswork.probes.text_evidence`, one for each text.
        classes: names.
        truth: numbers of the true classes, one for each text.

    Returns:
        Figure with one map whose cells are words or signs.
    """
    width = min(max((len(each.parts) for each in found), default=0), _MOST)
    values, words = np.full((len(found), width), np.nan), [[""] * width for _ in found]
    for row, each in enumerate(found):
        for column, (part, value) in enumerate(zip(each.parts[:width], each.values[:width], strict=True)):
            values[row, column], words[row][column] = value, escape(part)
    labels = []
    for row, each in enumerate(found):
        true = (
            ""
            if truth is None
            else (" (right)" if truth[row] == each.target else f" (is {classes[truth[row]]})")
        )
        labels.append(f"{row + 1}. {classes[each.target]}{true}")
    most = float(np.nanmax(np.abs(values))) if np.isfinite(values).any() else 1.0
    trace = {
        "type": "heatmap",
        "z": values.astype(np.float32),
        "y": distinct(tuple(labels), 40),
        "text": words,
        "texttemplate": "%{text}",
        "zmin": -most,
        "zmax": most,
        "colorscale": "RdBu",
        "reversescale": True,
        "xgap": 1,
        "ygap": 3,
        "hovertemplate": "%{text}: %{z:.2f}<extra></extra>",
        "colorbar": {
            "title": {"text": "for the answer", "side": "right"},
            "thickness": 12,
            "outlinewidth": 0,
        },
    }
    told = [
        f"{classes[each.target]}: {each.parts[int(np.argmax(each.values))]!r}"
        for each in found[:5]
        if each.parts
    ]
    return canvas(
        [trace],
        title="What spoke for the answer",
        summary=f"Texts: {len(found)}. Strongest parts: {'; '.join(told) or 'none'}.",
        explained=_ABOUT,
        x=axis("", visible=False),
        y=axis("", autorange="reversed", showgrid=False),
        height=60 + 34 * max(len(found), 1),
    )
