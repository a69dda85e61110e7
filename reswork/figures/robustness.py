"""How a model's score falls as images get worse."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from reswork.figures.canvas import COLOURS, DASHES, SYMBOLS, about, axis, canvas
from reswork.figures.text import number
from reswork.results.robustness import Robustness

_ABOUT = about(
    "The score on the same images as they get worse, from hardly (1) to very (5); 0 is as they are. Point at a mark "
    "for the strength and the interval of 95 %.",
    "Small shifts and little brightness change hardly matter; noise, blur and strong JPEG cost most, as nothing like "
    "them was seen in training.",
    "Train with the augmentation that is like the steepest curve (translate for shift), and look again.",
)


def robustness(found: Robustness | None) -> go.Figure:
    """A curve for each corruption over its strength.

    Args:
        found: None: an empty figure.

    Returns:
        Figure with a curve for each corruption, in percent.
    """
    rows = range(0 if found is None else len(found.corruptions))
    return canvas(
        [_curve(found, row) for row in rows if found is not None],
        title="Score over corruption",
        summary=_summary(found),
        explained=_ABOUT,
        x=axis("strength", dtick=1),
        y=axis("score, %" if found is None else f"{found.metric}, %", rangemode="tozero"),
        height=340,
    )


def _curve(found: Robustness, row: int) -> dict[str, Any]:
    scores = np.concatenate([[found.clean], found.scores[row]])
    texts = ["as they are"]
    for strength, low, high in zip(found.strengths[row], found.low[row], found.high[row], strict=True):
        interval = "" if np.isnan(low) else f", {100 * low:.0f} to {100 * high:.0f} %"
        texts.append(f"{found.units[row]} {number(float(strength))}{interval}")
    style = row % len(COLOURS)
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "x": np.arange(len(scores), dtype=np.float32),
        "y": (100 * scores).astype(np.float32),
        "name": found.corruptions[row],
        "text": texts,
        "line": {"color": COLOURS[style], "width": 2, "dash": DASHES[row % len(DASHES)]},
        "marker": {"symbol": SYMBOLS[(row + row // len(COLOURS)) % len(SYMBOLS)], "size": 7},
        "hovertemplate": "%{y:.1f} % at %{text}",
    }


def _summary(found: Robustness | None) -> str:
    if found is None or not found.scores.size or np.isnan(found.scores).all():
        return "No corrupted images were tried yet."
    middle = found.scores[:, found.scores.shape[1] // 2]
    worst, best = int(np.nanargmin(middle)), int(np.nanargmax(middle))
    return (
        f"{100 * found.clean:.1f} % on {len(found.images)} images as they are; at middle strength "
        f"{found.corruptions[worst]} leaves {100 * middle[worst]:.1f} %, {found.corruptions[best]} "
        f"{100 * middle[best]:.1f} %."
    )
