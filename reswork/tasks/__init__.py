"""Tasks: what is learned, how it is judged and what an output says."""

from reswork.tasks.classification import Classification
from reswork.tasks.kinds import CLASSIFICATION, TASKS, metrics_of, task_for, task_of_kind
from reswork.tasks.task import Evaluation, Meter, Task

__all__ = [
    "CLASSIFICATION",
    "TASKS",
    "Classification",
    "Evaluation",
    "Meter",
    "Task",
    "metrics_of",
    "task_for",
    "task_of_kind",
]
