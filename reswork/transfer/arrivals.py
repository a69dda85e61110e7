"""`forgetting`: new classes or new data arrive, and a trained network learns on."""

from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from reswork.datasets.dataset import Dataset, Split
from reswork.errors import InvalidSetting
from reswork.experiment.presets import FINE_TUNING
from reswork.results.transfer import Forgetting
from reswork.training.recipe import Recipe
from reswork.transfer.adoption import adopt
from reswork.transfer.sources import Source, open_source
from reswork.transfer.ways import Way, check_labels, check_seeds, check_ways, learned, share_right

ARRIVALS = (
    Way("new images alone"),
    Way("a tenth of the rate", rate=0.1),
    Way("body frozen", frozen_to="body", norms="kept"),
    Way("20 old of a class replayed", replay=20),
    Way("replayed, a tenth of the rate", replay=20, rate=0.1),
)
EPOCHS = 3


class Part(NamedTuple):
    """How far a comparison is."""

    found: Forgetting
    share: float  # 0 to 1
    told: str


def forgetting(
    source: Any,
    old: Dataset,
    new: Dataset,
    recipe: Recipe | None = None,
    *,
    seeds: int = 3,
    ways: Sequence[Way] = ARRIVALS,
) -> Forgetting:
    """What a network that knows old data forgets while it learns new ones, and what keeps it from that.

    Where the new data have other classes, the network gets answers for both; where they have the same, only the images
    are new. Both are judged among all classes, by the test images of each.

    Args:
        source: trained on ``old``: as `reswork.fine_tune` takes it, and its classes must be known.
        old: what it knows.
        new: what arrives.
        recipe: of all ways, before what a `Way` changes; None: 3 epochs of batches of 32.
        seeds: how often each is trained.
        ways: the rows.

    Raises:
        InvalidSetting: for data that do not fit, or a source that knows none of the old classes.
    """
    parts = forgetting_steps(source, old, new, recipe, seeds=seeds, ways=ways)
    return deque(parts, maxlen=1).pop().found


def forgetting_steps(
    source: Any,
    old: Dataset,
    new: Dataset,
    recipe: Recipe | None = None,
    *,
    seeds: int = 3,
    ways: Sequence[Way] = ARRIVALS,
) -> Generator[Part, None, None]:
    """As `forgetting`, step by step, so that it can be watched and given up."""
    rows, plan = tuple(ways), replace(FINE_TUNING.recipe, epochs=EPOCHS) if recipe is None else recipe
    check_seeds(seeds)
    check_ways(rows)
    trained = _knowing(open_source(source), old)
    whole = joined(old, new)
    tests = Split(whole.test.inputs[: len(old.test)], whole.test.targets[: len(old.test)])
    others = Split(whole.test.inputs[len(old.test) :], whole.test.targets[len(old.test) :])
    shape = (len(rows), seeds, _epochs(plan) + 1)
    before, after = np.full(shape, np.nan), np.full(shape, np.nan)
    names = tuple(way.name for way in rows)
    cells = [(seed, row) for seed in range(seeds) for row in range(len(rows))]
    for number, (seed, row) in enumerate(cells):
        way, told = rows[row], f"seed {seed + 1} of {seeds}, {rows[row].name}"
        some = joined(old, new, replay=way.replay, seed=seed)
        model = adopt(trained, some, head="extended", norms=way.norms, seed=seed).model
        mine = way.recipe(model, plan, seed)
        per_epoch = max(1, len(some.train) // mine.batch_size)
        before[row, seed, 0], after[row, seed, 0] = (
            share_right(model, whole, each) for each in (tests, others)
        )
        for step in learned(model, some, mine):
            epoch = step // per_epoch
            if step % per_epoch == 0 and epoch < shape[2]:
                before[row, seed, epoch] = share_right(model, whole, tests)
                after[row, seed, epoch] = share_right(model, whole, others)
            found = Forgetting(names, before.copy(), after.copy(), old.name, new.name)
            yield Part(found, (number + min(1.0, epoch / (shape[2] - 1))) / len(cells), told)


def joined(old: Dataset, new: Dataset, *, replay: int = 0, seed: int = 0) -> Dataset:
    """Old and new classes together: the new training images with some old ones, and the test images of both.

    Classes of the same name are one; images are normalised as the old ones were.

    Args:
        old: what is known.
        new: what arrives; of the same shape.
        replay: training images of each old class that are kept, at most all.
        seed: of their choice.

    Returns:
        A data set whose first test images are those of ``old``.

    Raises:
        InvalidSetting: for other shapes, or targets that are no labels.
    """
    check_labels(old)
    check_labels(new)
    if old.input_shape != new.input_shape:
        raise InvalidSetting(
            "new",
            f"the images of {new.name} are {new.input_shape} and those of {old.name} {old.input_shape}; give both the "
            "same shape",
        )
    classes = (*old.classes, *(name for name in new.classes if name not in old.classes))
    numbers = torch.tensor([classes.index(name) for name in new.classes])
    kept = _some_of_each(old.train.targets.cpu(), replay, seed)
    train = Split(
        torch.cat([new.train.inputs, old.train.inputs[kept]]),
        torch.cat([numbers[new.train.targets], old.train.targets[kept]]),
    )
    test = Split(
        torch.cat([old.test.inputs, new.test.inputs]),
        torch.cat([old.test.targets, numbers[new.test.targets]]),
    )
    return replace(old, name=f"{old.name} and {new.name}", train=train, test=test, classes=classes, extras={})


def _some_of_each(labels: Tensor, count: int, seed: int) -> Tensor:
    """Places of so many images of each class, by chance."""
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    places = [order[labels[order] == label][:count] for label in labels.unique()]
    return torch.cat(places).sort().values if count else torch.zeros(0, dtype=torch.int64)


def _knowing(source: Source, old: Dataset) -> Source:
    """The source with the names of its classes, which a network at hand does not bring."""
    return source if source.classes else replace(source, classes=old.classes)


def _epochs(recipe: Recipe) -> int:
    if recipe.steps is not None:
        raise InvalidSetting("steps", "accuracies are taken after each epoch; give epochs= and not steps=")
    return recipe.epochs
