"""`tune`: a network that lost something is trained a little, with the answers of the one that it comes from."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reswork.compression.weights import zeros
from reswork.datasets.dataset import Dataset
from reswork.errors import InvalidSetting
from reswork.probes.private_copy import private_copy
from reswork.reporting.answers import model_of
from reswork.tasks import Task, task_for
from reswork.training.events import StepDone
from reswork.training.loop import fit
from reswork.training.recipe import Recipe, total_steps

TUNING = Recipe(epochs=2, learning_rate=0.02)  # a fifth of what a network begins with
SHARE, SOFTNESS = 0.7, 3.0


def tune(
    model: nn.Module,
    data: Dataset,
    recipe: Recipe | None = None,
    *,
    teacher: Any = None,
    share: float = SHARE,
) -> nn.Module:
    """Train a network in place, weights that are zero stay zero.

    Args:
        model: that was pruned or is new.
        data: to learn from.
        recipe: None: 2 epochs at a learning rate of 0.02.
        teacher: network, run or checkpoint whose probabilities it shall come near, besides the right answers; None: the
            right answers only.
        share: what the teacher counts, 0 to 1.

    Returns:
        The same network, on the processor, in evaluation mode.

    Raises:
        InvalidSetting: something does not fit together.
        NonFiniteLoss: the loss grew without bound.

    Reference:
        Hinton et al. 2015, arXiv 1503.02531.
    """
    for _ in tuning(model, data, recipe, teacher=teacher, share=share):
        pass
    return model


def tuning(
    model: nn.Module,
    data: Dataset,
    recipe: Recipe | None = None,
    *,
    teacher: Any = None,
    share: float = SHARE,
) -> Iterator[float]:
    """As `tune`, as a generator that yields after each step how much is done, 0 to 1."""
    if isinstance(share, bool) or not 0 <= share <= 1:
        raise InvalidSetting("share", f"share={share!r} is no share; choose a number from 0 to 1")
    recipe, task = recipe or TUNING, task_for(data)
    learned: Any = task if teacher is None else _Taught(task, private_copy(model_of(teacher))[0], share)
    steps = total_steps(recipe, len(data.train))
    kept = zeros(model)
    for event in fit(model, data, recipe, task=learned):
        if isinstance(event, StepDone):
            with torch.no_grad():
                for weight, stays in kept:
                    weight.mul_(stays.to(weight.device))
            yield min(1.0, event.step / steps)
    model.cpu().eval()


class _Taught:
    """A task whose loss counts, too, how far the answers are from a teacher's.

    Training calls the model and judges the output at once; so what the teacher said of a batch is kept from the one
    call to the other.
    """

    def __init__(self, task: Task, teacher: nn.Module, share: float) -> None:
        self._task, self._teacher, self._share = task, teacher, share
        self._said: Tensor | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._task, name)

    def call(self, model: Callable[..., Any], inputs: Tensor, targets: Tensor | None = None) -> Any:
        """The model's output; while it trains the teacher's is kept."""
        self._said = None
        if torch.is_grad_enabled():
            with torch.no_grad():
                self._said = self._task.call(self._teacher.to(inputs.device), inputs)
        return self._task.call(model, inputs, targets)

    def loss(
        self, output: Tensor, targets: Tensor, recipe: Recipe, class_weights: Tensor | None = None
    ) -> Tensor:
        """Its own loss, and the divergence from the teacher's softened probabilities."""
        own = self._task.loss(output, targets, recipe, class_weights)
        if self._said is None:
            return own
        wanted, found = (
            F.log_softmax(each.float() / SOFTNESS, 1).movedim(1, -1) for each in (self._said, output)
        )
        apart = F.kl_div(found, wanted, reduction="none", log_target=True).sum(-1).mean()
        return (1 - self._share) * own + self._share * SOFTNESS**2 * apart
