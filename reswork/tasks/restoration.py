"""Restoration: a photograph as it was, from a smaller or a noisy one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reswork.datasets.dataset import Dataset
from reswork.datasets.photographs import enlarged
from reswork.errors import InvalidSetting
from reswork.results.answers import ImageAnswers
from reswork.results.metrics import Metric
from reswork.tasks.output import check_output_shape
from reswork.tasks.task import Evaluation

if TYPE_CHECKING:
    from reswork.training.recipe import Recipe

_LUMA = (
    65.481,
    128.553,
    24.966,
)  # Y of red, green and blue from 0 to 1, ITU-R BT.601; black is 16, white 235
_GOOD_DB = 30.0
_LEAST_ERROR = 1e-4  # of equal images, whose PSNR would be infinite
_EXPLAINED_SIDE = 16  # pixels of what comes out
_LEAST_SIDE = 11  # of SSIM's window


@dataclass(frozen=True)
class Restoration:
    """Another image for each image: targets (N, C, sH, sW) uint8, outputs the same as floats, learned by L1.

    What goes in and what comes out runs from 0 to 1. The metrics are counted as in the papers on super-resolution: both
    images rounded to bytes, of colours only the luma Y, a border of as many pixels as the scale left out; none without
    enlargement. As the images are tiles, and PSNR of a tile of sky has no bound, PSNR is that of the squared error over
    all of them; `restoration_scores` gives that of each whole photograph, whose mean the papers print. The score of one
    batch leaves out no border.

    Reference:
        arXiv 1511.04587 (VDSR), section 4; arXiv 1707.02921 (EDSR): L1 rather than L2, section 4.2. SSIM: Wang et al.
        2004, Gaussian window of 11x11.
    """

    kind = "restoration"
    metrics = (
        Metric("psnr", "PSNR", ".2f", True, "Decibels: how small the squared error is beside white; 6 dB halve it.",
               "dB"),
        Metric("ssim", "SSIM", ".4f", True, "How alike means, contrasts and patterns are in small windows, up to 1."),
        Metric("gain", "gain over bicubic", "+.2f", True,
               "PSNR less that of bicubic interpolation, or of the noisy image, on the same images.", "dB"),
    )  # fmt: skip

    def check_data(self, data: Dataset) -> None:
        """Refuse targets that are no images, and images that are shifted or scaled before they go in.

        Raises:
            InvalidSetting: in one sentence.
        """
        if data.target_kind != "images":
            raise InvalidSetting(
                "task",
                f"the targets of {data.name} are {data.target_kind}; restoration learns from images that shall come "
                "out, see datasets.photographs",
            )
        if any(data.mean) or any(each != 1 for each in data.std):
            raise InvalidSetting(
                "data", f"{data.name} has mean {data.mean} and std {data.std}: for restoration give 0 and 1"
            )
        if min(data.train.targets.shape[2:]) - 2 * _border(data.train.scale) < _LEAST_SIDE:
            raise InvalidSetting(
                "data",
                f"images of {min(data.train.targets.shape[2:])} pixels are too small: give patches of 32",
            )

    def check_recipe(self, recipe: "Recipe") -> None:
        """Refuse what would take a picture and its target apart.

        Raises:
            InvalidSetting: in one sentence.
        """
        settings = {
            "mixup": recipe.mixup,
            "label_smoothing": recipe.label_smoothing,
            **{name: value for name, value in recipe.augmentation.to_dict().items() if name != "flip"},
        }
        for name, value in settings.items():
            if value:
                raise InvalidSetting(
                    name,
                    f"{name}={value} does not fit images that shall come out as they were; choose {0 * value}",
                )

    def check_output(self, model: nn.Module, output: object, data: Dataset) -> None:
        """Refuse what is not (N, C, sH, sW).

        Raises:
            InvalidSetting: in one sentence.
        """
        wanted, scale = (2, *data.train.targets.shape[1:]), data.train.scale
        build = f"rw.edsr(scale={scale}) or rw.vdsr(scale={scale})"
        check_output_shape(model, output, wanted, "images", f"{data.name} has images", "head", build)

    def head(self, data: Dataset) -> dict[str, Any]:
        """The fields of `ResNetConfig` that follow from the data, with those without which nothing is restored."""
        channels = data.input_shape[0]
        return {
            "in_channels": channels, "num_classes": channels, "head": "edsr", "scale": data.train.scale,
            "norm": "none", "order": "pre",
        }  # fmt: skip

    def call(self, model: Callable[..., Any], inputs: Tensor, targets: Tensor | None = None) -> Any:
        """Images (N, C, sH, sW), float32, about 0 to 1."""
        output = model(inputs)
        return output.float() if isinstance(output, Tensor) else output

    def loss(
        self, output: Tensor, targets: Tensor, recipe: "Recipe", class_weights: Tensor | None = None
    ) -> Tensor:
        """Mean absolute difference, white being 1."""
        return F.l1_loss(output, targets.float() / 255)

    def weight(self, targets: Tensor, class_weights: Tensor | None = None) -> float | Tensor:
        """Images."""
        return len(targets)

    def score(self, output: Tensor, targets: Tensor) -> Tensor:
        """PSNR of Y over the whole batch."""
        return decibels(squared_error(output.detach(), targets).mean()).float()

    def meter(self, data: Dataset, device: torch.device) -> "ImageMeter":
        """PSNR and SSIM of each image."""
        return ImageMeter(data)

    def answers(self, output: Tensor) -> ImageAnswers:
        """The images as bytes."""
        return ImageAnswers(as_bytes(output.detach()).cpu().numpy())

    def right(self, output: Tensor, targets: Tensor) -> Tensor:
        """Whether each image has a PSNR of 30 dB or more."""
        return psnr(output, targets) >= _GOOD_DB

    def explained(self, output: Tensor, reference: Tensor | None = None) -> Tensor:
        """The detail in the middle, (N, 1): the mean difference of neighbouring pixels there.

        Reference:
            arXiv 2011.11036: which pixels going in a network uses for one place of what comes out.
        """
        side = min(_EXPLAINED_SIDE, *output.shape[2:])
        top, left = ((length - side) // 2 for length in output.shape[2:])
        middle = output[:, :, top : top + side, left : left + side]
        rows, columns = middle.diff(dim=2).abs().flatten(1), middle.diff(dim=3).abs().flatten(1)
        return torch.cat([rows, columns], 1).mean(1, keepdim=True)


class ImageMeter:
    """PSNR and SSIM of each image, and what bicubic interpolation of the same test images has.

    Args:
        data: with scale and the images that go in.
    """

    def __init__(self, data: Dataset) -> None:
        self._data = data
        self._border = _border(data.test.scale)
        self._found: list[tuple[Tensor, Tensor, Tensor]] = []

    def update(self, output: Tensor, targets: Tensor) -> None:
        """Count one more batch."""
        losses = (output - targets.float() / 255).abs().flatten(1).mean(1)
        self._found.append(
            (
                losses.double(),
                squared_error(output, targets, self._border),
                ssim(output, targets, self._border),
            )
        )

    def compute(self) -> Evaluation:
        """The metrics of all batches so far."""
        losses, squares, alike = (torch.cat(values) for values in zip(*self._found, strict=True))
        test, usual = self._data.test, []
        for images, targets in zip(test.images.split(100), test.targets.split(100), strict=True):
            usual.append(squared_error(enlarged(images.float() / 255, test.scale), targets, self._border))
        found = float(decibels(squares.mean()))
        metrics = {
            "loss": float(losses.mean()),
            "psnr": found,
            "ssim": float(alike.mean()),
            "gain": found - float(decibels(torch.cat(usual).mean())),
        }
        return Evaluation(metrics)


def psnr(output: Tensor, targets: Tensor, border: int = 0) -> Tensor:
    """Peak signal-to-noise ratio of each image in dB, as the papers count it.

    Args:
        output: (N, C, H, W) floats, 0 to 1.
        targets: (N, C, H, W) uint8.
        border: pixels left out at each side.

    Returns:
        (N,) float64; of equal images 88 dB, that of a squared error of 0.0001.
    """
    return decibels(squared_error(output, targets, border))


def squared_error(output: Tensor, targets: Tensor, border: int = 0) -> Tensor:
    """Mean squared difference of Y in bytes, (N,) float64; arguments as those of `psnr`."""
    return (_luma(as_bytes(output), border) - _luma(targets, border)).square().mean((1, 2, 3))


def decibels(squares: Tensor) -> Tensor:
    """Squared errors in bytes as PSNR in dB."""
    return 10 * (255.0**2 / squares.clamp(min=_LEAST_ERROR)).log10()


def ssim(output: Tensor, targets: Tensor, border: int = 0) -> Tensor:
    """Structural similarity of each image, (N,) float64, by torchmetrics; arguments as those of `psnr`."""
    from torchmetrics.functional.image import structural_similarity_index_measure

    answered, true = _luma(as_bytes(output), border), _luma(targets, border)
    parts = []
    for a, b in zip(
        answered.split(16), true.split(16), strict=True
    ):  # five copies of each in double precision
        _, maps = structural_similarity_index_measure(
            a, b, data_range=255.0, reduction="none", return_full_image=True
        )
        edge = _LEAST_SIDE // 2  # where the window lies within the image, as its authors have it
        parts.append(maps[:, :, edge:-edge, edge:-edge].flatten(1).mean(1))
    return torch.cat(parts)


def as_bytes(images: Tensor) -> Tensor:
    """From 0 to 1 to uint8, as a file would keep it."""
    return images if images.dtype == torch.uint8 else (images * 255).round().clamp(0, 255).to(torch.uint8)


def _luma(images: Tensor, border: int) -> Tensor:
    """(N, 1, H, W) float64 of bytes, 16 to 235; of grey images their bytes; without the border."""
    inner = images[:, :, border : images.shape[2] - border, border : images.shape[3] - border].double()
    if inner.shape[1] != 3:
        return inner.mean(1, keepdim=True)
    weights = torch.tensor(_LUMA, dtype=torch.float64, device=images.device) / 255
    return 16 + (inner * weights.view(1, 3, 1, 1)).sum(1, keepdim=True)


def _border(scale: int) -> int:
    return scale if scale > 1 else 0
