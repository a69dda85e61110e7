"""Loss and score of every training step."""

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
