"""Any network trained by itself, without record and evaluations: for comparisons of many short trainings."""

from collections.abc import Generator
from typing import Literal

import torch
from torch import nn

from reswork.datasets.augmentation import normalise
from reswork.datasets.dataset import Dataset
from reswork.tasks import task_for
from reswork.training.batches import Batches
from reswork.training.evaluation import evaluating
from reswork.training.modes import Mode, choose_device
from reswork.training.randomness import global_state
from reswork.training.recipe import Recipe, total_steps
from reswork.training.schedules import learning_rates
from reswork.training.train_step import TrainStep


def train_alone(model: nn.Module, data: Dataset, recipe: Recipe) -> Generator[tuple[int, int], None, None]:
    """Train in place, in single precision; what it learns depends on recipe, data and weights alone.

    What the step of a run does, without evaluations between. One that is stopped cannot go on: begin again with fresh
    weights.

    Args:
        model: takes images (N, C, H, W) and gives logits (N, K).
        data: that it learns from.
        recipe: of the training, its seed included.

    Yields:
        Steps made, and how many there are.
    """
    device = choose_device(recipe.device)[0]
    here, mode = data.to(device), Mode(str(device))
    total, rates = total_steps(recipe, len(data.train)), learning_rates(recipe, len(data.train))[1].tolist()
    batches = Batches(here, recipe, channels_last=False)
    training = TrainStep(model.to(device).train(), batches, task_for(data), recipe, mode, rates)
    try:
        for step in range(1, total + 1):
            with global_state(device, deterministic=False):  # dropout draws from it
                training.backward(batches.cut(step), step)
            training.apply(step)
            yield step, total
    finally:
        training.frozen.release()
        model.eval()


def error_of(model: nn.Module, data: Dataset, split: Literal["train", "test"] = "test") -> float:
    """Share of a split's images that are named wrong, in evaluation mode, 0 to 1."""
    device, chosen = next(model.parameters()).device, data.train if split == "train" else data.test
    wrong = 0
    with evaluating(model), torch.no_grad():
        for images, labels in zip(chosen.images.split(500), chosen.labels.split(500), strict=True):
            inputs = normalise(images.to(device), data.mean, data.std, torch.float32, torch.contiguous_format)
            wrong += int((model(inputs).argmax(dim=1) != labels.to(device)).sum())
    return wrong / len(chosen)
