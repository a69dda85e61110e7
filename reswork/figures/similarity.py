"""How alike layers are."""

import numpy as np
import plotly.graph_objects as go

from reswork.figures.canvas import about, axis, canvas
from reswork.figures.depth_views import pooled
from reswork.figures.text import distinct, number
from reswork.results.layers import Similarity

_MOST = 60  # rows and columns

_ABOUT = about(
    "Each cell compares two layers: 1 (yellow) means that they see the same likenesses among the images, whatever "
    "the number of their channels; 0 (dark blue) means nothing in common.",
    "Bright along the diagonal, in squares that are often the stages. The further apart, the darker.",
    "A large bright square at the end: those layers do nearly the same, a shallower network may do. Compare two "
    "networks from other seeds: where do they begin to differ?",
)


def cka(found: Similarity) -> go.Figure:
    """The map of similarities, layers of the first network downwards, of the second to the right.

    Args:
        found: from ``probes.cka``.

    Returns:
        Figure with one map of at most 60 x 60; deeper networks share cells among neighbours.
    """
    per_row, per_column = (-(-len(names) // _MOST) or 1 for names in (found.rows, found.columns))
    trace = {
        "type": "heatmap",
        "x": distinct(found.columns[::per_column], 24),
        "y": distinct(found.rows[::per_row], 24),
        "z": pooled(pooled(found.values.T, per_row).T, per_column).astype(np.float32),
        "zmin": 0,
        "zmax": 1,
        "colorscale": "Viridis",
        "hoverongaps": False,
        "hovertemplate": "%{y} and %{x}: %{z:.2f}<extra></extra>",
        "colorbar": {
            "title": {"text": "similarity (CKA)", "side": "right", "font": {"size": 12}},
            "thickness": 12,
            "outlinewidth": 0,
        },
    }
    which = ("layer", "layer") if found.same_network else ("first network", "second network")
    return canvas(
        [trace],
        title="Likeness of layers (CKA)",
        summary=_summary(found),
        explained=_ABOUT,
        x=axis(_title(which[1], per_column), type="category", showgrid=False),
        y=axis(_title(which[0], per_row), type="category", showgrid=False, autorange="reversed"),
        height=int(np.clip(140 + 16 * len(found.rows), 300, 480)),
    )


def _title(text: str, each: int) -> str:
    return f"{text} ({each} neighbours a cell)" if each > 1 else text


def _summary(found: Similarity) -> str:
    if not found.values.size or not np.isfinite(found.values).any():
        return "No similarities to show."
    off = found.values.copy()
    if found.same_network and found.rows == found.columns:
        np.fill_diagonal(off, np.nan)
    if not np.isfinite(off).any():
        return f"One layer, over {found.samples} images, is like itself."
    low, high = (np.unravel_index(int(find(off)), off.shape) for find in (np.nanargmin, np.nanargmax))
    return (
        f"Over {found.samples} images {found.rows[high[0]]} and {found.columns[high[1]]} are most alike "
        f"({number(float(off[high]))}), {found.rows[low[0]]} and {found.columns[low[1]]} least "
        f"({number(float(off[low]))})."
    )
