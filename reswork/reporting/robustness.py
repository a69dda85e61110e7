"""The headline metric of a model under images that get worse."""

from collections.abc import Callable, Iterator

import numpy as np
from torch import Tensor, nn

from reswork.datasets.dataset import Dataset, Split
from reswork.reporting.answers import outputs
from reswork.reporting.corruptions import CORRUPTIONS, Corruption
from reswork.reporting.slices import wilson
from reswork.results.robustness import Robustness
from reswork.tasks import task_for

IMAGES = 300
_GEOMETRIC = ("shift", "rotation")  # would have to move masks too


def robustness(
    model: nn.Module,
    data: Dataset,
    *,
    images: int = IMAGES,
    corruptions: tuple[Corruption, ...] = CORRUPTIONS,
    stopped: Callable[[], bool] = lambda: False,
) -> Robustness:
    """All curves at once; see `robustness_curves`."""
    *_, last = robustness_curves(model, data, images=images, corruptions=corruptions, stopped=stopped)
    return last


def robustness_curves(
    model: nn.Module,
    data: Dataset,
    *,
    images: int = IMAGES,
    corruptions: tuple[Corruption, ...] = CORRUPTIONS,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Robustness]:
    """The score under noise, blur, contrast, brightness, shift, rotation and JPEG, one curve more each time.

    Args:
        model: of the data's task.
        data: of whose test images a sample is taken, classes in proportion, the same each time.
        images: in the sample.
        corruptions: which ones; of masks only those that leave things where they are.
        stopped: asked between batches.

    Raises:
        Stopped: when ``stopped`` says so.

    Reference:
        Hendrycks and Dietterich 2019, arXiv 1903.12261, whose idea it is; the strengths are our own.
    """
    if data.target_kind == "masks":
        corruptions = tuple(each for each in corruptions if each.name not in _GEOMETRIC)
    rows = _sample(data, images)
    split = data.test.take(rows.to(data.test.images.device))
    clean = _score(model, data, split, stopped)[0]
    wide = max(len(each.strengths) for each in corruptions)
    table = np.full((4, len(corruptions), wide), np.nan)  # strengths, scores, low, high
    for row, corruption in enumerate(corruptions):
        for column, strength in enumerate(corruption.strengths):
            worse = Split(corruption.apply(split.images, strength), split.targets)
            table[:, row, column] = strength, *_score(model, data, worse, stopped)
        yield Robustness(
            tuple(each.name for each in corruptions), table[0].copy(), tuple(each.unit for each in corruptions),
            table[1].copy(), table[2].copy(), table[3].copy(), clean, rows.numpy(), task_for(data).metrics[0].label,
        )  # fmt: skip


def _sample(data: Dataset, images: int) -> Tensor:
    """Numbers of test images, spread over the classes as they are there."""
    import torch

    count = len(data.test)
    drawn = torch.randperm(count, generator=torch.Generator().manual_seed(0))
    if data.target_kind == "labels":
        drawn = drawn[data.test.labels.cpu()[drawn].argsort(stable=True)]
    return drawn[torch.linspace(0, count - 1, min(images, count)).round().long()].sort().values


def _score(
    model: nn.Module, data: Dataset, split: Split, stopped: Callable[[], bool]
) -> tuple[float, float, float]:
    """The headline metric, with its interval where it is a share of images."""
    task = task_for(data)
    meter = task.meter(data, split.images.device)
    for output, targets, _ in outputs(model, data, split, stopped=stopped):
        meter.update(output, targets)
    score = meter.compute().metrics.get(task.metrics[0].name, float("nan"))
    if data.target_kind != "labels":
        return score, float("nan"), float("nan")
    low, high = wilson(len(split) - round(score * len(split)), len(split))
    return score, 1 - high, 1 - low
