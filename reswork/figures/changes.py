"""What changed between two models, number by number."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from reswork.figures.canvas import COLOURS, SYMBOLS, about, axis, canvas
from reswork.figures.text import distinct

_MOST = 60

_ABOUT = about(
    "The change of each number from the old model to the new one, with the interval of 95 % of the paired bootstrap. "
    "Right of the line is better.",
    "Most intervals reach over the line: nothing is known to have changed. Of twenty, one leaves it by chance.",
    "Look at the images of the classes that got worse; they are below.",
)
_GROUPS = (
    ("better", COLOURS[2], SYMBOLS[3]),
    ("worse", COLOURS[1], SYMBOLS[1]),
    ("not sure", COLOURS[0], SYMBOLS[0]),
)


def changes(
    names: Sequence[str],
    differences: Sequence[float],
    low: Sequence[float],
    high: Sequence[float],
    *,
    title: str = "What changed",
) -> go.Figure:
    """The change of each number with its interval, the one that gained most at the top.

    Args:
        names: N texts.
        differences: (N,) shares from -1 to 1, positive: better.
        low: (N,) lower ends of their intervals; NaN where there is none.
        high: (N,) upper ends.
        title: of the figure, in a few words.

    Returns:
        Figure with at most 60 numbers in points of percent, those that changed most.
    """
    found, ends = np.asarray(differences, np.float64), np.asarray([low, high], np.float64).reshape(2, -1)
    kept = np.flatnonzero(np.isfinite(found))
    kept = kept[np.argsort(-np.abs(found[kept]), kind="stable")][:_MOST]
    kept = kept[np.argsort(found[kept], kind="stable")]
    labels = distinct([names[int(k)] for k in kept], 30)
    points, lower, upper = 100 * found[kept], 100 * ends[0, kept], 100 * ends[1, kept]
    group = np.where(lower > 0, 0, np.where(upper < 0, 1, 2))
    traces = []
    for row, (name, colour, symbol) in enumerate(_GROUPS):
        some = group == row
        if not some.any() and row < 2:
            continue
        traces.append({
            "type": "scatter", "mode": "markers", "name": name, "x": points[some].astype(np.float32),
            "y": [label for label, here in zip(labels, some, strict=True) if here],
            "marker": {"color": colour, "symbol": symbol, "size": 9},
            "error_x": {
                "type": "data", "symmetric": False, "thickness": 1.5, "color": colour,
                "array": np.nan_to_num(upper - points)[some].tolist(),
                "arrayminus": np.nan_to_num(points - lower)[some].tolist(),
            },
            "hovertemplate": "%{y}: %{x:+.1f} points<extra></extra>",
        })  # fmt: skip
    line = {"type": "line", "xref": "x", "yref": "paper", "x0": 0, "x1": 0, "y0": 0, "y1": 1,
            "line": {"color": COLOURS[0], "width": 1, "dash": "dot"}}  # fmt: skip
    counts = [int((group == row).sum()) for row in range(3)]
    return canvas(
        traces,
        title=title,
        summary=f"{counts[0]} better, {counts[1]} worse, {counts[2]} not sure."
        if len(kept)
        else "Nothing to compare.",
        explained=_ABOUT,
        x=axis("change, points of percent"),
        y=axis("class", type="category", categoryorder="array", categoryarray=list(labels)),
        height=int(np.clip(130 + 20 * len(kept), 160, 640)),
        shapes=[line] if len(kept) else [],
    )
