"""How gradients at neighbouring inputs vary together."""

import numpy as np
import plotly.graph_objects as go

from reswork.figures.canvas import about, axis, canvas

_MOST = 60  # rows and columns

_ABOUT = about(
    "Each cell compares the gradients at two places on a line of inputs: yellow, they point the same "
    "way; dark, they have "
    "nothing to do with each other.",
    "A broad bright band: neighbouring inputs ask for about the same change. A thin line on the "
    "diagonal: each input asks for "
    "something else, which looks like white noise.",
    "Compare a deep network with and without shortcuts.",
)


def gradient_covariance(places: np.ndarray, matrix: np.ndarray, *, title: str) -> go.Figure:
    """A map of correlations between gradients at places on a line.

    Args:
        places: (P,) inputs.
        matrix: (P, P), -1 to 1.
        title: at most 31 letters.

    Returns:
        Figure with one map of at most 60 x 60.
    """
    at = (
        np.linspace(0, len(places) - 1, min(len(places), _MOST)).round().astype(int)
        if len(places)
        else np.empty(0, int)
    )
    part = np.abs(matrix[np.ix_(at, at)]) if len(at) else np.empty((0, 0))
    trace = {
        "type": "heatmap",
        "x": places[at].astype(np.float32),
        "y": places[at].astype(np.float32),
        "z": part.astype(np.float32),
        "zmin": 0,
        "zmax": 1,
        "colorscale": "Viridis",
        "hovertemplate": "%{y:.2f} and %{x:.2f}: %{z:.2f}<extra></extra>",
        "colorbar": {"title": {"text": "|correlation|", "side": "right"}, "thickness": 12, "outlinewidth": 0},
    }
    off = np.abs(np.subtract.outer(at, at)) == 1
    told = (
        f"Neighbours correlate by {part[off].mean():.2f} on the average."
        if off.any()
        else "No gradients yet."
    )
    return canvas(
        [trace],
        title=title,
        summary=told,
        explained=_ABOUT,
        x=axis("input"),
        y=axis("input", autorange="reversed"),
        height=320,
    )
