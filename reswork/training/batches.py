"""Batches cut from a tensor that holds the whole training split on the device, and augmented there."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from reswork.datasets.dataset import Dataset
from reswork.datasets.preparation import preparation
from reswork.training.image_sizes import resized, size_at
from reswork.training.randomness import derived_seed
from reswork.training.recipe import Recipe, steps_per_epoch, total_steps


@dataclass(frozen=True, slots=True)
class Batch:
    """Inputs ready for the model with their targets; of a mixed one ``share`` belongs to ``targets``."""

    inputs: Tensor  # (N, C, H, W) float32, or as the data set has them
    targets: Tensor  # as the data set has them, such as (N,) int64 labels
    other_targets: Tensor | None = None  # of the inputs mixed in
    share: float = 1.0

    def rows(self, rows: slice) -> "Batch":
        """Some of its inputs, with what belongs to them."""
        others = None if self.other_targets is None else self.other_targets[rows]
        return Batch(self.inputs[rows], self.targets[rows], others, self.share)

    def parts(self, count: int) -> "list[Batch]":
        """The same batch in so many nearly equal parts, each of at least two inputs."""
        count = max(1, min(count, len(self.inputs) // 2))
        if count == 1:
            return [self]
        inputs, targets = self.inputs.tensor_split(count), self.targets.tensor_split(count)
        others = self.other_targets.tensor_split(count) if self.other_targets is not None else [None] * count
        return [Batch(*part, self.share) for part in zip(inputs, targets, others, strict=True)]


class Batches:
    """The training batches of a run: ``cut(step)`` is a pure function of the seed and the step.

    Each epoch goes through the images in a new order. The last, smaller batch of an epoch is left out, so
    that all batches have one shape; a split smaller than a batch is one batch.
    """

    def __init__(self, data: Dataset, recipe: Recipe, *, channels_last: bool) -> None:
        self._images = len(data.train)
        self._device = data.train.device
        self._prepare = preparation(
            data.train, data.mean, data.std, recipe.augmentation, channels_last=channels_last
        )
        self._is_in_file = bool(data.train.files)
        self._recipe = recipe
        self._generator = torch.Generator(self._device)
        self._order = torch.empty(0, dtype=torch.int64)
        self._order_epoch = 0
        self.per_epoch = steps_per_epoch(recipe, self._images)
        self._total = total_steps(recipe, self._images)

    def cut(self, step: int) -> Batch:
        """The batch of one step, from 1: cut, augmented, normalised, made smaller, mixed."""
        epoch, index = divmod(step - 1, self.per_epoch)
        order, size = self._epoch_order(epoch), self._recipe.batch_size
        chosen = order[index * size :][:size]
        if self._is_in_file and index + 1 < self.per_epoch:
            self._prepare.expect(order[(index + 1) * size :][:size])
        self._generator.manual_seed(derived_seed(self._recipe.seed, "augmentation", step))
        inputs, targets = self._prepare(chosen, self._generator)
        if self._recipe.image_scale < 1:
            height, width = inputs.shape[2:]
            inputs = resized(inputs, size_at(self._recipe, (height, width), step - 1, self._total))
        batch = Batch(inputs, targets)
        return self._mixed(batch, step) if self._recipe.mixup else batch

    def _epoch_order(self, epoch: int) -> Tensor:
        """A permutation, drawn on the CPU so that it is the same on every device."""
        if epoch + 1 != self._order_epoch:
            generator = torch.Generator().manual_seed(derived_seed(self._recipe.seed, "order", epoch))
            order = torch.randperm(self._images, generator=generator)
            self._order = order.to(self._device, non_blocking=True)
            self._order_epoch = epoch + 1
        return self._order

    def _mixed(self, batch: Batch, step: int) -> Batch:
        """Mixup (arXiv 1710.09412): each image with its neighbour, which is a random one already."""
        random = np.random.default_rng(derived_seed(self._recipe.seed, "mixup", step))
        share = float(random.beta(self._recipe.mixup, self._recipe.mixup))
        inputs = torch.lerp(batch.inputs.roll(1, 0), batch.inputs, share)
        return Batch(inputs, batch.targets, batch.targets.roll(1, 0), share)
