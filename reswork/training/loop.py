"""The training loop: a generator that tells what happens at each moment at which it is safe to look."""

import time
from collections import deque
from collections.abc import Generator
from contextlib import ExitStack
from dataclasses import asdict, replace

import torch
from torch import nn

from reswork import allocator
from reswork.datasets.dataset import Dataset
from reswork.errors import InvalidSetting
from reswork.tasks import Evaluation, Task, task_for
from reswork.training.batches import Batches
from reswork.training.checks import check_before_training, check_movable, check_shares
from reswork.training.class_weights import class_weights
from reswork.training.controls import Controls
from reswork.training.cores import CORES
from reswork.training.evaluation import evaluate
from reswork.training.events import (
    BatchReady,
    CompilingDone,
    CompilingStarted,
    EpochDone,
    EvaluationStopped,
    Event,
    GradientsReady,
    LayersUnfrozen,
    RunStarted,
    SettingChanged,
    StepDone,
)
from reswork.training.failures import NonFiniteLoss, memory_failures_explained
from reswork.training.mode_timing import choose_mode
from reswork.training.modes import Mode, choose_device, compiling_s
from reswork.training.progress import TrainingState
from reswork.training.randomness import global_state
from reswork.training.ranks import ALONE, RankFailed, Ranks
from reswork.training.recipe import Recipe, total_steps
from reswork.training.schedules import learning_rates
from reswork.training.train_step import TrainStep


def fit(
    model: nn.Module,
    data: Dataset,
    recipe: Recipe | None = None,
    *,
    task: Task | None = None,
    controls: Controls | None = None,
    start: TrainingState | None = None,
    ranks: Ranks = ALONE,
) -> Generator[Event, None, None]:
    """Train a network; each event that you pull is one moment of it, and not pulling is stopping.

    Equal recipes, data, starting weights and modes give equal losses to the last bit on the same machine,
    whatever is done between two events, as long as it leaves the model alone; also where the training was
    stopped and goes on from its state. Afterwards the model is on the
    run's device, in evaluation mode, with the averaged weights where the recipe asks for an average.

    Args:
        model: takes images (N, C, H, W) and gives what the task judges, such as logits (N, K); trained in place.
        data: moved to the device as a whole.
        recipe: None: the defaults.
        task: what is learned; None: as the data's targets say.
        controls: changes and an end that somebody asks for while it runs.
        start: go on from here instead of from the model's weights and step 0, in the mode of then.
        ranks: that train it together, each with this call. What the first one's ``controls`` and ``start`` say holds
            for all, and all end with it; the events of the others are of no use.

    Yields:
        ``RunStarted``; then for each step ``SettingChanged`` and ``LayersUnfrozen`` (if any), ``BatchReady`` and
        ``GradientsReady`` (if wanted) and ``StepDone``; ``CompilingStarted`` and ``CompilingDone`` around what is
        compiled; after each epoch and after the last step ``EpochDone``,
        or ``EvaluationStopped`` where that was cut short.

    Raises:
        InvalidSetting: before the first step, if something does not fit together.
        NonFiniteLoss: if the loss becomes NaN or infinite.
        OutOfMemory: if the memory does not suffice.

    Example:
        >>> from reswork.datasets import digits
        >>> net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
        >>> [event.step for event in fit(net, digits(), Recipe(steps=3)) if isinstance(event, StepDone)]
        [1, 2, 3]
    """
    recipe, controls, task = recipe or Recipe(), controls or Controls(), task or task_for(data)
    device, why = choose_device(ranks.device_name(recipe.device))
    with ExitStack() as stack:
        if device.type == "cpu":
            stack.callback(allocator.give_back)
            stack.enter_context(CORES.taken())
        stack.enter_context(ranks.together(device))
        stack.enter_context(global_state(device, deterministic=recipe.deterministic))
        stack.enter_context(memory_failures_explained(recipe, device))
        stack.callback(model.eval)
        check_movable(model)
        model.to(device)
        here = replace(data, train=data.train.to(device), test=data.test.to(device), extras={})
        check_before_training(model, here, recipe, task)
        task.meter(here, device)  # imports what it counts with, else a second amid the first curve
        check_shares(here, recipe, ranks.count)
        mode = _mode_of(start, device, recipe, ranks)
        if mode is None and ranks.is_first:
            mode = choose_mode(
                recipe, model, here, device, why, lambda: controls.stop, task=task, ranks=ranks.count
            )
        if ranks.count > 1:
            start = ranks.agreed_state(start)
            of_first = Mode(**ranks.agree(asdict(mode) if mode is not None else {}))
            mode = replace(of_first, device=str(device))
        assert mode is not None
        if not ranks.agree(controls.stop):
            yield from _steps(model, here, task, recipe, mode, controls, start, ranks)


def train_along(
    model: nn.Module, data: Dataset, recipe: Recipe, ranks: Ranks, task: Task | None = None
) -> int:
    """What a rank does that is not the first; it ends with the first one, which tells what went wrong.

    Returns:
        Exit status of its process: 1 where another rank failed or died without the first one's knowing.
    """
    try:
        deque(fit(model, data, recipe, task=task, ranks=ranks), maxlen=0)
    except (InvalidSetting, NonFiniteLoss):  # the first rank has the same
        return 0
    except RankFailed:
        return 1
    return 0


def _steps(
    model: nn.Module,
    data: Dataset,
    task: Task,
    recipe: Recipe,
    mode: Mode,
    controls: Controls,
    start: TrainingState | None,
    ranks: Ranks,
) -> Generator[Event, None, None]:
    model.train().to(memory_format=mode.memory_format)
    total = total_steps(recipe, len(data.train))
    batches = Batches(data, recipe, channels_last=mode.channels_last)
    rates = learning_rates(recipe, len(data.train))[1].tolist()
    weights = class_weights(recipe, data.class_counts())
    train_step = TrainStep(model, batches, task, recipe, mode, rates, start, ranks, weights)
    index = _Place(train_step, start, batches.per_epoch, total)
    examples, metric = min(recipe.batch_size, len(data.train)), task.metrics[0].name
    frozen = train_step.frozen.report()
    try:
        yield RunStarted(
            index.step,
            model,
            total,
            batches.per_epoch,
            mode.device,
            _told(mode, ranks, model),
            mode,
            task,
            index.state,
            frozen,
        )
        clock = _Clock(controls)
        if not (
            yield from _evaluation(index, train_step, data, task, mode, controls, clock, ranks)
        ):  # it may stop there
            return
        for step in range(index.step + 1, total + 1):
            epoch = (step - 1) // batches.per_epoch + 1
            for name, value in ranks.agree([*controls.changes()]):
                train_step.change(name, value, step)
                yield SettingChanged(step, name, value)
            if layers := train_step.unfreeze(step):
                yield LayersUnfrozen(step, layers)
            batch = batches.cut(step)
            train_step.seed(step)
            if controls.wants_batches:
                yield BatchReady(step, epoch, model, batch.inputs, batch.targets, task)
            compiles, begin = train_step.compiles(step), time.perf_counter()
            if compiles:
                yield CompilingStarted(step, compiling_s(model))
            loss, score = train_step.backward(batch, step)
            if compiles or train_step.failure:
                seconds, mode = time.perf_counter() - begin, train_step.mode
                told = _told(mode, ranks, model)
                yield CompilingDone(step, seconds, told, mode, train_step.failure)
                train_step.failure = ""
            del batch  # its memory is free before the next one is cut
            if controls.wants_gradients:
                yield GradientsReady(step, epoch, model)
            train_step.apply(step)
            index.made(step)
            rate, layer_rates = train_step.rate(step), train_step.layer_rates(step)
            yield StepDone(step, epoch, loss, score, metric, examples, rate, model, layer_rates)
            if not (yield from _evaluation(index, train_step, data, task, mode, controls, clock, ranks)):
                return
    finally:
        train_step.release()
        train_step.frozen.release()
        if train_step.average is not None:
            train_step.average.copy_to(model)


def _evaluation(
    index: "_Place",
    train_step: TrainStep,
    data: Dataset,
    task: Task,
    mode: Mode,
    controls: Controls,
    clock: "_Clock",
    ranks: Ranks,
) -> Generator[Event, None, bool]:
    """Evaluate where an epoch ends; false if the run was ended meanwhile."""
    if not index.wants_evaluation:
        return True
    train_step.settle()
    model, seconds = train_step.evaluated, clock.lap()
    found = evaluate(model, data, task, mode=mode, stopped=lambda: controls.stop, ranks=ranks)
    if found is None and (controls.stop or len(data.test)):
        yield EvaluationStopped(index.step, train_step.model)
        return False
    found = found or Evaluation({})  # where there are no test images
    index.evaluated = True
    yield EpochDone(index.step, index.epoch, seconds, found.metrics, found.tables, model)
    clock.lap()
    return True


class _Place:
    """Where a training stands: so many steps made, and whether the evaluation that belongs there is."""

    def __init__(
        self, train_step: TrainStep, start: TrainingState | None, per_epoch: int, total: int
    ) -> None:
        self.step = start.step if start is not None else 0
        self.evaluated = start is None or bool(start.values.get("evaluated", True))
        self._train_step, self._per_epoch, self._total = train_step, per_epoch, total

    @property
    def epoch(self) -> int:
        """Of the last step, from 1."""
        return (self.step - 1) // self._per_epoch + 1

    @property
    def wants_evaluation(self) -> bool:
        """Whether an epoch is over, or the last step made, and not evaluated yet."""
        ends = self.step % self._per_epoch == 0 or self.step == self._total
        return ends and not self.evaluated

    def made(self, step: int) -> None:
        """One more."""
        self.step, self.evaluated = step, False

    def state(self) -> TrainingState:
        """To go on from here."""
        state = self._train_step.state(self.step)
        return replace(state, values={**state.values, "evaluated": self.evaluated})


def _mode_of(start: TrainingState | None, device: torch.device, recipe: Recipe, ranks: Ranks) -> Mode | None:
    """The mode that a training had before, where it goes on on the same device."""
    kept = start.values.get("mode") if start is not None else None
    if kept is None or kept.get("device") != str(device):
        return None
    mode = Mode(**kept)
    if mode.compile and recipe.compile == "auto" and ranks.count > 1:
        return mode.uncompiled(f"not compiled any more, because {ranks.count} ranks go on with it")
    return mode


def _told(mode: Mode, ranks: Ranks, model: nn.Module) -> str:
    return "; ".join(filter(None, (str(mode), ranks.sentence(model))))


class _Clock:
    """Seconds of training: without the time that the loop was kept waiting."""

    def __init__(self, controls: Controls) -> None:
        self._controls = controls
        self._begin, self._idle_s = time.perf_counter(), controls.idle_s

    def lap(self) -> float:
        """Seconds since the last lap."""
        now, idle_s = time.perf_counter(), self._controls.idle_s
        seconds = now - self._begin - (idle_s - self._idle_s)
        self._begin, self._idle_s = now, idle_s
        return seconds
