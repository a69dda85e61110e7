"""Images of any size through a network, tile by tile."""

from collections.abc import Callable

import torch
from torch import Tensor

from reswork.errors import InvalidSetting

Network = Callable[[Tensor], Tensor]
MOST_PIXELS = 512 * 512  # of an image that goes through in one piece


def in_tiles(model: Network, images: Tensor, *, tile: int = 256, overlap: int = 32) -> Tensor:
    """What a network gives for images that are too large for it at once: masks of logits, or larger pictures.

    Each tile sees so many pixels around it, which are cut off what comes out. Away from the images' edges the result
    equals that of the whole where the overlap is at least half of the network's receptive field (`spec_sheet`), and
    where the network has no mean over the whole image (group norm, squeeze-and-excitation). Tiles begin at multiples
    of ``tile``, which a power of two keeps on the grid of layers that halve the size.

    Args:
        model: any that gives (N, K, s * H, s * W) for (N, C, H, W), with a whole number s from 1 on.
        images: (N, C, H, W), as the network takes them.
        tile: side of what is kept of a tile, in pixels.
        overlap: pixels around it that the network sees besides; best a multiple of 16 for a U-Net.

    Returns:
        (N, K, s * H, s * W).

    Raises:
        InvalidSetting: a tile or an overlap that makes no sense, or a network that gives another size.

    Example:
        >>> double = torch.nn.Upsample(scale_factor=2)
        >>> in_tiles(double, torch.rand(1, 3, 70, 50), tile=32, overlap=4).shape
        torch.Size([1, 3, 140, 100])
    """
    for name, value, least in (("tile", tile, 8), ("overlap", overlap, 0)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise InvalidSetting(name, f"{name}={value!r} pixels: choose a whole number from {least}")
    height, width = images.shape[2:]
    rows = []
    for top in range(0, height, tile):
        parts = []
        for left in range(0, width, tile):
            first = max(top - overlap, 0), max(left - overlap, 0)
            seen = images[:, :, first[0] : top + tile + overlap, first[1] : left + tile + overlap]
            found = model(seen)
            scale = _scale(seen, found)
            kept = []  # from which to which row, then column, of what came out
            for begin, start, length in ((top, first[0], height), (left, first[1], width)):
                kept.append((scale * (begin - start), scale * (min(begin + tile, length) - start)))
            parts.append(found[:, :, slice(*kept[0]), slice(*kept[1])])
        rows.append(torch.cat(parts, 3))
    return torch.cat(rows, 2)


def _scale(seen: Tensor, found: Tensor) -> int:
    scale = found.shape[2] // seen.shape[2] if found.dim() == 4 else 0
    if scale < 1 or found.shape[2:] != (scale * seen.shape[2], scale * seen.shape[3]):
        raise InvalidSetting(
            "model",
            f"for images of {tuple(seen.shape)} the network gives {tuple(found.shape)}: only one that answers each "
            "pixel, or gives a picture a whole number of times larger, works in tiles",
        )
    return scale
