"""Losses, scores and learning rate: what the training itself tells of its steps and epochs."""

import numpy as np
import torch

from reswork.history import History
from reswork.recorders.collector import Collector
from reswork.training.events import CheckpointDue, EpochDone, Event, RunEnded, RunPaused, StepDone
from reswork.training.recorder import BaseRecorder, Recorder


def losses(history: History) -> Recorder:
    """A recorder of ``loss/train`` and the headline metric, such as ``top1/train``, of each batch before its update.

    Read from them whether the net learns at all and how noisy its batches are.
    """
    return _Losses(history)


class _Losses(BaseRecorder):
    name = "losses"
    events = (StepDone, CheckpointDue, EpochDone, RunPaused, RunEnded)

    def __init__(self, history: History) -> None:
        self._history = history
        self._collector = Collector(self._write)
        self._metric = ""

    def __call__(self, event: Event) -> None:
        if isinstance(event, StepDone):
            self._metric = event.metric
            self._collector.add(event.step, torch.stack((event.loss, event.score)))
        else:
            self._collector.flush()

    def _write(self, steps: np.ndarray, values: np.ndarray) -> None:  # (n,), (n, 2)
        self._history.extend("loss/train", steps, values[:, 0])
        self._history.extend(f"{self._metric}/train", steps, values[:, 1])


def evaluation(history: History) -> Recorder:
    """A recorder of each epoch's test metrics, its number and seconds, and of the last tables.

    Series ``loss/test``, ``epoch``, ``seconds/epoch`` (training alone) and those of the task's metrics, such as
    ``top1/test``; arrays as the task has them, such as ``confusion/test`` (K, K), rows are the true classes.
    """
    return _Evaluation(history)


class _Evaluation(BaseRecorder):
    name = "evaluation"
    events = (EpochDone,)

    def __init__(self, history: History) -> None:
        self._history = history

    def __call__(self, event: Event) -> None:
        if isinstance(event, EpochDone):
            metrics = {f"{name}/test": value for name, value in event.metrics.items()}
            self._history.record(
                event.step, {**metrics, "epoch": event.epoch, "seconds/epoch": event.seconds}
            )
            for name, table in event.tables.items():
                self._history.keep(f"{name}/test", event.step, table)


def learning_rate(history: History) -> Recorder:
    """A recorder of ``learning_rate``, as the update used it: schedule and live changes together.

    Layers with a rate of their own (``Recipe.layer_rates``) have a series each, ``learning_rate/<layer>``, which begins
    when they are trained.
    """
    return _LearningRate(history)


class _LearningRate(BaseRecorder):
    name = "learning_rate"
    events = (StepDone,)

    def __init__(self, history: History) -> None:
        self._history = history

    def __call__(self, event: Event) -> None:
        if isinstance(event, StepDone):
            layers = {f"learning_rate/{layer}": rate for layer, rate in event.layer_rates.items()}
            self._history.record(event.step, {"learning_rate": event.learning_rate, **layers})
