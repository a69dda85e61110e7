"""What masks and pictures look like without a network: by brightness, by colour, by interpolation."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from reswork.datasets.dataset import Dataset
from reswork.datasets.photographs import enlarged
from reswork.datasets.targets import IGNORED
from reswork.tasks.restoration import as_bytes, squared_error

_LEVELS = 256  # of brightness, between the darkest and the brightest training pixel
_CELLS = 8  # of each colour
_WIDTHS = tuple(np.arange(0.3, 2.6, 0.1).round(1).tolist())  # of a blur, in pixels
_AT_ONCE = 100


def mask_methods(data: Dataset) -> dict[str, Callable[[], np.ndarray]]:
    """Answers to the test masks, uint8 as they are, by methods that look at each pixel alone."""
    return {
        "threshold": lambda: _thresholded(data),
        "colour of the pixel": lambda: _by_colour(data),
    }


def picture_methods(data: Dataset) -> dict[str, Callable[[], np.ndarray]]:
    """Pictures for the test split, uint8, by interpolation; of noisy ones as they are and blurred."""
    scale = data.test.scale
    if scale > 1:
        return {
            "bicubic interpolation": lambda: _in_parts(data, lambda images: enlarged(images, scale)),
            "nearest pixel": lambda: _in_parts(
                data, lambda images: F.interpolate(images, scale_factor=scale)
            ),
        }
    return {
        "as it is": lambda: data.test.images.cpu().numpy(),
        "Gaussian blur": lambda: _blurred_best(data),
    }


def _thresholded(data: Dataset) -> np.ndarray:
    """Otsu's threshold of each image (1979): each side is the class that is most frequent there in training."""
    low, high = _range(data)
    classes = len(data.classes)
    counts = torch.zeros(2, classes, dtype=torch.int64)
    for images, masks in _parts(data.train.inputs, data.train.targets):
        bright = _bright_side(_brightness(images, low, high))
        for side in (0, 1):
            counts[side] += torch.bincount(masks[(bright == side) & (masks != IGNORED)], minlength=classes)
    named = counts.argmax(1)
    if named[0] == named[1]:  # mostly the ground on both sides: what comes next where there is less of it
        share = counts[:, named[0]] / counts.sum(1).clamp(min=1)
        side = int(share.argmin())
        counts[side, named[0]] = 0
        named[side] = counts[side].argmax()
    found = [
        named[_bright_side(_brightness(images, low, high))]
        for images, _ in _parts(data.test.inputs, data.test.targets)
    ]
    return torch.cat(found).to(torch.uint8).numpy()


def _bright_side(levels: Tensor) -> Tensor:
    """Which pixels lie above the threshold that parts each image's levels best, 0 or 1, int64."""
    histograms = torch.stack([torch.bincount(each.flatten(), minlength=_LEVELS) for each in levels]).double()
    places = torch.arange(_LEVELS, dtype=torch.float64)
    below, total = histograms.cumsum(1), histograms.sum(1, keepdim=True)
    sums = (histograms * places).cumsum(1)
    above = total - below
    between = (
        below * above * (sums / below.clamp(min=1) - (sums[:, -1:] - sums) / above.clamp(min=1)).square()
    )
    threshold = between.argmax(1).view(-1, *(1,) * (levels.dim() - 1))
    return (levels > threshold).long()


def _by_colour(data: Dataset) -> np.ndarray:
    """The class that pixels of about this colour mostly have in training: no pixel knows of its neighbours."""
    low, high = _range(data)
    classes, channels = len(data.classes), min(data.input_shape[0], 3)
    cells = _CELLS**channels if channels > 1 else _LEVELS
    counts = torch.zeros(cells * classes, dtype=torch.int64)
    for images, masks in _parts(data.train.inputs, data.train.targets):
        counted = masks != IGNORED
        index = _cell(images, low, high)[counted] * classes + masks[counted]
        counts += torch.bincount(index, minlength=cells * classes)
    table = counts.view(cells, classes)
    named = table.argmax(1)
    named[table.sum(1) == 0] = table.sum(0).argmax()
    found = [named[_cell(images, low, high)] for images, _ in _parts(data.test.inputs, data.test.targets)]
    return torch.cat(found).to(torch.uint8).numpy()


def _cell(images: Tensor, low: float, high: float) -> Tensor:
    """Number of the cell of colours of each pixel, int64; of one channel the brightness."""
    if images.shape[1] == 1:
        return _brightness(images, low, high)
    fine = _level(images[:, :3].float(), low, high, _CELLS)
    weights = _CELLS ** torch.arange(fine.shape[1]).view(1, -1, *(1,) * (fine.dim() - 2))
    return (fine * weights).sum(1)


def _brightness(images: Tensor, low: float, high: float) -> Tensor:
    """Levels 0 to 255 of the mean over the channels, int64."""
    return _level(images.float().mean(1), low, high, _LEVELS)


def _level(values: Tensor, low: float, high: float, levels: int) -> Tensor:
    return ((values - low) / max(high - low, 1e-12) * levels).long().clamp(0, levels - 1)


def _range(data: Dataset) -> tuple[float, float]:
    if data.input_kind == "images":
        return 0.0, 256.0
    low, high = data.train.inputs.aminmax()
    return float(low), float(high)


def _parts(inputs: Tensor, targets: Tensor) -> list[tuple[Tensor, Tensor]]:
    pairs = zip(inputs.split(_AT_ONCE), targets.split(_AT_ONCE), strict=True)
    return [(images.cpu(), masks.cpu().long()) for images, masks in pairs]


def _in_parts(data: Dataset, method: Callable[[Tensor], Tensor]) -> np.ndarray:
    """A method from 0 to 1 over the test images, as bytes."""
    found = [as_bytes(method(images.cpu().float() / 255)) for images in data.test.images.split(_AT_ONCE)]
    return torch.cat(found).numpy()


def _blurred_best(data: Dataset) -> np.ndarray:
    """The blur whose width errs least on the training images."""
    images, truth = data.train.images[:_AT_ONCE].cpu(), data.train.targets[:_AT_ONCE].cpu()
    errors = [float(squared_error(_blurred(images.float() / 255, width), truth).mean()) for width in _WIDTHS]
    best = _WIDTHS[int(np.argmin(errors))]
    return _in_parts(data, lambda images: _blurred(images, best))


def _blurred(images: Tensor, width: float) -> Tensor:
    """By a Gaussian of this standard deviation, mirrored at the edges."""
    reach = min(int(3 * width) + 1, min(images.shape[2:]) - 1)
    kernel = torch.exp(-torch.arange(-reach, reach + 1).square() / (2 * width**2))
    kernel = (kernel / kernel.sum()).view(1, 1, 1, -1).expand(images.shape[1], 1, 1, -1)
    found = F.pad(images, (reach,) * 4, mode="reflect")
    for each in (kernel, kernel.transpose(2, 3)):
        found = F.conv2d(found, each, groups=images.shape[1])
    return found
