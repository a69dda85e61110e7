"""How well a number tells two kinds apart: pairs of one identity from pairs of two, bad images from good ones."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go

from reswork.figures.canvas import COLOURS, DASHES, INK, PATTERNS, about, axis, canvas

_MOST_POINTS = 500
_BINS = 40
_CURVES = about(
    "For each threshold: which share of what is looked for is found, over which share of the rest is taken for it "
    "wrongly. The dashed diagonal is chance.",
    "Curves bend to the upper left corner; the nearer, the better. The scale of wrong ones is logarithmic, as a "
    "useful system accepts few of them.",
    "Choose the share of wrong ones that you can bear, read off what is found, and set the threshold there.",
)
_COUNTS = about(
    "The scores of both kinds, each as shares of its own kind; the line is a threshold.",
    "At first both lie over each other; as the network learns they part.",
    "What lies on the wrong side of the line is missed or taken wrongly: move the line to pay for one with the other.",
)


def roc_curves(curves: Mapping[str, tuple[np.ndarray, np.ndarray]], *, least: float = 1e-3) -> go.Figure:
    """Shares found over shares taken wrongly, of several methods beside each other.

    Read from it what a network is worth beside simple methods at the share of wrong ones that can be borne.

    Args:
        curves: name -> shares taken wrongly and shares found, (T,) each, 0 to 1, rising; see `reswork.tasks.roc`.
        least: where the logarithmic axis begins.

    Returns:
        Figure with a line for each.
    """
    ends = np.geomspace(least, 1, 60) if curves else np.zeros(0)
    chance = {
        "type": "scatter", "mode": "lines", "x": (100 * ends).astype(np.float32),
        "y": (100 * ends).astype(np.float32), "name": "chance", "hoverinfo": "skip",
        "line": {"color": INK, "width": 1, "dash": "dash"},
    }  # fmt: skip
    traces = [_curve(row, name, *each, least) for row, (name, each) in enumerate(curves.items())]
    told = ", ".join(f"{name} {_found_at(*each, 0.01):.1%}" for name, each in curves.items())
    return canvas(
        [*traces, chance],
        title="Found over taken wrongly",
        summary=f"Found where 1 % is taken wrongly: {told}." if curves else "No scores yet.",
        explained=_CURVES,
        x=axis("taken wrongly, %", type="log", range=[float(np.log10(100 * least)), 2]),
        y=axis("found, %", range=[0, 101]),
        height=300,
    )


def _curve(row: int, name: str, false: np.ndarray, true: np.ndarray, least: float) -> dict[str, Any]:
    at = np.geomspace(least, 1, _MOST_POINTS)
    found = np.array([_found_at(false, true, each) for each in at])
    return {
        "type": "scatter", "mode": "lines", "x": (100 * at).astype(np.float32), "name": name,
        "y": (100 * found).astype(np.float32),
        "line": {"color": COLOURS[row % len(COLOURS)], "width": 2, "dash": DASHES[row % len(DASHES)], "shape": "hv"},
        "hovertemplate": "%{y:.1f} % found where %{x:.2g} % are taken wrongly",
    }  # fmt: skip


def _found_at(false: np.ndarray, true: np.ndarray, share: float) -> float:
    """The most that is found while at most so many are taken wrongly; both rise."""
    return float(true[max(int(np.searchsorted(false, share, side="right")) - 1, 0)])


def score_counts(
    scores: np.ndarray,
    looked_for: np.ndarray,
    *,
    names: tuple[str, str] = ("good", "bad"),
    threshold: float | None = None,
    title: str = "Scores of both kinds",
) -> go.Figure:
    """How the scores of two kinds are spread, and where a threshold lies.

    Args:
        scores: (N,).
        looked_for: (N,) bool, which are of the second kind.
        names: of the two kinds.
        threshold: drawn as a line.
        title: of the figure.

    Returns:
        Figure with bars for each kind.
    """
    scores, looked_for = np.asarray(scores, np.float64), np.asarray(looked_for, bool)
    edges = np.linspace(scores.min(), scores.max() + 1e-9, _BINS + 1) if len(scores) else np.zeros(1)
    middles = ((edges[1:] + edges[:-1]) / 2).astype(np.float32)
    traces = []
    for row, (name, chosen) in enumerate(zip(names, (~looked_for, looked_for), strict=True)):
        counts = np.histogram(scores[chosen], edges)[0] if len(scores) else np.zeros(0)
        traces.append({
            "type": "bar", "name": name, "x": middles, "opacity": 0.7,
            "y": (100 * counts / max(counts.sum(), 1)).astype(np.float32),
            "marker": {"color": COLOURS[row], "pattern": {"shape": PATTERNS[row]}},
            "hovertemplate": "%{y:.1f} % of " + name + " at %{x:.3g}<extra></extra>",
        })  # fmt: skip
    line = {"type": "line", "x0": threshold, "x1": threshold, "y0": 0, "y1": 1, "yref": "paper"}
    return canvas(
        traces if len(scores) else [],
        title=title,
        summary=_told(scores, looked_for, names, threshold),
        explained=_COUNTS,
        x=axis("score"),
        y=axis("share of its kind, %"),
        barmode="overlay",
        bargap=0,
        shapes=[] if threshold is None else [line | {"line": {"color": INK, "width": 2, "dash": "dot"}}],
    )


def _told(scores: np.ndarray, looked_for: np.ndarray, names: tuple[str, str], threshold: float | None) -> str:
    if not len(scores):
        return "No scores yet."
    middle = [
        float(np.median(scores[each])) if each.any() else float("nan") for each in (~looked_for, looked_for)
    ]
    text = f"The median is {middle[0]:.3g} of {names[0]} and {middle[1]:.3g} of {names[1]}"
    if threshold is None:
        return f"{text}."
    above = [
        float((scores[each] > threshold).mean()) if each.any() else 0.0 for each in (~looked_for, looked_for)
    ]
    return f"{text}; above {threshold:.3g} are {above[0]:.1%} of {names[0]} and {above[1]:.1%} of {names[1]}."
