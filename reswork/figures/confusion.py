"""Which classes are taken for which."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from reswork.errors import InvalidSetting
from reswork.figures.canvas import about, axis, canvas
from reswork.figures.smoothing import Floats
from reswork.figures.text import distinct

_MOST_COUNTED = 12  # classes whose counts are written into the cells
_MOST_CELLS = 100  # rows and columns

_ABOUT = about(
    "Each row holds the test pictures (or pixels) of one true class; the columns say what the network called them. A "
    "bright diagonal means right answers; anything bright elsewhere is a habit of confusing two classes.",
    "The diagonal is brightest, and look-alikes (shirt and T-shirt, cat and dog) share a few wrong answers.",
    "Look at pictures of the most confused pair: could you tell them apart at this size?",
)


@dataclass(frozen=True, eq=False)
class _Confusion:
    names: tuple[str, ...]  # (R,) class names, or of the first of each row's classes
    counts: np.ndarray  # (R, R)
    shares: Floats  # (R, R) percent of the row; NaN where the row is empty
    per_row: int
    summary: str


def confusion_matrix(matrix: ArrayLike, classes: Sequence[str], *, of: str = "pictures") -> go.Figure:
    """Share of each true class (rows) that was given each answer (columns); counts up to 20 classes.

    Read from it which classes are confused; the summary names the worst pair.

    Args:
        matrix: (K, K) counts, rows true, columns predicted.
        classes: (K,) names.
        of: what was counted, in the plural; pixels are told as shares of their row.

    Returns:
        Figure with one map; over 100 classes neighbours share a row.

    Raises:
        InvalidSetting: if the matrix is not (K, K) for K classes.
    """
    return _confusion_figure(_confusion_info(np.asarray(matrix), tuple(map(str, classes)), of), of)


def _confusion_info(matrix: np.ndarray, classes: tuple[str, ...], of: str = "pictures") -> _Confusion:
    if matrix.size == 0:
        matrix = np.zeros((len(classes), len(classes)))
    if matrix.shape != (len(classes), len(classes)):
        raise InvalidSetting(
            "classes", f"{len(classes)} class names for a matrix of shape {matrix.shape}; give one name a row"
        )
    per_row = -(-len(classes) // _MOST_CELLS) or 1
    starts = np.arange(0, len(classes), per_row)
    counts = matrix.astype(np.float64)
    if per_row > 1:
        counts = np.add.reduceat(np.add.reduceat(counts, starts, axis=0), starts, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = 100 * counts / counts.sum(axis=1, keepdims=True)
    summary = _summary(matrix, classes, of)
    return _Confusion(classes[::per_row], counts, shares.astype(np.float32), per_row, summary)


def _summary(matrix: np.ndarray, classes: tuple[str, ...], of: str) -> str:
    total = float(matrix.sum()) if matrix.size else 0.0
    if not total:
        return "No answers counted yet."
    right = float(np.trace(matrix))
    wrong = np.where(np.eye(len(classes), dtype=bool), 0, matrix)
    text = f"{right:,.0f} of {total:,.0f} {of} are named right ({100 * right / total:.1f} %)"
    if not wrong.any():
        return text + "."
    true, predicted = np.unravel_index(int(wrong.argmax()), wrong.shape)
    count = float(wrong[true, predicted])
    return f"{text}; the most frequent error is {classes[predicted]} for {classes[true]}, {count:,.0f} times."


def _confusion_figure(info: _Confusion, of: str = "pictures") -> go.Figure:
    names = distinct(info.names, 16)
    few = len(names) <= _MOST_COUNTED and info.per_row == 1
    trace: dict[str, Any] = {
        "type": "heatmap",
        "x": names,
        "y": names,
        "z": info.shares,
        "zmin": 0,
        "zmax": 100,
        "colorscale": "Viridis",
        "xgap": 1 if few else 0,
        "ygap": 1 if few else 0,
        "hoverongaps": False,
        "hovertemplate": "true %{y}, predicted %{x}: %{z:.1f} % of the row<extra></extra>",
        "colorbar": {
            "title": {"text": "% of row", "side": "top", "font": {"size": 12}},
            "thickness": 12,
            "outlinewidth": 0,
        },
    }
    if few:
        shown = info.shares if of == "pixels" else info.counts
        trace["text"] = [["" if np.isnan(value) else f"{value:.0f}" for value in row] for row in shown]
        trace["texttemplate"] = "%{text}"
        trace["hovertemplate"] = "true %{y}, predicted %{x}: %{text}, %{z:.1f} % of the row<extra></extra>"
    note = f" ({info.per_row} classes a row)" if info.per_row > 1 else ""
    return canvas(
        [trace],
        title="Confusion of pixels" if of == "pixels" else "Confusion matrix",
        summary=info.summary,
        explained=_ABOUT,
        x=axis("predicted" + note, type="category", showgrid=False),
        y=axis("true" + note, type="category", showgrid=False, autorange="reversed"),
        height=int(np.clip(140 + 26 * len(names), 300, 480)),
    )
