"""`trial`: a training begun and given up after some seconds, to know how long its steps take."""

import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import psutil
import torch
from torch import nn

from reswork.datasets.dataset import Dataset
from reswork.errors import InvalidSetting
from reswork.experiment.launch import train
from reswork.history import History
from reswork.planning.energy import PackageEnergy
from reswork.recorders import default_recorders, made_by
from reswork.tasks import task_for
from reswork.training.evaluation import evaluate
from reswork.training.events import EpochDone, Event, RunStarted, StepDone
from reswork.training.modes import Mode
from reswork.training.recipe import Recipe, steps_per_epoch, total_steps
from reswork.training.recorder import BaseRecorder, Recorder

_WARM = 3  # steps that do not count
_LEAST = 5  # that do
_EVALUATED = 1000  # test images
_BLOCKS = 5  # of steps, whose means tell how sure the mean of all is


@dataclass(frozen=True)
class Trial:
    """What some steps of a training took here.

    Attributes:
        steps: that were timed.
        step_s: seconds of one, on average, with all that a run records.
        processor_s: seconds that processors computed for one, all threads together.
        spread_s: twice the standard error of that, from the means of five blocks of steps.
        start_s: from the call to the first step, and what the first steps took more than others.
        evaluation_s: of one evaluation on the test images.
        end_s: from the last step to the end.
        mode: in which it computed.
        watts: that the processors drew meanwhile, all programs together; None: nobody can tell here.
        memory_bytes: that this process took more at most.
    """

    steps: int
    step_s: float
    processor_s: float
    spread_s: float
    start_s: float
    evaluation_s: float
    end_s: float
    mode: Mode
    watts: float | None
    memory_bytes: int

    def seconds(self, recipe: Recipe, images: int) -> float:
        """Of the whole training."""
        return self.rest_s(recipe, images) + total_steps(recipe, images) * self.step_s

    def rest_s(self, recipe: Recipe, images: int) -> float:
        """Of all that is no step."""
        evaluations = -(-total_steps(recipe, images) // steps_per_epoch(recipe, images))
        return self.start_s + evaluations * self.evaluation_s + self.end_s


def trial(model: nn.Module, data: Dataset, recipe: Recipe, seconds: float = 3.0) -> Trial:
    """Begin a training as `train` does, with all that it records and writes, and give it up.

    Args:
        model: is trained; hand over a copy.
        data: what to learn.
        recipe: how; ``"auto"`` settings are decided as in the whole run.
        seconds: of steps.

    Raises:
        InvalidSetting: what `train` refuses.
    """
    _imported(data)
    watch, process, energy = _Watch(), psutil.Process(), PackageEnergy()
    before = most = process.memory_info().rss

    def watching(_history: History) -> Recorder:
        return watch

    with tempfile.TemporaryDirectory(prefix="reswork-plan-") as folder:
        begin = time.perf_counter()
        run = train(
            model, data, recipe, directory=Path(folder) / "trial", recorders=[default_recorders, watching]
        )
        while not run.done and not watch.suffices(seconds):
            time.sleep(0.01)
            most = max(most, process.memory_info().rss)
        joules, end = energy.joules(), time.perf_counter()
        run.stop()
        run.wait()
        over = time.perf_counter()
    if watch.mode is None or not watch.steps:
        raise InvalidSetting("recipe", "the training ended before its first step; try rw.train to see why")
    warm_steps = min(_WARM, len(watch.steps) - 1)
    counted = np.array(watch.steps[warm_steps:])
    step_s, warm = float(counted.mean()), sum(watch.steps[:warm_steps])
    blocks = [part.mean() for part in np.array_split(counted, min(_BLOCKS, len(counted)))]
    spread = 2 * float(np.std(blocks, ddof=1)) / len(blocks) ** 0.5 if len(blocks) > 1 else step_s
    return Trial(
        steps=len(counted),
        step_s=step_s,
        processor_s=(watch.processor[-1] - watch.processor[warm_steps - 1]) / len(counted)
        if warm_steps
        else step_s,
        spread_s=spread,
        start_s=watch.started - begin + warm - step_s * warm_steps,
        evaluation_s=_evaluation_s(model, data, watch),
        end_s=max(0.0, over - watch.last),
        mode=watch.mode,
        watts=None if joules is None else joules / (end - begin),
        memory_bytes=most - before,
    )


def _imported(data: Dataset) -> None:
    """Import what a training imports when it begins: only the first one of a process pays for it."""
    task_for(data).meter(data, torch.device("cpu"))
    made_by([default_recorders], History())


class _Watch(BaseRecorder):
    """Writes down when each step was over."""

    events = (RunStarted, StepDone, EpochDone)

    def __init__(self) -> None:
        self.steps: list[float] = []
        self.processor: list[float] = []  # at the end of each step
        self.evaluations: list[float] = []
        self.mode: Mode | None = None
        self.started = self.last = 0.0

    def suffices(self, seconds: float) -> bool:
        """Whether enough steps were made."""
        return len(self.steps) >= _WARM + _LEAST and sum(self.steps[_WARM:]) >= seconds

    def __call__(self, event: Event) -> None:
        now = time.perf_counter()
        if isinstance(event, RunStarted):
            self.started, self.mode = now, event.choice
        elif isinstance(event, StepDone):
            self.steps.append(now - self.last)
            self.processor.append(time.process_time())
        else:
            self.evaluations.append(now - self.last)
        self.last = now


def _evaluation_s(model: nn.Module, data: Dataset, watch: _Watch) -> float:
    """Seconds of one evaluation: as the run made it, else of some of the images, counted up."""
    if watch.evaluations:
        return float(np.mean(watch.evaluations))
    assert watch.mode is not None
    count = min(_EVALUATED, len(data.test))
    if not count:
        return 0.0
    train, test = data.train.take(slice(0, 1)), data.test.take(slice(0, count))
    few = replace(data, train=train, test=test, extras={}).to(torch.device(watch.mode.device))
    taken = []
    for _ in range(2):  # the first one warms up
        begin = time.perf_counter()
        evaluate(model, few, task_for(data), mode=watch.mode)
        taken.append(time.perf_counter() - begin)
    return taken[-1] * len(data.test) / count
