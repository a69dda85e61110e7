"""What the residual blocks show: activations, the shortcut against the branch, and variance over depth."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from reswork.figures.canvas import about, axis, log_axis
from reswork.figures.depth_views import MOST_COLUMNS, Line, lines_figure, lines_info
from reswork.figures.smoothing import Floats
from reswork.figures.text import number

if TYPE_CHECKING:
    from reswork.history import History

__all__ = [
    "activations",
    "dead_units",
    "shortcut_and_branch",
    "shortcut_cosine",
    "shortcut_gradients",
    "signal_variance",
]

_ACTIVATIONS = about(
    "What comes out of each block: the mean of its numbers, and how much they vary (deviation).",
    "Both stay within a small factor over depth, and change slowly while the network learns.",
    "Build the network without norms: the deviation grows from block to block.",
)
_DEAD = about(
    "The share of each block's channels that give nothing for any picture: they are dead, for now at least.",
    "None at first, later at most a few per cent.",
    "Train with a learning rate ten times too high: dead channels appear within a few steps and many never "
    "come back.",
)
_SUMMANDS = about(
    "How large the two things are that each block adds: the shortcut, x, and the branch, F(x).",
    "At the start both are alike. Later most branches are the smaller one: each block only corrects what "
    "comes along; a stage's first block changes more.",
    "Look for a block whose branch is small, and remove it in the Build panel: the network hardly misses it.",
)
_COSINE = about(
    "Whether the two things that each block adds point the same way (cosine 1), are unrelated (0), or cancel "
    "each other out (-1).",
    "About 0 at the start. Later mostly between -0.5 and 0.5.",
    "Watch the last block of each stage while the network learns: a branch that takes away what it was given "
    "turns negative.",
)
_GRADIENTS = about(
    "The gradient that each block hands back to its input, in its two parts: what came over the shortcut, "
    "and what came through the branch.",
    "The shortcut's line is nearly level, and in a trained network the branch's lies below it: the shortcut "
    "is the road on which the gradient reaches the first layers.",
    "Compare depth 20 and 110. A plain network has no such second road.",
)
_VARIANCE = about(
    "How much the signal varies after each block (stream), and how much each block's branch adds to it.",
    "With batch norm, at the start: the branch adds about 1 each time, so the stream grows like a "
    "staircase, and begins anew where a stage begins with a projection.",
    "Switch the norms off: the stream doubles at every block, on a logarithmic scale a straight line up.",
)


def activations(history: "History") -> go.Figure:
    """Mean and deviation of each block's output over depth, at the newest record.

    Read from it whether the signal keeps its size through the net.

    Args:
        history: of one run, with the groups of the recorder ``activations``.

    Returns:
        Figure with two lines.
    """
    labels, step, (mean, std) = _newest(history, ("activation_mean", "activation_std"))
    lines = [Line("mean", mean), Line("deviation", std)]
    info = lines_info(labels, lines, _activation_summary(labels, step, mean, std))
    return lines_figure(info, "Activations", axis("mean, deviation"), _ACTIVATIONS)


def dead_units(history: "History") -> go.Figure:
    """Share of dead channels of each block over depth, at the newest record and, thin, at the first one.

    Read from it whether blocks have lost channels.

    Args:
        history: of one run, with the group ``dead_share``.

    Returns:
        Figure with up to two lines, 0 to 1.
    """
    labels, step, (dead,) = _newest(history, ("dead_share",))
    first, (before,) = _first(history, ("dead_share",))
    lines = [Line("dead", dead), Line(f"step {first}", before if first < step else before[:0], quiet=True)]
    info = lines_info(labels, lines, _dead_summary(labels, step, dead))
    y = axis("dead channels", rangemode="tozero", tickformat=".0%")
    return lines_figure(info, "Dead units", y, _DEAD)


def shortcut_and_branch(history: "History") -> go.Figure:
    """Size of shortcut and branch over depth at the newest record.

    Read from it what each block does: hand on, correct, or replace.

    Args:
        history: of one run, with the groups of the recorder ``shortcut_and_branch``.

    Returns:
        Figure with two lines, root mean squares on a logarithmic scale.
    """
    labels, step, (shortcut, branch) = _newest(history, ("shortcut_size", "branch_size"))
    lines = [Line("shortcut", _positive(shortcut)), Line("branch F(x)", _positive(branch))]
    info = lines_info(labels, lines, _share_summary(labels, step, shortcut, branch, "is larger than"))
    return lines_figure(info, "Shortcut and branch", log_axis("size", shortcut, branch), _SUMMANDS)


def shortcut_cosine(history: "History") -> go.Figure:
    """Cosine between shortcut and branch over depth, at the newest record and, thin, at the first one.

    Read from it which blocks add to what they are given and which take away from it.

    Args:
        history: of one run, with the groups of the recorder ``shortcut_and_branch``.

    Returns:
        Figure with up to two lines, -1 to 1.
    """
    labels, step, (cosine,) = _newest(history, ("shortcut_branch_cosine",))
    first, (before,) = _first(history, ("shortcut_branch_cosine",))
    lines = [
        Line("cosine", cosine),
        Line(f"step {first}", before if first < step else before[:0], quiet=True),
    ]
    info = lines_info(labels, lines, _cosine_summary(labels, step, cosine))
    return lines_figure(info, "Shortcut and branch, direction", axis("cosine", range=[-1.05, 1.05]), _COSINE)


def shortcut_gradients(history: "History") -> go.Figure:
    """The two parts of the gradient at each block's input over depth, at the newest record.

    Read from it over which road the gradient reaches the first layers.

    Args:
        history: of one run, with the groups of the recorder ``shortcut_and_branch``.

    Returns:
        Figure with two lines on a logarithmic scale.
    """
    labels, step, (shortcut, branch) = _newest(history, ("shortcut_gradient", "branch_gradient"))
    lines = [Line("over the shortcut", _positive(shortcut)), Line("through the branch", _positive(branch))]
    info = lines_info(
        labels, lines, _share_summary(labels, step, shortcut, branch, "carries more gradient than")
    )
    y = log_axis("gradient norm", shortcut, branch, exponentformat="power")
    return lines_figure(info, "Gradient, shortcut and branch", y, _GRADIENTS)


def signal_variance(history: "History") -> go.Figure:
    """Variance of stream and branch over depth, at the newest record and, thin, at the first one.

    Read from it whether the signal explodes or starts anew at each stage.

    Args:
        history: of one run, with the groups of the recorder ``signal_variance``.

    Returns:
        Figure with up to four lines on a logarithmic scale.
    """
    groups = ("stream_variance", "branch_variance")
    labels, step, (stream, branch) = _newest(history, groups)
    first, before = _first(history, groups)
    lines = [Line("stream", _positive(stream)), Line("branch F(x)", _positive(branch))]
    lines += [
        Line(f"{name}, step {first}", _positive(values if first < step else values[:0]), quiet=True)
        for name, values in zip(("stream", "branch"), before, strict=True)
    ]
    info = lines_info(labels, lines, _variance_summary(labels, step, stream, branch))
    y = log_axis("variance", *(line.values for line in lines))
    return lines_figure(info, "Variance of the signal", y, _VARIANCE)


def _newest(history: "History", groups: Sequence[str]) -> tuple[tuple[str, ...], int, list[Floats]]:
    """Labels, step and each group's values (B,) at the newest record; nothing where there is none."""
    return _at(history, groups, -1)


def _first(history: "History", groups: Sequence[str]) -> tuple[int, list[Floats]]:
    _, step, values = _at(history, groups, 0)
    return step, values


def _at(history: "History", groups: Sequence[str], index: int) -> tuple[tuple[str, ...], int, list[Floats]]:
    found = [history.vectors(group, max_points=MOST_COLUMNS if index == 0 else 1) for group in groups]
    if any(not len(vectors) for vectors in found):
        return (), 0, [np.empty(0, np.float32)] * len(groups)
    rows = [vectors.values[index].astype(np.float32) for vectors in found]
    return found[0].labels, int(found[0].steps[index]), rows


def _positive(values: np.ndarray) -> Floats:
    """NaN for what a logarithmic axis cannot show."""
    with np.errstate(invalid="ignore"):
        return np.where(values > 0, values, np.nan).astype(np.float32)


def _activation_summary(labels: Sequence[str], step: int, mean: np.ndarray, std: np.ndarray) -> str:
    if not labels:
        return "No activations recorded yet."
    ends = [
        f"{number(float(mean[index]))} with a deviation of {number(float(std[index]))} after {labels[index]}"
        for index in (0, -1)
    ]
    return f"At step {step} the activations' mean is {ends[0]} and {ends[1]}."


def _cosine_summary(labels: Sequence[str], step: int, cosine: np.ndarray) -> str:
    known = np.flatnonzero(np.isfinite(cosine))
    if not len(known):
        return "Nothing recorded of shortcuts and branches yet."
    least, most = known[cosine[known].argmin()], known[cosine[known].argmax()]
    return (
        f"At step {step} the cosine between shortcut and branch is between {number(float(cosine[least]))} "
        f"({labels[least]}) and {number(float(cosine[most]))} ({labels[most]})."
    )


def _dead_summary(labels: Sequence[str], step: int, dead: np.ndarray) -> str:
    if not labels:
        return "No dead channels recorded yet."
    known = np.where(np.isfinite(dead), dead, 0.0)
    most = int(known.argmax())
    if not known.any():
        return f"At step {step} no channel of any block is dead."
    return (
        f"At step {step} {known.mean():.1%} of the blocks' channels are dead, most of them in "
        f"{labels[most]}, {known[most]:.1%}."
    )


def _share_summary(
    labels: Sequence[str], step: int, shortcut: np.ndarray, branch: np.ndarray, verb: str
) -> str:
    known = np.isfinite(shortcut) & np.isfinite(branch)
    if not known.any():
        return "Nothing recorded of shortcuts and branches yet."
    count = int((shortcut[known] > branch[known]).sum())
    return f"At step {step} the shortcut {verb} the branch in {count} of {int(known.sum())} blocks."


def _variance_summary(labels: Sequence[str], step: int, stream: np.ndarray, branch: np.ndarray) -> str:
    if not labels:
        return "No variances recorded yet."
    known = branch[np.isfinite(branch)]
    middle = float(np.median(known)) if len(known) else float("nan")
    return (
        f"At step {step} the variance of the stream is {number(float(stream[0]))} after the first block "
        f"({labels[0]}) and {number(float(stream[-1]))} after the last ({labels[-1]}); a middling branch's is "
        f"{number(middle)}."
    )
