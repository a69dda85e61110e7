"""Occlusion: cover one patch after the other and see how far the score falls, many patches at once."""

import numpy as np
import torch
from torch import Tensor

from reswork.probes.scalar_model import ScalarModel


@torch.no_grad()
def occluded(
    scalar_model: ScalarModel,
    images: Tensor,
    weights: Tensor,
    references: Tensor,
    *,
    window: int,
    stride: int,
    at_once: int,
) -> Tensor:
    """Mean fall of the score over all patches that cover a pixel, (M, 1, H, W).

    The same numbers as captum's ``Occlusion`` with a window over all channels.

    Args:
        scalar_model: the net.
        images: (M, C, H, W).
        weights: (M, K).
        references: (M, C, H, W), what a patch is covered with.
        window: side of the patch, in pixels.
        stride: from patch to patch; a last patch may reach over the edge.
        at_once: pictures in one pass.

    Reference:
        Zeiler 2013, arXiv:1311.2901.
    """
    covers = _covers(images.shape[2:], window, stride).to(images.device)  # (P, H, W) bool
    whole = torch.cat(
        [scalar_model(i, w) for i, w in zip(images.split(at_once), weights.split(at_once), strict=True)]
    )
    times = covers.sum(dim=0).to(images.dtype)  # (H, W), at least 1
    maps = []
    for image, weight, reference, score in zip(images, weights, references, whole, strict=True):
        falls = []
        for cover in covers.split(at_once):
            covered = torch.where(cover[:, None], reference, image)  # (p, C, H, W)
            falls.append(score - scalar_model(covered, weight.expand(len(cover), -1)))
        maps.append(torch.einsum("p,phw->hw", torch.cat(falls), covers.to(image.dtype)) / times)
    return torch.stack(maps)[:, None]


def _covers(size: torch.Size, window: int, stride: int) -> Tensor:
    """All places of the patch, bool (P, H, W), from the upper left."""
    sides = []
    for length in size:
        starts = np.arange(-(-(length - window) // stride) + 1) * stride
        place = np.arange(length)
        sides.append(torch.from_numpy((place >= starts[:, None]) & (place < starts[:, None] + window)))
    rows, columns = sides  # (R, H), (C, W)
    return (rows[:, None, :, None] & columns[None, :, None, :]).flatten(0, 1)
