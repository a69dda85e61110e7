"""The tasks that reswork knows, by kind and by data set."""

from typing import Any

from reswork.datasets.dataset import Dataset
from reswork.errors import InvalidSetting
from reswork.models.config import ResNetConfig
from reswork.results.metrics import Metric
from reswork.tasks.anomalies import Anomalies
from reswork.tasks.classification import Classification
from reswork.tasks.detection import Detection
from reswork.tasks.regression import Regression
from reswork.tasks.restoration import Restoration
from reswork.tasks.segmentation import Segmentation
from reswork.tasks.task import Task
from reswork.tasks.verification import Verification

CLASSIFICATION = "classification"  # what runs learned that were stored before there were tasks
TASKS: dict[str, Task] = {
    task.kind: task
    for task in (
        Classification(),
        Segmentation(),
        Regression(),
        Restoration(),
        Verification(),
        Anomalies(),
        Detection(),
    )
}
_BY_TARGETS: dict[str, Task] = {
    "labels": TASKS[CLASSIFICATION],
    "masks": TASKS["segmentation"],
    "values": TASKS["regression"],
    "images": TASKS["restoration"],
    "boxes": TASKS["detection"],
}


def task_for(data: Dataset) -> Task:
    """What is to be learned from a data set: its own task where it has one, else by its targets.

    Example:
        >>> from reswork.datasets import digits
        >>> task_for(digits()).kind
        'classification'
    """
    return _BY_TARGETS[data.target_kind] if data.task is None else task_of_kind(data.task)


def task_of_kind(kind: str) -> Task:
    """The task of a run that was stored.

    Raises:
        InvalidSetting: for one that reswork does not have.
    """
    if kind not in TASKS:
        raise InvalidSetting(
            "task",
            f"task={kind!r} is not one of {', '.join(map(repr, TASKS))}; hand the task over as task=",
        )
    return TASKS[kind]


def metrics_of(kind: str) -> tuple[Metric, ...]:
    """What judges the models of a task, the headline first; empty for one that reswork does not have."""
    return TASKS[kind].metrics if kind in TASKS else ()


def config_for(data: Dataset, **settings: Any) -> ResNetConfig:
    """A network that fits a data set: what goes in, how many answers there are, and which head.

    Args:
        data: that it shall learn.
        **settings: of `ResNetConfig`, such as ``depth=20, residual=False``; depth is 8 unless told, where inputs are
            no images.

    Raises:
        InvalidSetting: for settings that make no network.

    Example:
        >>> from reswork.datasets import digits
        >>> config_for(digits(), depth=20).in_channels
        1
    """
    depth = {} if data.input_kind == "images" else {"depth": 8}
    return ResNetConfig(**(depth | task_for(data).head(data) | settings))
