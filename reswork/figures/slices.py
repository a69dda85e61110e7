"""Where a model is worse than elsewhere."""

import numpy as np
import plotly.graph_objects as go

from reswork.figures.canvas import COLOURS, SYMBOLS, about, axis, canvas
from reswork.figures.text import distinct
from reswork.results.slices import Slices

_MOST = 25

_ABOUT = about(
    "Parts of the images where more answers are wrong than among the others, the worst at the top, with the interval "
    "of 95 %. The cross is the share elsewhere, the line that of all images.",
    "A few classes, and perhaps the darkest or flattest images; nothing else. What chance alone makes is left out: the "
    "numbers are corrected for all the parts that were looked at.",
    "Look at the images of the top one, and collect or augment images like them.",
)


def slices(found: Slices | None) -> go.Figure:
    """Share of wrong answers in each slice beside that elsewhere, the worst at the top.

    Args:
        found: None: an empty figure.

    Returns:
        Figure with at most 25 slices, in percent.
    """
    rows = [] if found is None else list(found.found[:_MOST])[::-1]
    names = distinct([each.name for each in rows], 44)
    rates = np.array([100 * each.rate for each in rows], np.float32)
    inside = {
        "type": "scatter", "mode": "markers", "name": "in the slice", "x": rates, "y": names,
        "error_x": {
            "type": "data", "symmetric": False, "thickness": 1.5, "color": COLOURS[1],
            "array": [100 * (each.high - each.rate) for each in rows],
            "arrayminus": [100 * (each.rate - each.low) for each in rows],
        },
        "text": [f"{each.errors} of {len(each.images)} images" for each in rows],
        "marker": {"color": COLOURS[1], "symbol": SYMBOLS[0], "size": 9},
        "hovertemplate": "%{y}: %{x:.1f} % wrong, %{text}<extra></extra>",
    }  # fmt: skip
    elsewhere = {
        "type": "scatter", "mode": "markers", "name": "elsewhere", "y": names,
        "x": np.array([100 * each.elsewhere for each in rows], np.float32),
        "marker": {"color": COLOURS[0], "symbol": SYMBOLS[5], "size": 8},
        "hovertemplate": "%{y}: %{x:.1f} % wrong elsewhere<extra></extra>",
    }  # fmt: skip
    line = [] if found is None or not rows else [
        {"type": "line", "xref": "x", "yref": "paper", "x0": 100 * found.rate, "x1": 100 * found.rate, "y0": 0, "y1": 1,
         "line": {"color": COLOURS[0], "width": 1, "dash": "dot"}}
    ]  # fmt: skip
    return canvas(
        [inside, elsewhere],
        title="Wrong answers in each slice",
        summary=_summary(found),
        explained=_ABOUT,
        x=axis("wrong answers, %", rangemode="tozero"),
        y=axis("slice", type="category"),
        height=int(np.clip(130 + 24 * len(rows), 160, 640)),
        shapes=line,
    )


def _summary(found: Slices | None) -> str:
    if found is None:
        return "No slices were looked at yet."
    if not found.found:
        return f"Of {found.looked_at:,} parts none is worse than the rest by more than chance."
    worst = found.found[0]
    return (
        f"{len(found.found)} of {found.looked_at:,} parts are worse than the rest; worst is {worst.name}: "
        f"{100 * worst.rate:.1f} % of {len(worst.images)} images wrong, elsewhere {100 * worst.elsewhere:.1f} %."
    )
