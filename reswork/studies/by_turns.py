"""Several groups of networks that train by turns on one machine, so that all their curves grow together."""

import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from typing import TypeVar

import numpy as np
from torch import nn

from reswork.experiment.seed_runs import fresh_network
from reswork.models.config import ResNetConfig
from reswork.models.network import ResNet, resnet
from reswork.models.sheet import spec_sheet
from reswork.studies.lock_step import LockStep
from reswork.studies.settings import NetworkSettings
from reswork.studies.shelf import Shelf
from reswork.studies.study import Estimate, Partial
from reswork.studies.whole_recipe import WholeRecipe
from reswork.training.recipe import Recipe

_Training = TypeVar("_Training", LockStep, WholeRecipe)


def training_of(
    settings: NetworkSettings,
    config: ResNetConfig,
    shelf: Shelf | None,
    name: str,
    *,
    seeds: Sequence[int] | None = None,
    recipe: Recipe | None = None,
    rates: Sequence[float] | None = None,
    change: Callable[[ResNet], None] | None = None,
) -> LockStep:
    """Networks of one config with fresh weights, one for each seed, in the state in which the shelf keeps them.

    Args:
        settings: how they are trained.
        config: of the network.
        shelf: of the study; None: from the beginning.
        name: under which the shelf keeps them.
        seeds: of weights and order of images; None: all of the settings.
        recipe: None: the settings'.
        rates: learning rate of each step; None: the recipe's schedule.
        change: done to each fresh network.
    """
    data = settings.dataset()
    seeds = range(settings.seeds) if seeds is None else seeds
    one = resnet(config, input_shape=data.input_shape)
    models: list[ResNet] = [fresh_network(one, seed) for seed in seeds]  # type: ignore[misc]  # of the same class
    if change is not None:
        for model in models:
            change(model)
    return LockStep(
        models,
        data,
        recipe or settings.recipe(),
        seeds,
        start=shelf.kept(name) if shelf is not None else None,
        rates=rates,
    )


def by_turns(
    trainings: Mapping[str, _Training],
    shelf: Shelf,
    numbers: dict[str, np.ndarray],
    note: Callable[[str, _Training], None],
    span: tuple[float, float] = (0.0, 1.0),
) -> Generator[Partial, None, None]:
    """Train them to their ends, each an epoch and then the next; a stop keeps their states on the shelf.

    Args:
        trainings: by the name under which the state of each is kept, such as ``"depth-20"``.
        shelf: of the study.
        numbers: what the study has so far, to be yielded.
        note: called with name and training after each epoch, to write down what is wanted of it.
        span: shares of the study's work at which they begin and end.

    Yields:
        After each step.
    """
    work = {name: _convolutions(each) for name, each in trainings.items()}
    total = sum(work[name] * each.total for name, each in trainings.items())
    try:
        while not all(each.done for each in trainings.values()):
            for name, training in trainings.items():
                epochs = -(-training.total // training.per_epoch)
                while not training.done:
                    training.make_step()
                    if training.ends_epoch:
                        note(name, training)
                    done = sum(work[each] * trainings[each].step for each in trainings) / total
                    epoch = -(-training.step // training.per_epoch)
                    yield Partial(
                        numbers,
                        span[0] + (span[1] - span[0]) * done,
                        f"{name.replace('-', ' ')}, epoch {epoch} of {epochs}",
                    )
                    if training.ends_epoch:
                        break
    finally:
        over = all(each.done for each in trainings.values())
        for name, training in trainings.items():
            if over:
                shelf.drop(name)
            else:
                shelf.keep(name, training.state())


def training_cost(trainings: Iterable[LockStep]) -> Estimate:
    """What they will cost, from three steps of each; they need not exist at the same time."""
    seconds, size = 0.0, 0.0
    for training in trainings:
        training.make_step()  # the first one prepares things
        begun = time.perf_counter()
        steps = min(2, training.total)
        for _ in range(min(steps, training.total - 1)):
            training.make_step()
        each = (time.perf_counter() - begun) / steps
        training.test()
        evaluation = time.perf_counter() - begun - each * steps
        seconds += each * training.total + evaluation * -(-training.total // training.per_epoch)
        sheet = spec_sheet(training.net.net.config, training.data.input_shape)
        size = max(size, training.net.count * (128 * sheet.activation_bytes + 16 * sheet.parameters))
    return Estimate(seconds, size)


def _convolutions(training: LockStep | WholeRecipe) -> int:
    """As many as decide how long a step takes, roughly."""
    return sum(isinstance(module, nn.Conv2d) for module in training.net.modules())
