"""`worth`: what the weights of a trained network are worth for other data, against training from nothing."""

from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from torch import nn

from reswork.datasets.dataset import Dataset
from reswork.errors import InvalidSetting
from reswork.experiment.presets import FINE_TUNING
from reswork.experiment.seed_runs import fresh_network
from reswork.results.transfer import Worth
from reswork.training.recipe import Recipe
from reswork.transfer.adoption import adopt
from reswork.transfer.sources import Source, open_source
from reswork.transfer.ways import Way, check_labels, check_seeds, check_ways, learned, share_right

FROM_NOTHING = Way("from nothing", begins="nothing")
WAYS = (FROM_NOTHING, Way("fine-tuned"), Way("the head alone", frozen_to="body"))
SHORT = replace(FINE_TUNING.recipe, steps=150)  # as many for few images as for many


class Part(NamedTuple):
    """How far a comparison is."""

    found: Worth
    share: float  # 0 to 1
    told: str


def worth(
    source: Any,
    data: Dataset,
    recipe: Recipe | None = None,
    *,
    images: Sequence[int] = (20, 100, 500),
    seeds: int = 3,
    ways: Sequence[Way] = WAYS,
    download: bool = False,
) -> Worth:
    """Accuracy with so many images of each class, beginning with trained weights and with nothing.

    Each seed draws its own images, which all ways get. Training from nothing has the source's network with new weights.

    Args:
        source: as `reswork.fine_tune` takes it.
        data: with labels; its test split judges.
        recipe: of all ways, before what a `Way` changes; None: 150 steps of 32 images.
        images: of each class, for training.
        seeds: how often each is trained.
        ways: the rows; one begins with ``"nothing"``, and is put first.
        download: fetch published weights that are not here.

    Raises:
        InvalidSetting: for a source that does not fit, data without labels, more images than there are.
    """
    parts = worth_steps(source, data, recipe, images=images, seeds=seeds, ways=ways, download=download)
    return deque(parts, maxlen=1).pop().found


def worth_steps(
    source: Any,
    data: Dataset,
    recipe: Recipe | None = None,
    *,
    images: Sequence[int] = (20, 100, 500),
    seeds: int = 3,
    ways: Sequence[Way] = WAYS,
    download: bool = False,
) -> Generator[Part, None, None]:
    """As `worth`, step by step, so that it can be watched and given up."""
    check_labels(data)
    check_seeds(seeds)
    check_ways(tuple(ways))
    rows = tuple(sorted(ways, key=lambda way: way.begins != "nothing"))
    if rows[0].begins != "nothing":
        raise InvalidSetting("ways", "nothing to compare with: one way must have begins='nothing'")
    counts = _counts(images, data)
    trained = open_source(source, download=download)
    plan = SHORT if recipe is None else recipe
    accuracy = np.full((len(rows), len(counts), seeds), np.nan)
    names = tuple(way.name for way in rows)
    cells = [
        (seed, place, row)
        for seed in range(seeds)
        for place in range(len(counts))
        for row in range(len(rows))
    ]
    for number, (seed, place, row) in enumerate(cells):
        way, some = rows[row], data.subset(train=counts[place] * len(data.classes), seed=seed)
        told = f"seed {seed + 1} of {seeds}, {counts[place]} images of a class, {way.name}"
        model = _network(trained, some, way, seed)
        for _ in learned(model, some, way.recipe(model, plan, seed)):
            yield Part(
                Worth(names, counts, accuracy.copy(), trained.sentence, data.name), number / len(cells), told
            )
        accuracy[row, place, seed] = share_right(model, data, data.test)
        share = (number + 1) / len(cells)
        yield Part(Worth(names, counts, accuracy.copy(), trained.sentence, data.name), share, told)


def _network(source: Source, data: Dataset, way: Way, seed: int) -> nn.Module:
    model = adopt(source, data, norms=way.norms, seed=seed).model
    return model if way.begins == "source" else fresh_network(model, seed).train()


def _counts(images: Sequence[int], data: Dataset) -> tuple[int, ...]:
    fewest = int(data.class_counts("train").min())
    for count in images:
        if isinstance(count, bool) or not isinstance(count, int) or not 2 <= count <= fewest:
            raise InvalidSetting(
                "images",
                f"images={count!r} of each class: choose whole numbers from 2 to {fewest:,}, the images of the rarest "
                f"class of {data.name}",
            )
    return tuple(sorted(set(images)))
