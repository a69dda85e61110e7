"""The size of the training images over a run: smaller ones first, whose steps cost less."""

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from reswork.training.recipe import Recipe

_STEP = 4  # pixels by which sides grow, and the shortest side

Size = tuple[int, int]  # height and width


def size_at(recipe: Recipe, size: Size, done: int, total: int) -> Size:
    """Height and width of the training images of the update after ``done`` of ``total`` others.

    Sides grow in a straight line from `image_scale` of their length to all of it, by 4 pixels at a time, and have
    their own length from the fraction `full_size_at` of the run on.

    Args:
        recipe: of the training.
        size: of the data set's images.
        done: updates made before.
        total: updates of the run.

    Reference:
        Progressive resizing, as in fast.ai's entry to DAWNBench (2018).

    Example:
        >>> recipe = Recipe(image_scale=0.5)
        >>> [size_at(recipe, (32, 32), done, 100)[0] for done in (0, 20, 30, 49, 50)]
        [16, 24, 24, 32, 32]
    """
    progress = done / total / recipe.full_size_at
    if recipe.image_scale == 1 or progress >= 1:
        return size
    scale = recipe.image_scale + (1 - recipe.image_scale) * progress
    height, width = (min(side, max(_STEP, _STEP * round(scale * side / _STEP))) for side in size)
    return height, width


def work_done(recipe: Recipe, size: Size, total: int) -> np.ndarray:
    """(total + 1,) work of so many updates, in updates with images of their own size: pixels are what counts."""
    sizes = (size_at(recipe, size, done, total) for done in range(total))
    shares = [height * width / (size[0] * size[1]) for height, width in sizes]
    return np.concatenate([[0.0], np.cumsum(shares)])


def resized(images: Tensor, size: Size) -> Tensor:
    """Images (N, C, H, W) made smaller, each pixel the weighted mean of what it covers; as they are if they fit."""
    if tuple(images.shape[2:]) == size:
        return images
    return F.interpolate(images, size, mode="bilinear", antialias=True)
