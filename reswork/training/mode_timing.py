"""A brief trial of the ways to compute that are possible here, on a throw-away copy of the model."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import nn

from reswork.datasets.dataset import Dataset
from reswork.models.quick_copy import quick_copy
from reswork.tasks import Task, task_for
from reswork.training.batches import Batch, Batches
from reswork.training.modes import Mode, Precision, has_cpu_bf16, mode_by_rule, with_compilation
from reswork.training.recipe import Recipe, total_steps

_LEAST_STEPS = 60  # a shorter run would spend more on the trial than it could gain
_BUDGET_S = 1.1  # after so long no more step is begun, whatever is known by then
_STEP_S = 0.12  # the batch is cut down so that one step takes about so long
_FIRST_IMAGES = 8
_HOPELESS = 1.6  # slower than the best by so much: not timed again
_WORTH = 0.97  # bf16 must take less than this share of fp32's time
_WORTH_FORMAT = 0.9  # and the unusual memory format of the usual one's: a few images tell less of it


def choose_mode(
    recipe: Recipe,
    model: nn.Module,
    data: Dataset,
    device: torch.device,
    why: str,
    stopped: Callable[[], bool] = lambda: False,
    *,
    task: Task | None = None,
    ranks: int = 1,
) -> Mode:
    """The mode of a run: what the recipe asks for, and the rest by rule or by a trial of about a second.

    On a GPU the precision follows from its hardware; on a processor the possible modes are timed in turns,
    unless the run is short or must be repeatable. Where the time does not suffice for all, those count that were
    timed. Model, buffers and random state stay as they are.

    Args:
        recipe: settings that are not ``"auto"`` win.
        model: on its device.
        data: on the same device.
        device: chosen before.
        why: the device's reason, which begins the sentence.
        stopped: asked between steps; true ends the trial early.
        task: what is learned; None: as the data's targets say.
        ranks: processes that make each step together.

    Returns:
        The mode, with its reason.
    """
    rule = mode_by_rule(recipe, model, device)
    steps = total_steps(recipe, len(data.train))
    modes = _candidates(recipe, rule, device)
    short = steps < _LEAST_STEPS
    if recipe.deterministic or short or (len(modes) == 1 and recipe.compile != "auto"):
        few = f"only {steps} step{'s' * (steps > 1)}" if short else ""
        cause = "deterministic" if recipe.deterministic else few
        reason = f"{why}; {rule.reason}" + (f", not timed ({cause})" if cause else "")
        return with_compilation(replace(rule, reason=reason), recipe, model, None, steps, ranks=ranks)
    trial, end = _Trial(task or task_for(data), recipe), time.perf_counter() + _BUDGET_S
    copied = _copied(model, rule)
    batch = _some_images(trial, copied, data, rule)
    copies = {rule.memory_format: copied}
    seconds = _time_in_turns(
        modes, model, copies, batch, trial, lambda: stopped() or time.perf_counter() > end
    )
    if len(seconds) < min(2, len(modes)):  # one alone is no comparison
        reason = f"{why}; {rule.reason}, not timed, because a step takes too long for a trial"
        return with_compilation(replace(rule, reason=reason), recipe, model, None, steps, ranks=ranks)
    best = _fastest(seconds, modes[0].channels_last)
    rates = ", ".join(
        f"{mode.precision}{' channels_last' if mode.channels_last else ''} {len(batch.inputs) / took:.0f}"
        for mode, took in seconds.items()
    )
    timed = f"timed here, per second: {rates}" if len(seconds) > 1 else rule.reason
    chosen = replace(best, reason=f"{why}; {timed}")
    whole = min(recipe.batch_size, len(data.train)) / len(batch.inputs)
    return with_compilation(chosen, recipe, model, seconds[best] * whole, steps, ranks=ranks)


def _candidates(recipe: Recipe, rule: Mode, device: torch.device) -> list[Mode]:
    """The modes worth trying: on a processor both precisions, if it has bf16, in both memory formats."""
    if device.type != "cpu":
        return [rule]
    wanted: list[Precision] = (
        ["fp32", "bf16"] if recipe.precision == "auto" and has_cpu_bf16() else [rule.precision]
    )
    formats = [True, False] if recipe.channels_last == "auto" and rule.channels_last else [rule.channels_last]
    return [replace(rule, precision=each, channels_last=form) for form in formats for each in wanted]


@dataclass(frozen=True)
class _Trial:
    """What a step of the run computes."""

    task: Task
    recipe: Recipe


def _some_images(trial: _Trial, model: nn.Module, data: Dataset, mode: Mode) -> Batch:
    """A real batch, or as many of its images as take about 0.12 s, found by two steps of a few images."""
    recipe = trial.recipe
    whole = replace(recipe, image_scale=1.0)
    batch = Batches(data, whole, channels_last=False).cut(1).parts(recipe.accumulate)[0]
    few = _in_format(Batch(batch.inputs[:_FIRST_IMAGES], batch.targets[:_FIRST_IMAGES]), mode)
    took = min(_step_seconds(model, mode, few, trial) for _ in range(2))
    count = max(_FIRST_IMAGES, round(len(few.inputs) * _STEP_S / took))
    return Batch(batch.inputs[:count], batch.targets[:count])


def _time_in_turns(
    modes: list[Mode],
    model: nn.Module,
    copies: dict[torch.memory_format, nn.Module],
    batch: Batch,
    trial: _Trial,
    ends: Callable[[], bool],
) -> dict[Mode, float]:
    """Shortest seconds of one step in each mode, without its first, which warms up; until it is to end.

    The first memory format comes before the other one, so that a trial that is cut short has compared its precisions.
    A copy of the model serves all precisions: what a step changes in it costs no time.
    """
    warm: set[Mode] = set()
    seconds: dict[Mode, float] = {}
    first = [mode for mode in modes if mode.channels_last == modes[0].channels_last]
    others = [mode for mode in modes if mode not in first]
    for mode in [*first, *first, *others, *others, *modes, *modes]:
        if ends():
            break
        if seconds.get(mode, 0.0) > _HOPELESS * min(seconds.values(), default=0.0):
            continue
        if mode.memory_format not in copies:
            copies[mode.memory_format] = _copied(model, mode)
        took = _step_seconds(copies[mode.memory_format], mode, _in_format(batch, mode), trial)
        if mode in warm:
            seconds[mode] = min(took, seconds.get(mode, took))
        warm.add(mode)
    return seconds


def _copied(model: nn.Module, mode: Mode) -> nn.Module:
    return quick_copy(model).train().to(memory_format=mode.memory_format)


def _in_format(batch: Batch, mode: Mode) -> Batch:
    return replace(batch, inputs=batch.inputs.to(memory_format=mode.memory_format))


def _step_seconds(model: nn.Module, mode: Mode, batch: Batch, trial: _Trial) -> float:
    device, task = batch.inputs.device, trial.task
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        _wait(device)
        begin = time.perf_counter()
        with mode.autocast():
            output = task.call(model, batch.inputs, batch.targets)
        task.loss(output, batch.targets, trial.recipe).backward()
        _wait(device)
        seconds = time.perf_counter() - begin
    model.zero_grad()
    return seconds


def _fastest(seconds: dict[Mode, float], usual: bool) -> Mode:
    """The mode with the shortest step; fp32 where bf16 gains almost nothing, the usual format where the other does."""
    least_usual = min(
        (took for mode, took in seconds.items() if mode.channels_last == usual), default=float("inf")
    )
    seconds = {
        mode: took
        for mode, took in seconds.items()
        if mode.channels_last == usual or took < _WORTH_FORMAT * least_usual
    }
    best = min(seconds, key=lambda mode: seconds[mode])
    plain = [mode for mode in seconds if mode.precision == "fp32"]
    if best.precision == "fp32" or not plain:
        return best
    least = min(plain, key=lambda mode: seconds[mode])
    return best if seconds[best] < _WORTH * seconds[least] else least


def _wait(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
