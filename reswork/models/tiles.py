"""Images of any size through a network, tile by tile."""

from collections.abc import Callable, Generator, Sequence
from itertools import product
from typing import Any

import numpy as np
from torch import Tensor

from reswork.errors import InvalidSetting

Network = Callable[[Any], Tensor]
MOST_PIXELS = 512 * 512  # of an image that goes through in one piece


def in_tiles(model: Network, images: Tensor | np.ndarray, *, tile: int = 256, overlap: int = 32) -> Tensor:
    """What a network gives for images or volumes that are too large for it at once: logits, or larger pictures.

    Each tile sees so many pixels around it, which are cut off what comes out. Away from the images' edges the result
    equals that of the whole where the overlap is at least half of the network's receptive field (`spec_sheet`), and
    where the network has no mean over the whole image (group norm, squeeze-and-excitation). Tiles begin at multiples
    of ``tile``, which a power of two keeps on the grid of layers that halve the size.

    Args:
        model: any that gives (N, K, s * H, s * W) for (N, C, H, W), with a whole number s from 1 on.
        images: (N, C, H, W), as ``model`` takes them; or volumes (N, C, D, H, W). An array, also one in a file
            (``numpy.memmap``), is handed on as arrays.
        tile: side of what is kept of a tile, in pixels.
        overlap: pixels around it that the network sees besides; best a multiple of 16 for a U-Net.

    Returns:
        (N, K, s * H, s * W), or of volumes (N, K, s * D, s * H, s * W).

    Raises:
        InvalidSetting: a tile or an overlap that makes no sense, or a network that gives another size.

    Example:
        >>> import torch
        >>> double = torch.nn.Upsample(scale_factor=2)
        >>> in_tiles(double, torch.rand(1, 3, 70, 50), tile=32, overlap=4).shape
        torch.Size([1, 3, 140, 100])
    """
    steps = tile_steps(images, tile=tile, overlap=overlap)
    seen = next(steps)
    while True:
        try:
            seen = steps.send(model(seen))
        except StopIteration as end:
            whole: Tensor = end.value
            return whole


def tile_steps(
    images: Tensor | np.ndarray, *, tile: int = 256, overlap: int = 32
) -> Generator[Any, Tensor, Tensor]:
    """`in_tiles` for whoever cannot call a function, such as a server that waits for its engine.

    Args:
        images: as there.
        tile: as there.
        overlap: as there.

    Yields:
        What a network sees of each tile; its answer is to be sent.

    Returns:
        The whole.

    Raises:
        InvalidSetting: as there.
    """
    for name, value, least in (("tile", tile, 8), ("overlap", overlap, 0)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise InvalidSetting(name, f"{name}={value!r} pixels: choose a whole number from {least}")
    size, whole = images.shape[2:], None
    for begin in product(*(range(0, length, tile) for length in size)):
        end = [min(each + tile, length) for each, length in zip(begin, size, strict=True)]
        first = [max(each - overlap, 0) for each in begin]
        seen = images[_within(first, [each + overlap for each in end])]
        found = yield seen
        scale = _scale(seen, found)
        if whole is None:
            whole = found.new_empty((*found.shape[:2], *(scale * length for length in size)))
        low, high = ([each - at for each, at in zip(ends, first, strict=True)] for ends in (begin, end))
        whole[_within(begin, end, scale)] = found[_within(low, high, scale)]
    assert whole is not None  # no image is empty
    return whole


def _within(begin: Sequence[int], end: Sequence[int], scale: int = 1) -> tuple[Any, ...]:
    """The part between two corners, which are so many times further apart."""
    return (..., *(slice(scale * low, scale * high) for low, high in zip(begin, end, strict=True)))


def _scale(seen: Tensor | np.ndarray, found: Tensor) -> int:
    fits = found.ndim == seen.ndim and found.ndim > 2
    scale = found.shape[2] // seen.shape[2] if fits else 0
    if scale < 1 or found.shape[2:] != tuple(scale * length for length in seen.shape[2:]):
        raise InvalidSetting(
            "model",
            f"for images of {tuple(seen.shape)} the network gives {tuple(found.shape)}: only one that answers each "
            "pixel, or gives a picture a whole number of times larger, works in tiles",
        )
    return scale
