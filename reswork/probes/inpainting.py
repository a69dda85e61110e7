"""Pixels taken out of a picture so that nobody sees where: each is the mean of its neighbours, and a little noise."""

import torch
from torch import Tensor
from torch.nn import functional as F

from reswork.probes.baselines import drawn

_ROUNDS = 300
_PRECISE = 1e-3  # of the picture's range: below a grey level of 256
_NOISE = 0.01  # of the picture's range


def inpainted(image: Tensor, removed: Tensor, seed: int = 0) -> Tensor:
    """The picture with pixels replaced by what their neighbours suggest.

    Grey or black patches would tell the net where something was taken away, by their outline alone. The means
    (neighbours at the sides weigh 1/6, at the corners 1/12) are solved for all removed pixels together, by
    conjugate gradients.

    Args:
        image: (C, H, W).
        removed: bool, (P, H, W).
        seed: of the noise.

    Returns:
        (P, C, H, W). Where everything is removed, the mean colour.

    Reference:
        Rong 2022 (ROAD), arXiv:2202.00449, section 4.2.
    """
    unknown = removed[:, None].to(image.dtype)  # (P, 1, H, W)
    known = 1 - unknown
    count = known.sum(dim=(2, 3), keepdim=True)
    plain = image.mean(dim=(1, 2))[None, :, None, None]
    mean = torch.where(count > 0, (image * known).sum((2, 3), keepdim=True) / count.clamp(min=1), plain)
    images = image * known + mean * unknown  # (P, C, H, W), the first guess
    span = image.amax() - image.amin()
    images = _relaxed(images, unknown * (count > 0), float(span) * _PRECISE)
    return images + unknown * _NOISE * span * drawn(images.shape[1:], image, seed)


def _relaxed(images: Tensor, unknown: Tensor, precise: float) -> Tensor:
    """Make every unknown pixel the weighted mean of its neighbours."""
    total = _neighbours(torch.ones_like(unknown[:1]))  # (1, 1, H, W), less than 1 at the edges
    residual = unknown * (_neighbours(images) - total * images)
    direction, size = residual, _dot(residual, residual)
    for _ in range(_ROUNDS):
        if float(residual.abs().amax()) <= precise / 100:
            break
        ahead = unknown * (total * direction - _neighbours(direction))
        step = size / _dot(direction, ahead).clamp(min=1e-30)
        images = images + step * direction
        residual = residual - step * ahead
        before, size = size, _dot(residual, residual)
        direction = residual + size / before.clamp(min=1e-30) * direction
    return images


def _neighbours(images: Tensor) -> Tensor:
    """Weighted sum of the eight neighbours; none beyond the edge."""
    side, corner = 1 / 6, 1 / 12
    padded = F.pad(images, (1, 1, 1, 1))
    straight = padded[..., :-2, 1:-1] + padded[..., 2:, 1:-1] + padded[..., 1:-1, :-2] + padded[..., 1:-1, 2:]
    slanted = padded[..., :-2, :-2] + padded[..., :-2, 2:] + padded[..., 2:, :-2] + padded[..., 2:, 2:]
    return side * straight + corner * slanted


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(dim=(2, 3), keepdim=True)
