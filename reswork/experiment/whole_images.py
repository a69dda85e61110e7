"""Whole images and photographs through a trained network in tiles, and how near they come to what they were."""

import os
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from reswork.datasets.augmentation import normalise
from reswork.datasets.dataset import Dataset
from reswork.datasets.photographs import enlarged, fitting, smaller, whole_photographs, with_noise
from reswork.errors import InvalidSetting
from reswork.models.tiles import in_tiles
from reswork.tasks.restoration import as_bytes, psnr, ssim
from reswork.training.evaluation import evaluating


@dataclass(frozen=True)
class RestorationScore:
    """One photograph, as a network gives it back and as bicubic interpolation does.

    Attributes:
        name: of the photograph.
        psnr: dB, of Y, without a border of as many pixels as the scale.
        ssim: the same way, up to 1.
        bicubic_psnr: of bicubic interpolation; of the noisy photograph where nothing is enlarged.
        bicubic_ssim: the same.
    """

    name: str
    psnr: float
    ssim: float
    bicubic_psnr: float
    bicubic_ssim: float

    @property
    def gain(self) -> float:
        """The network's PSNR less the other one, dB."""
        return self.psnr - self.bicubic_psnr

    def __str__(self) -> str:
        return (
            f"{self.name}: {self.bicubic_psnr:.2f} -> {self.psnr:.2f} dB ({self.gain:+.2f}), "
            f"SSIM {self.bicubic_ssim:.3f} -> {self.ssim:.3f}"
        )


def restore(model: nn.Module, image: Tensor, *, tile: int = 256, overlap: int = 32) -> Tensor:
    """A photograph of any size through a network for super-resolution or denoising, in tiles where it is large.

    Args:
        model: of `edsr` or `vdsr`, or any that takes and gives pictures from 0 to 1.
        image: uint8, (C, H, W).
        tile: see `in_tiles`.
        overlap: see `in_tiles`.

    Returns:
        uint8, (C, s * H, s * W), on the CPU.

    Raises:
        InvalidSetting: what is no picture, or a network that does not give one.
    """
    if not isinstance(image, Tensor) or image.dtype != torch.uint8 or image.dim() != 3:
        shown = f"{image.dtype}, {tuple(image.shape)}" if isinstance(image, Tensor) else type(image).__name__
        raise InvalidSetting("image", f"image is {shown}: give a picture as torch.uint8, (C, H, W)")
    weight = next(model.parameters())
    inputs = image[None].to(weight.device).float() / 255
    with torch.no_grad(), evaluating(model):
        found = in_tiles(model, inputs.to(weight.dtype), tile=tile, overlap=overlap)
    return as_bytes(found[0].float()).cpu()


def segment(
    model: nn.Module, image: Tensor | np.ndarray, data: Dataset, *, tile: int = 256, overlap: int = 64
) -> Tensor:
    """The mask of an image or a volume of any size, in tiles, of which only one is in memory with its logits.

    Args:
        model: that gives logits for each pixel, such as `unet` and `fcn`.
        image: uint8, (C, H, W), also a ``numpy.memmap`` of a file larger than memory; of volumes float32, (C, D, H, W).
        data: that it was trained on, for mean and standard deviation.
        tile: see `in_tiles`.
        overlap: see `in_tiles`; half of the network's receptive field makes tiles equal the whole.

    Returns:
        uint8, (H, W) or (D, H, W), on the CPU.

    Raises:
        InvalidSetting: another kind of image than the network was trained on, or a network without logits for pixels.

    Example:
        >>> from reswork.datasets import scenes
        >>> from reswork.models.network import unet
        >>> data = scenes(train=8, test=2, size=16)
        >>> segment(unet(depth=8, width=4, num_classes=7), torch.zeros(3, 50, 41, dtype=torch.uint8), data).shape
        torch.Size([50, 41])
    """
    axes = len(data.input_shape)
    if image.ndim != axes or image.shape[0] != data.input_shape[0]:
        raise InvalidSetting(
            "image",
            f"image has the shape {tuple(image.shape)}: give one with {data.input_shape[0]} channel(s) and {axes - 1} "
            f"axes behind them, as {data.name} has",
        )
    if data.input_kind == "images" and image.dtype not in (torch.uint8, np.uint8):
        raise InvalidSetting("image", f"image is {image.dtype}: give bytes, uint8, as files have them")
    device = next(model.parameters()).device

    def classes_of(part: Tensor | np.ndarray) -> Tensor:
        inputs = torch.as_tensor(np.ascontiguousarray(part) if isinstance(part, np.ndarray) else part)
        logits = model(normalise(inputs.to(device), data.mean, data.std))
        return logits.argmax(1, keepdim=True).to(torch.uint8).cpu()

    with torch.no_grad(), evaluating(model):
        return in_tiles(classes_of, image[None], tile=tile, overlap=overlap)[0, 0]


def restoration_scores(
    model: nn.Module,
    folder: str | os.PathLike[str] | None = None,
    *,
    scale: int = 2,
    noise: float = 0.0,
    seed: int = 0,
) -> tuple[RestorationScore, ...]:
    """PSNR and SSIM of whole photographs that `photographs` keeps for the test, as the papers count them.

    Args:
        model: that was trained with the same scale and noise.
        folder: as in `photographs`.
        scale: how many times smaller the photograph is made.
        noise: standard deviation of what is added then, in bytes.
        seed: of the noise, and of the choice in `photographs`.

    Raises:
        InvalidSetting: photographs that cannot be used, or a network that gives another size.
    """
    found = []
    border = scale if scale > 1 else 0
    for name, image in whole_photographs(folder, seed=seed).items():
        truth = fitting(image, scale)
        given = with_noise(smaller(truth, scale), noise, torch.Generator().manual_seed(seed))
        answered, usual = restore(model, given)[None], as_bytes(enlarged(given[None].float() / 255, scale))
        if answered.shape != usual.shape:
            raise InvalidSetting(
                "scale",
                f"scale={scale} makes {tuple(usual.shape[2:])} of {name}, and the network "
                f"{tuple(answered.shape[2:])}: give the scale that it was built for",
            )
        scores = [
            float(metric(each, truth[None], border)) for each in (answered, usual) for metric in (psnr, ssim)
        ]
        found.append(RestorationScore(name, *scores))
    return tuple(found)
