"""Whether a model's confidence can be relied on."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from reswork.figures.canvas import COLOURS, DASHES, PATTERNS, SYMBOLS, about, axis, canvas
from reswork.results.confidence import Calibration, Coverage, Reliability

_RELIABILITY = about(
    "Answers are grouped by how sure the model is of them; each point says how many of a group are right. On the "
    "diagonal confidence means what it says; below it the model is too sure.",
    "Networks that were trained for long are too sure: points below the diagonal, mended by a temperature above 1.",
    "Divide logits by the temperature before you show a probability to somebody; it changes no answer.",
)
_COVERAGE = about(
    "If the model may keep silent about the share that it is least sure of, how often is it right about the rest?",
    "The curve falls from left to right: what it is surest of is most often right.",
    "Choose the accuracy that you need, read off how much is answered, and hand the rest to a person.",
)
_COUNTS = about(
    "How sure the model is of its right and of its wrong answers, as counts.",
    "Right answers crowd on the right; wrong ones are spread, with a few on the right: confident mistakes.",
    "Look at the wrong ones on the far right: often the label is wrong, or the image holds two things.",
)


def reliability(found: Calibration | None) -> go.Figure:
    """Accuracy over confidence: all images, and the half that a temperature was judged on.

    Args:
        found: None: an empty figure.

    Returns:
        Figure with the diagonal and up to two curves, in percent.
    """
    rows: list[tuple[str, Reliability]] = []
    if found is not None:
        rows.append(("as it is", found.whole))
        if found.fitted_images:
            rows.append((f"with temperature {found.temperature:.2f}", found.after))
    ends = np.array([0, 100] if rows else [], np.float32)
    diagonal = {
        "type": "scatter", "mode": "lines", "x": ends, "y": ends, "name": "as it says", "hoverinfo": "skip",
        "line": {"color": COLOURS[4], "width": 1.5, "dash": DASHES[2]},
    }  # fmt: skip
    return canvas(
        [diagonal, *(_curve(row, name, each) for row, (name, each) in enumerate(rows))],
        title="Accuracy over confidence",
        summary=_told(found),
        explained=_RELIABILITY,
        x=axis("confidence, %", range=[0, 103]),
        y=axis("right answers, %", range=[0, 103]),
        height=320,
    )


def _curve(row: int, name: str, each: Reliability) -> dict[str, Any]:
    there = each.counts > 0
    shares = 100 * each.counts[there] / max(each.counts.sum(), 1)
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "x": (100 * each.confidence[there]).astype(np.float32),
        "y": (100 * each.accuracy[there]).astype(np.float32),
        "name": name,
        "text": [f"{share:.1f} % of the images" for share in shares],
        "line": {"color": COLOURS[row], "width": 2, "dash": DASHES[row]},
        "marker": {
            "symbol": SYMBOLS[row],
            "size": (5 + 12 * np.sqrt(shares / 100)).tolist(),
            "line": {"width": 0},
        },
        "hovertemplate": "sure by %{x:.0f} %, right %{y:.0f} %; %{text}",
    }


def _told(found: Calibration | None) -> str:
    if found is None:
        return "No answers counted yet."
    whole = found.whole
    chance = (
        "no more than chance makes" if whole.ece <= whole.by_chance else f"chance makes {whole.by_chance:.3f}"
    )
    text = f"Confidence is off by {whole.ece:.3f} (ECE) on average, {chance}"
    if not found.fitted_images:
        return text + "."
    return (
        f"{text}; a temperature of {found.temperature:.2f}, fitted to one half, makes {found.after.ece:.3f} of "
        f"{found.before.ece:.3f} on the other."
    )


def coverage(found: Coverage | None) -> go.Figure:
    """Accuracy over the share of images that is answered.

    Args:
        found: None: an empty figure.
    """
    some = found is not None and len(found.coverage)
    trace = {
        "type": "scatter", "mode": "lines", "name": "right answers",
        "x": (100 * found.coverage).astype(np.float32) if found is not None else np.zeros(0, np.float32),
        "y": (100 * found.accuracy).astype(np.float32) if found is not None else np.zeros(0, np.float32),
        "line": {"color": COLOURS[0], "width": 2},
        "hovertemplate": "answers %{x:.0f} %, right %{y:.1f} %<extra></extra>",
    }  # fmt: skip
    return canvas(
        [trace],
        title="Accuracy over coverage",
        summary=_covered(found) if found is not None and some else "No answers counted yet.",
        explained=_COVERAGE,
        x=axis("images answered, %", range=[0, 100]),
        y=axis("right answers, %"),
    )


def _covered(found: Coverage) -> str:
    half = float(np.interp(0.5, found.coverage, found.accuracy))
    text = (
        f"{100 * found.accuracy[-1]:.1f} % right of all, {100 * half:.1f} % of the half that it is surest of"
    )
    if np.isnan(found.separation):
        return text + "."
    return f"{text}; a right answer is surer than a wrong one {100 * found.separation:.0f} times of 100."


def confidence_counts(found: Coverage | None) -> go.Figure:
    """How sure the model is of right and of wrong answers.

    Args:
        found: None: an empty figure.
    """
    traces = []
    for row, name in enumerate(("right", "wrong")):
        middles = np.zeros(0, np.float32) if found is None else 50 * (found.edges[1:] + found.edges[:-1])
        counts = np.zeros(0) if found is None else getattr(found, name)
        traces.append({
            "type": "bar", "name": name, "x": middles.astype(np.float32), "y": np.asarray(counts, np.float32),
            "marker": {"color": COLOURS[row], "pattern": {"shape": PATTERNS[row]}},
            "hovertemplate": "sure by %{x:.0f} %: %{y} " + name + "<extra></extra>",
        })  # fmt: skip
    summary = "No answers counted yet."
    if found is not None:
        sure = int(found.wrong[-2:].sum())
        summary = (
            f"{int(found.wrong.sum())} wrong answers, {sure} of them with a confidence of at least 90 %."
        )
    return canvas(
        traces,
        title="How sure of its answers",
        summary=summary,
        explained=_COUNTS,
        x=axis("confidence, %", range=[0, 100]),
        y=axis("images"),
        barmode="stack",
    )
