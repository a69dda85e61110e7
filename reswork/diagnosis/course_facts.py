"""What a history tells of a training, thinned to what the rules ask about."""

import numpy as np

from reswork.diagnosis.facts import Course
from reswork.history import History

_POINTS, _ROWS = 256, 12


def course_facts(history: History, metric: str, classes: int, failure: str = "") -> Course:
    """The course of a training so far.

    Args:
        history: of the run.
        metric: name of the headline metric, such as ``"top1"``.
        classes: how many there are.
        failure: what ended the run, where something did.
    """
    loss = history.series("loss/train", max_points=_POINTS)
    gradients, updates, norms, branch, shortcut = (
        history.vectors(group, max_points=_ROWS)
        for group in ("grad_norm", "update_ratio", "weight_norm", "branch_size", "shortcut_size")
    )
    return Course(
        classes=classes,
        steps=loss.steps,
        loss=loss.values,
        score=history.series(f"{metric}/train", max_points=_POINTS).values,
        rates=_even(history.series("learning_rate").values),
        test_loss=_even(history.series("loss/test").values),
        test_score=_even(history.series(f"{metric}/test").values),
        layers=gradients.labels or updates.labels,
        gradients=gradients.values,
        updates=updates.values,
        norms=norms.values,
        branch=branch.values,
        shortcut=shortcut.values,
        failure=failure,
    )


def _even(values: np.ndarray, points: int = 64) -> np.ndarray:
    """At most so many, evenly over all, first and last among them."""
    return (
        values
        if len(values) <= points
        else values[np.linspace(0, len(values) - 1, points).round().astype(int)]
    )
