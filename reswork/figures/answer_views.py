"""What a network answers where the inputs are no images: curves with truth and answer, values, probabilities."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from reswork.figures.canvas import COLOURS, INK, PATTERNS, about, axis, canvas
from reswork.figures.text import escape

_APART = 5.0  # standard deviations between two curves
_MOST_POINTS = 400


_ANSWERED = about(
    "A few test signals, each in its own scale: what it is, what was answered, and where the network looked.",
    "The dots lie where the class shows; answers run along the truth.",
    "If the dots lie anywhere, look whether another net, or more of the training, finds the place.",
)
_SHOWN = about(
    "A few training signals, each in its own scale, with what is told of it.",
    "Those of one class look alike in something: its shape, its place, or how fast it goes up and down.",
    "Say what it is that you would tell them by, and look later whether the network looks there.",
)


def signal_answers(
    signals: np.ndarray,
    titles: Sequence[str],
    *,
    maps: np.ndarray | None = None,
    answers: np.ndarray | None = None,
    truth: np.ndarray | None = None,
) -> go.Figure:
    """A few signals below each other, what each was answered, and where the network looked.

    Read from it whether it looks at what makes the class, or where the answer leaves the truth.

    Args:
        signals: (M, L), the channel that is shown.
        titles: (M,) such as ``wave, answered bump``; plain text.
        maps: (M, L), 0 to 1, where it looked; drawn as dots, the larger the more.
        answers: (M, T) next steps as they were answered, in the signals' unit.
        truth: (M, T) next steps as they came.

    Returns:
        Figure with five traces, some of them empty.
    """
    count, length = signals.shape if signals.ndim == 2 else (0, 0)
    shown = np.concatenate([each for each in (signals, truth, answers) if each is not None], axis=-1)
    middle = shown.mean(1, keepdims=True) if count else np.zeros((0, 1))
    width = np.maximum(shown.std(1, keepdims=True), 1e-12) if count else np.ones((0, 1))
    offsets = -_APART * np.arange(count)[:, None]
    step = max(1, -(-length // _MOST_POINTS))

    def lines(numbers: np.ndarray | None, begin: int, every: int = 1) -> tuple[list[float], list[float]]:
        x: list[float] = []
        y: list[float] = []
        if numbers is not None and count:
            for row in ((numbers - middle) / width + offsets)[:, ::every]:
                x += [*(begin + every * np.arange(len(row))).tolist(), np.nan]
                y += [*row.tolist(), np.nan]
        return x, y

    x, y = lines(signals, 0, step)
    traces: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": "signal",
            "x": x,
            "y": y,
            "line": {"color": INK, "width": 1.2},
        }
    ]
    for name, numbers, colour, dash in (
        ("truth", truth, COLOURS[2], "solid"),
        ("answer", answers, COLOURS[1], "dot"),
    ):
        x, y = lines(numbers, length)
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": name,
                "x": x,
                "y": y,
                "line": {"color": colour, "width": 2, "dash": dash},
                "showlegend": numbers is not None,
            }
        )
    x, y = lines(signals, 0, step) if maps is not None else ([], [])
    seen = [] if maps is None else [each for row in maps[:, ::step] for each in [*row.tolist(), 0.0]]
    traces.append(
        {
            "type": "scatter",
            "mode": "markers",
            "name": "looked at",
            "x": x,
            "y": y,
            "showlegend": False,  # it would be as small as the first dot
            "marker": {
                "size": [1 + 8 * each for each in seen],
                "color": COLOURS[0],
                "opacity": [max(each, 0.02) for each in seen],
                "line": {"width": 0},  # plotly's white rim is all that is seen of a small dot on a dark page
            },
        }
    )
    traces.append(
        {
            "type": "scatter", "mode": "markers", "name": "looked at", "x": [None], "y": [None],
            "showlegend": maps is not None, "marker": {"size": 8, "color": COLOURS[0]},
        }
    )  # fmt: skip
    is_answered = any(each is not None for each in (maps, answers, truth))
    return canvas(
        traces,
        title="Signals and answers" if is_answered else "Signals",
        summary="; ".join(titles[:8]) + "." if count else "No signals yet.",
        explained=_ANSWERED if is_answered else _SHOWN,
        x=axis("moment"),
        y=axis(
            "",
            tickmode="array",
            tickvals=offsets[:, 0].tolist(),
            ticktext=[escape(each, 40) for each in titles],
        ),
        height=90 * max(count, 2),
        showlegend=is_answered,
    )


def value_answers(truth: np.ndarray, answers: np.ndarray, name: str = "value") -> go.Figure:
    """Values as they are against values as they were answered; on the line both are the same.

    Args:
        truth: (N,).
        answers: (N,).
        name: of the value.
    """
    both = np.concatenate([truth, answers]) if len(truth) else np.zeros(1)
    ends = [float(both.min()), float(both.max())]
    off = float(np.abs(truth - answers).mean()) if len(truth) else 0.0
    traces = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": "rows",
            "x": truth,
            "y": answers,
            "marker": {"color": COLOURS[0], "size": 5},
        },
        {
            "type": "scatter",
            "mode": "lines",
            "name": "right",
            "x": ends,
            "y": ends,
            "line": {"color": INK, "dash": "dash"},
        },
    ]
    return canvas(
        traces,
        title="Truth and answer",
        summary=f"{len(truth)} test rows; answers are {off:.4g} off on average.",
        explained=about(
            "Each dot is a test row: to the right what it is, upwards what was answered.",
            "The dots lie along the dashed line; a flat cloud is a network that answers the mean.",
            "Dots that bend away at one end say that something is missing there.",
        ),
        x=axis(f"{name}, truth"),
        y=axis(f"{name}, answer"),
        height=300,
    )


def true_class_probabilities(
    probabilities: np.ndarray, labels: np.ndarray, classes: Sequence[str]
) -> go.Figure:
    """How much of the probability the true class gets, row by row, for each class: right ones lie to the right.

    Args:
        probabilities: (N, K).
        labels: (N,) true classes.
        classes: (K,) names.
    """
    bins = np.linspace(0, 1, 21)
    given = probabilities[np.arange(len(labels)), labels] if len(labels) else np.zeros(0)
    traces = [
        {
            "type": "bar",
            "name": escape(str(classes[label]), 24),
            "x": (bins[:-1] + bins[1:]) / 2,
            "y": np.histogram(given[labels == label], bins)[0] / max(1, int((labels == label).sum())),
            "marker": {"color": COLOURS[label], "pattern": {"shape": PATTERNS[label % len(PATTERNS)]}},
        }
        for label in range(min(len(classes), len(COLOURS)))
    ]
    mean = float(given.mean()) if len(given) else 0.0
    return canvas(
        traces,
        title="Probability of the true class",
        summary=f"{len(labels)} test rows give their true class a probability of {mean:.2f} on average.",
        explained=about(
            "For each class the share of its test rows by the probability that the true answer got.",
            "Bars stand at the right end; a class with bars at the left end is overlooked.",
            "A rare class at the left: another threshold, class weights, or more of it.",
        ),
        x=axis("probability of the true class", range=[0, 1]),
        y=axis("share of the class", rangemode="tozero"),
        height=280,
        showlegend=True,
    )
