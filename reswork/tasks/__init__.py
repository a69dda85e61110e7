"""Tasks: what is learned, how it is judged and what an output says."""

from reswork.tasks.anomalies import Alarms, Anomalies, alarms, anomaly_metrics
from reswork.tasks.baselines import Baseline, baselines, cheapest, intervals, judged, mase
from reswork.tasks.classification import Classification
from reswork.tasks.detection import Detection
from reswork.tasks.explained import explained_model
from reswork.tasks.kinds import CLASSIFICATION, TASKS, config_for, metrics_of, task_for, task_of_kind
from reswork.tasks.regression import Regression
from reswork.tasks.restoration import Restoration
from reswork.tasks.roc import Roc, roc
from reswork.tasks.segmentation import Segmentation
from reswork.tasks.task import Evaluation, Meter, Task
from reswork.tasks.verification import Verification, verification_metrics

__all__ = [
    "CLASSIFICATION",
    "TASKS",
    "Alarms",
    "Anomalies",
    "Baseline",
    "Classification",
    "Detection",
    "Evaluation",
    "Meter",
    "Regression",
    "Restoration",
    "Roc",
    "Segmentation",
    "Task",
    "Verification",
    "alarms",
    "anomaly_metrics",
    "baselines",
    "cheapest",
    "config_for",
    "explained_model",
    "intervals",
    "judged",
    "mase",
    "metrics_of",
    "roc",
    "task_for",
    "task_of_kind",
    "verification_metrics",
]
