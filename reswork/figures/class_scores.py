"""How well each class is found and how far it can be relied on."""

import numpy as np
import plotly.graph_objects as go

from reswork.figures.canvas import COLOURS, SYMBOLS, about, axis, canvas
from reswork.figures.text import distinct
from reswork.results.scores import ClassScores

_MOST = 60  # classes, the worst

_ABOUT = about(
    "For each class: of its images the share that is found (recall), of what is called so the share that is right "
    "(precision), and their harmonic mean (F1). The worst class is at the top.",
    "All three lie near each other, and classes that look alike are at the top.",
    "High precision with low recall: the class is named too seldom; the other way round: too often. Rare classes gain "
    "from class_weights='balanced'.",
)


def class_scores(found: ClassScores | None, classes: tuple[str, ...] = ()) -> go.Figure:
    """Precision, recall and F1 of each class, the worst at the top.

    Args:
        found: None: an empty figure.
        classes: (K,) names.

    Returns:
        Figure with three marks a class, at most 60 classes.
    """
    if found is None or not len(found.support):
        rows, names = np.zeros(0, int), []
    else:
        rows = np.argsort(np.where(np.isnan(found.f1), np.inf, found.f1), kind="stable")[:_MOST][::-1]
        names = distinct([classes[k] for k in rows], 30)
    traces = [
        {
            "type": "scatter", "mode": "markers", "name": label,
            "x": np.zeros(0, np.float32) if found is None else (100 * getattr(found, name)[rows]).astype(np.float32),
            "y": names,
            "marker": {"color": COLOURS[row], "symbol": SYMBOLS[row], "size": 9},
            "hovertemplate": "%{y}: " + label + " %{x:.1f} %<extra></extra>",
        }
        for row, (name, label) in enumerate((("recall", "recall"), ("precision", "precision"), ("f1", "F1")))
    ]  # fmt: skip
    return canvas(
        traces,
        title="Scores of each class",
        summary=_summary(found, classes),
        explained=_ABOUT,
        x=axis("%", range=[0, 101]),
        y=axis("class", type="category"),
        height=int(np.clip(120 + 20 * len(rows), 240, 640)),
    )


def _summary(found: ClassScores | None, classes: tuple[str, ...]) -> str:
    if found is None or np.isnan(found.f1).all():
        return "No answers counted yet."
    worst, best = int(np.nanargmin(found.f1)), int(np.nanargmax(found.f1))
    return (
        f"{classes[worst]} is worst with F1 {100 * found.f1[worst]:.1f} % (recall {100 * found.recall[worst]:.1f} %), "
        f"{classes[best]} best with {100 * found.f1[best]:.1f} %."
    )
