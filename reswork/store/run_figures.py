"""All figures that a run's record is enough for."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reswork import figures
from reswork.history import History
from reswork.recorders import CATALOGUE
from reswork.results.metrics import Metric
from reswork.store.saved_run import SavedRun

Figure = Any  # plotly is known to the figures alone


def curves(
    histories: Mapping[str, History | Sequence[History]], metrics: Sequence[Metric]
) -> dict[str, Figure]:
    """Loss and headline metric of several runs over each other, by title."""
    drawn = {"Loss": figures.loss_curves(histories)}
    if metrics:
        drawn[f"{metrics[0].label[0].upper()}{metrics[0].label[1:]}"] = figures.metric_curves(
            histories, metrics
        )
    return drawn


def metrics_among(runs: Sequence[SavedRun]) -> tuple[Metric, ...]:
    """What judges most of some runs, the first one's where there are several tasks."""
    return next((run.metrics for run in runs if run.metrics), ())


def figures_of_table(
    confusion: np.ndarray, classes: Sequence[str], kind: str, of: str = "pictures"
) -> dict[str, Figure]:
    """What is drawn of an evaluation's table: which classes are taken for which; of pixels first each class's IoU.

    Args:
        confusion: (K, K), rows are the true classes.
        classes: (K,) names.
        kind: of the task.
        of: what was counted, in the plural, where that are no pixels.
    """
    if kind != "segmentation":
        return {"Confusion matrix": figures.confusion_matrix(confusion, classes, of=of)}
    return {
        "IoU of each class": figures.class_iou(confusion, classes),
        "Confusion of pixels": figures.confusion_matrix(confusion, classes, of="pixels"),
    }


def figures_of(run: SavedRun) -> dict[str, Figure]:
    """By title: what is drawn of one run alone, where it was recorded, and its confusion matrix."""
    history = run.history
    recorded = {*history.names, *history.groups}
    views = [view for quantity in CATALOGUE for view in quantity.views if view.needs in recorded]
    found: dict[str, Figure] = {view.title: getattr(figures, view.figure)(history) for view in views}
    kept = history.array("confusion/test")
    if kept is not None and kept[1].shape == (len(run.classes), len(run.classes)):
        found |= figures_of_table(kept[1], run.classes, run.task_kind)
    return found
