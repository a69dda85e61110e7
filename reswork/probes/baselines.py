"""What stands for "nothing": the pictures that methods compare with."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from reswork.errors import InvalidSetting
from reswork.probes.options import Options

Baseline = Literal["black", "mean", "blur", "noise"] | Tensor


BASELINES: Mapping[str, str] = MappingProxyType(
    {
        "black": "A black picture stands for nothing. Dark parts of the picture then get no attribution.",
        "mean": "The picture's own mean colour stands for nothing. Parts of just that colour get no attribution.",
        "blur": "The picture out of focus stands for nothing: it asks for detail, not for large areas of colour.",
        "noise": "Noise with the picture's mean and spread stands for nothing; another seed is another nothing.",
    }
)


def references(images: Tensor, baseline: Baseline, options: Options) -> tuple[Tensor, tuple[str, ...]]:
    """A reference for each image, and sentences to read with it.

    Args:
        images: (N, C, H, W), as the net gets them.
        baseline: the name of one, or the pictures themselves, anything that broadcasts to the images.
        options: where black is, and the seed of the noise.

    Raises:
        InvalidSetting: for a name that there is not, or pictures that do not fit.
    """
    if isinstance(baseline, Tensor):
        return _own(images, baseline), ()
    means = images.mean(dim=(2, 3), keepdim=True)  # (N, C, 1, 1)
    if baseline == "black":
        return _black(images, options)
    if baseline == "mean":
        return means.expand_as(images).contiguous(), ()
    if baseline == "blur":
        return blurred(images, max(1.0, min(images.shape[2:]) / 8)), ()
    if baseline == "noise":
        spread = images.std(dim=(2, 3), keepdim=True)
        return means + spread * drawn(images.shape, images, options.seed), ()
    raise InvalidSetting(
        "baseline", f"baseline={baseline!r}: choose 'black', 'mean', 'blur', 'noise', or give a picture"
    )


def drawn(shape: torch.Size | tuple[int, ...], like: Tensor, seed: int) -> Tensor:
    """Standard normal numbers from a generator of their own, the same on every device."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(tuple(shape), generator=generator).to(like.device, like.dtype)


def blurred(images: Tensor, sigma: float) -> Tensor:
    """The images out of focus: a Gaussian of this standard deviation in pixels, edges repeated."""
    channels = images.shape[1]
    for dim in (2, 3):
        reach = min(round(3 * sigma), images.shape[dim] - 1)
        place = torch.arange(-reach, reach + 1, device=images.device, dtype=images.dtype)
        weights = torch.exp(-0.5 * (place / sigma) ** 2)
        shape = [1, 1, 1, 1]
        shape[dim] = len(place)
        kernel = (weights / weights.sum()).view(shape).repeat(channels, 1, 1, 1)
        padding = (0, 0, reach, reach) if dim == 2 else (reach, reach, 0, 0)
        images = F.conv2d(F.pad(images, padding, mode="replicate"), kernel, groups=channels)
    return images


def _black(images: Tensor, options: Options) -> tuple[Tensor, tuple[str, ...]]:
    if options.normalisation is None:
        notes: tuple[str, ...] = ()
        if bool((images < 0).any()):
            notes = (
                "Black is taken as 0 in the net's own numbers, which after a normalisation is the mean colour; "
                "give Options(normalisation=(mean, std)) for real black.",
            )
        return torch.zeros_like(images), notes
    mean, std = (torch.as_tensor(values, dtype=images.dtype).to(images) for values in options.normalisation)
    if mean.shape != std.shape or mean.numel() not in (1, images.shape[1]):
        raise InvalidSetting(
            "normalisation",
            f"{mean.numel()} means and {std.numel()} deviations for {images.shape[1]} channels",
        )
    return (-mean / std).view(1, -1, 1, 1).expand_as(images).contiguous(), ()


def _own(images: Tensor, baseline: Tensor) -> Tensor:
    try:
        return baseline.detach().to(images).expand_as(images).contiguous()
    except RuntimeError:
        raise InvalidSetting(
            "baseline",
            f"a baseline of shape {tuple(baseline.shape)} does not fit images {tuple(images.shape)}; give "
            "(C, H, W) or one for each image",
        ) from None
