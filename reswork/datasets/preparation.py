"""Batches cut straight from the data set: chosen, augmented with their masks or boxes, and normalised."""

from collections.abc import Sequence

import torch
from torch import Tensor

from reswork.datasets.augmentation import (
    BLACK,
    Augmentation,
    as_images,
    as_planes,
    augment_planes,
    augment_planes_with_boxes,
    augment_signals,
    mirror_volumes,
    normalisation,
    with_edge,
)
from reswork.datasets.dataset import Split
from reswork.datasets.inputs import standardised
from reswork.datasets.targets import IGNORED

COPY_LIMIT = 2 * 1024**3  # bytes; a larger data set is not laid out anew in memory


class Preparation:
    """What turns numbers of images into a batch that a network takes in.

    The images are laid out once as the network wants them (channels last, and with the black edge that crops
    need), constants lie on the device, and nothing waits for the device: make one for a whole training.

    Args:
        split: the images and their labels or masks, on the device on which the batch is wanted.
        mean: of each channel, 0 to 1.
        std: standard deviation of each channel, 0 to 1.
        augmentation: random changes; none for evaluation. Masks undergo those of place, see `Augmentation`.
        dtype: of the batch.
        channels_last: whether channels lie last in the batch's memory.

    Raises:
        InvalidSetting: an augmentation that does not fit the images.

    Example:
        >>> from reswork.datasets import digits
        >>> data = digits()
        >>> prepare = Preparation(data.train, data.mean, data.std, Augmentation(translate=1))
        >>> images, labels = prepare(torch.arange(32), torch.Generator().manual_seed(0))
        >>> images.shape, images.dtype
        (torch.Size([32, 1, 8, 8]), torch.float32)
    """

    def __init__(
        self,
        split: Split,
        mean: Sequence[float],
        std: Sequence[float],
        augmentation: Augmentation | None = None,
        *,
        dtype: torch.dtype = torch.float32,
        channels_last: bool = False,
    ) -> None:
        self._augmentation = augmentation or Augmentation()
        self._augmentation.check(split.images.shape)
        self._dtype = dtype
        self._format = torch.channels_last if channels_last else torch.contiguous_format
        self._size = (split.images.shape[2], split.images.shape[3])
        self._split, self._device = split, split.device
        self._ready = not split.files and split.images.numel() <= COPY_LIMIT
        self._source = self._laid_out(split.images) if self._ready else split.images
        self._has_masks = split.target_kind == "masks"
        self._are_images = split.target_kind == "images"
        self._are_boxes = split.target_kind == "boxes"
        self._targets = split.targets
        if self._has_masks and self._ready:
            self._targets = self._mask_planes(split.targets)
        example = self._laid_out(split.images[:1])
        shape = (1, example.shape[1], *self._size, example.shape[4])
        self._scale, self._shift = normalisation(mean, std, shape, self._device)

    def expect(self, indices: Tensor) -> None:
        """Say which images are wanted next: where they lie in a file, the system begins to read them."""
        for rows in self._split.files:
            rows.expect(indices)

    def _laid_out(self, images: Tensor) -> Tensor:
        return with_edge(as_planes(images.contiguous(memory_format=self._format)), self._augmentation, BLACK)

    def _mask_planes(self, masks: Tensor) -> Tensor:
        return with_edge(as_planes(masks.unsqueeze(1)), self._augmentation, IGNORED)

    def __call__(self, indices: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """One batch.

        Args:
            indices: numbers of the images, int64, (N,), on the data's device.
            generator: of the random changes, on the data's device.

        Returns:
            Images (N, C, H, W), normalised; and labels, int64, (N,), or masks, uint8, (N, H, W), shifted and
            mirrored with their images, `IGNORED` (255) where nothing is known; images, uint8, mirrored as well; or
            boxes, moved.
        """
        if self._split.files:
            rows = indices.to(self._source.device)
            planes, targets = (
                each.index_select(0, rows).to(self._device) for each in (self._source, self._targets)
            )
        else:
            planes, targets = self._source.index_select(0, indices), self._targets.index_select(0, indices)
        if not self._ready:
            planes = self._laid_out(planes)
            targets = self._mask_planes(targets) if self._has_masks else targets
        if self._augmentation != Augmentation() and self._are_boxes:
            planes, targets = augment_planes_with_boxes(
                planes, targets, self._size, self._augmentation, generator
            )
        elif self._augmentation != Augmentation():
            together = [planes, targets] if self._has_masks else [planes]
            if self._are_images:
                together.append(targets.unsqueeze(-1))
            planes, *moved = augment_planes(together, self._size, self._augmentation, generator)
            if moved:
                targets = as_images(moved[0]) if self._are_images else moved[0]
        images = as_images(planes.float().mul_(self._scale).add_(self._shift).to(self._dtype))
        return images, as_images(targets).squeeze(1) if self._has_masks else targets


class NumberPreparation:
    """What `Preparation` is for images, for volumes, signals, rows of a table and tokens.

    All inputs are standardised once; tokens stay as they are.

    Args:
        split: inputs and targets, on the device on which the batch is wanted.
        mean: of each channel or column.
        std: standard deviation of each channel or column.
        augmentation: random changes of volumes and signals; none for evaluation.

    Raises:
        InvalidSetting: an augmentation that does not fit the inputs.
    """

    def __init__(
        self,
        split: Split,
        mean: Sequence[float],
        std: Sequence[float],
        augmentation: Augmentation | None = None,
    ) -> None:
        self._augmentation = augmentation or Augmentation()
        self._augmentation.check(split.inputs.shape, split.input_kind)
        self._inputs, self._targets = standardised(split.inputs, mean, std), split.targets

    def expect(self, indices: Tensor) -> None:
        """Nothing to do: all inputs are in memory."""

    def __call__(self, indices: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """One batch.

        Args:
            indices: numbers of the inputs, int64, (N,), on the data's device.
            generator: of the random changes, on the data's device.

        Returns:
            Inputs, float32 or of tokens int64, (N, ...), and their targets.
        """
        inputs, targets = self._inputs.index_select(0, indices), self._targets.index_select(0, indices)
        if self._augmentation != Augmentation() and inputs.dim() == 5:
            return mirror_volumes(inputs, targets, generator)
        if self._augmentation != Augmentation():
            inputs = augment_signals(inputs, self._augmentation, generator)
        return inputs, targets


def preparation(
    split: Split,
    mean: Sequence[float],
    std: Sequence[float],
    augmentation: Augmentation | None = None,
    *,
    channels_last: bool = False,
) -> Preparation | NumberPreparation:
    """What cuts batches of this split, whatever its inputs are."""
    if split.input_kind != "images":
        return NumberPreparation(split, mean, std, augmentation)
    return Preparation(split, mean, std, augmentation, channels_last=channels_last)
