"""Images made worse in seven ways, at five strengths each."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

SIDE = 32  # pixels for which strengths in pixels are meant; they grow with the image


@dataclass(frozen=True)
class Corruption:
    """One way in which images get worse.

    Args:
        name: in a word.
        unit: what a strength means.
        strengths: five, from hardly to very.
        apply: images (N, C, H, W) uint8 and a strength -> the same shape and type.
    """

    name: str
    unit: str
    strengths: tuple[float, ...]
    apply: Callable[[Tensor, float], Tensor]


def noise(images: Tensor, std: float) -> Tensor:
    """Gaussian noise, the same each time, ``std`` in grey values of 0 to 255."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(images.shape, generator=generator).to(images.device)
    return (images.float() + std * drawn).round().clamp(0, 255).to(torch.uint8)


def blur(images: Tensor, std: float) -> Tensor:
    """Gaussian blur, ``std`` in pixels of an image 32 pixels wide."""
    from torchvision.transforms.v2 import functional as V  # takes a second, and a page may not need it

    wide = std * min(images.shape[2:]) / SIDE
    reach = min(
        max(1, round(3 * wide)), (min(images.shape[2:]) - 1) // 2
    )  # reflection needs more pixels than that
    return V.gaussian_blur(images, [2 * reach + 1] * 2, [wide] * 2)


def contrast(images: Tensor, factor: float) -> Tensor:
    """Contrast towards the image's mean grey value; 1 is as it is."""
    from torchvision.transforms.v2 import functional as V

    if images.shape[1] in (1, 3):
        return V.adjust_contrast(images, factor)
    mean = images.float().mean(dim=(1, 2, 3), keepdim=True)
    return (mean + factor * (images.float() - mean)).round().clamp(0, 255).to(torch.uint8)


def brightness(images: Tensor, factor: float) -> Tensor:
    """All grey values times a factor; 1 is as it is."""
    return (images.float() * factor).clamp(0, 255).to(torch.uint8)


def shift(images: Tensor, pixels: float) -> Tensor:
    """Right and down, the border repeated, in pixels of an image 32 pixels wide."""
    far = max(1, round(pixels * min(images.shape[2:]) / SIDE))
    moved = torch.roll(images, (far, far), dims=(2, 3))
    moved[:, :, :far] = moved[:, :, far : far + 1]
    moved[..., :far] = moved[..., far : far + 1]
    return moved


def rotation(images: Tensor, degrees: float) -> Tensor:
    """Counterclockwise, corners filled with black."""
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms.v2 import functional as V

    return V.rotate(images, degrees, InterpolationMode.BILINEAR)


def jpeg(images: Tensor, quality: float) -> Tensor:
    """Stored as JPEG and read again; grey or colour only."""
    from torchvision.transforms.v2 import functional as V

    device = images.device
    return torch.stack([V.jpeg(image, int(quality)) for image in images.cpu()]).to(device)


CORRUPTIONS: tuple[Corruption, ...] = (
    Corruption("noise", "std in grey values", (4, 8, 16, 32, 64), noise),
    Corruption("blur", "std in pixels of 32", (0.3, 0.5, 0.8, 1.2, 2.0), blur),
    Corruption("contrast", "factor", (0.8, 0.6, 0.4, 0.25, 0.1), contrast),
    Corruption("brightness", "factor", (0.8, 0.65, 0.5, 0.35, 0.2), brightness),
    Corruption("shift", "pixels of 32", (1, 2, 3, 5, 8), shift),
    Corruption("rotation", "degrees", (5, 10, 20, 30, 45), rotation),
    Corruption("JPEG", "quality", (80, 50, 30, 15, 5), jpeg),
)
