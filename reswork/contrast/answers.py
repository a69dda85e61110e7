"""Which images two networks answer differently."""

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import scipy
import torch
from torch import Tensor, nn

from reswork.datasets.augmentation import normalise
from reswork.datasets.dataset import Dataset
from reswork.reporting.answers import outputs
from reswork.results.contrast import ChangedAnswers
from reswork.tasks import Task, task_for
from reswork.tasks.task import Evaluation


@dataclass(frozen=True, eq=False)
class Judged:
    """What one network answers to some images.

    Attributes:
        answers: (M,) int64 classes, or (M, H, W) masks.
        probabilities: (M, K) float32; empty for masks.
        right: (M,) bool.
        evaluation: its metrics.
    """

    answers: np.ndarray
    probabilities: np.ndarray
    right: np.ndarray
    evaluation: Evaluation


def sample(data: Dataset, count: int | None) -> np.ndarray:
    """So many test images, spread evenly; all where there are not more, or for None. int64 (M,)."""
    total = len(data.test)
    if count is None or count >= total:
        return np.arange(total)
    return np.linspace(0, total - 1, max(1, count)).round().astype(np.int64)


def judged(model: nn.Module, data: Dataset, images: np.ndarray) -> Judged:
    """A network's answers to some test images, in one pass.

    Raises:
        InvalidSetting: if it cannot take them, or gives no tensor.
    """
    steps = judging(model, data, images)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: Judged = end.value
            return found


def judging(model: nn.Module, data: Dataset, images: np.ndarray) -> Generator[None, None, Judged]:
    """As `judged`, as a generator that yields after each batch, where it can be given up, and returns the answers."""
    task: Task = task_for(data)
    split = data.test.take(torch.as_tensor(images, device=data.test.images.device))
    meter, answers, probabilities, right = None, [], [], []
    for output, targets, _ in outputs(model, data, split):
        meter = task.meter(data, output.device) if meter is None else meter
        meter.update(output, targets)
        answers.append(output.argmax(1).cpu())
        right.append(task.right(output, targets).cpu())
        if output.dim() == 2:
            probabilities.append(output.softmax(1).cpu())
        yield
    assert meter is not None
    table = torch.cat(probabilities).numpy() if probabilities else np.zeros((0, 0), np.float32)
    return Judged(torch.cat(answers).numpy(), table, torch.cat(right).numpy(), meter.compute())


def changes(first: Judged, second: Judged, images: np.ndarray, total: int) -> ChangedAnswers:
    """What differs between two networks' answers to the same images."""
    different = first.answers != second.answers
    is_masks = different.ndim > 1
    worse = int((first.right & ~second.right).sum())
    better = int((~first.right & second.right).sum())
    one, two = first.evaluation.metrics, second.evaluation.metrics
    return ChangedAnswers(
        images,
        first.right,
        second.right,
        different.reshape(len(images), -1).any(axis=1),
        np.zeros(0, np.int64) if is_masks else first.answers,
        np.zeros(0, np.int64) if is_masks else second.answers,
        {name: (one[name], two[name]) for name in one if name in two},
        mcnemar(worse, better),
        total,
    )


def changed_answers(
    first: nn.Module, second: nn.Module, data: Dataset, *, images: int | None = None
) -> ChangedAnswers:
    """What two networks answer to the same test images.

    Args:
        first: any network that takes the data set's images, normalised.
        second: likewise.
        data: test images with labels or masks.
        images: how many test images, spread evenly; None: all.

    Raises:
        InvalidSetting: if one cannot take the images.
    """
    chosen = sample(data, images)
    return changes(judged(first, data, chosen), judged(second, data, chosen), chosen, len(data.test))


def mcnemar(worse: int, better: int) -> float:
    """McNemar's exact test: the two-sided p-value of so uneven a split of what changed, 0 to 1.

    Args:
        worse: how many right answers became wrong.
        better: how many wrong answers became right.

    Reference:
        McNemar 1947, Psychometrika 12; Dietterich 1998, Neural Computation 10, section 3.1.

    Example:
        >>> mcnemar(1, 9)
        0.021484375
        >>> mcnemar(0, 0)
        1.0
    """
    return min(1.0, 2 * float(scipy.stats.binom.cdf(min(worse, better), worse + better, 0.5)))


def as_inputs(data: Dataset, images: np.ndarray) -> Tensor:
    """Some test images as networks take them, (M, C, H, W) float32."""
    chosen = data.test.images[torch.as_tensor(images, device=data.test.images.device)]
    return normalise(chosen, data.mean, data.std)
