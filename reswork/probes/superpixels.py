"""Regions of similar colour (superpixels), and what covering many of them at once says about each."""

import math
from collections.abc import Callable
from functools import partial
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reswork.probes.scalar_model import ScalarModel

_ROUNDS = 5
_MOST_ENUMERATED = 2**12  # all ways of covering, where there are no more

Scores = Callable[[NDArray[np.bool_]], NDArray[np.float64]]  # which regions are shown, (S, K), to scores (S,)


def superpixels(images: Tensor, count: int) -> Tensor:
    """Regions of each picture, by k-means over colour and place from a regular grid.

    A region may fall into several pieces: nothing here makes it one.

    Args:
        images: (N, C, H, W).
        count: about so many regions; never more than pixels.

    Returns:
        int64 (N, H, W), numbered from 0 without a gap, on the images' device.

    Reference:
        Achanta 2012, doi:10.1109/TPAMI.2012.120, without its last step.
    """
    return torch.stack([_regions(image.float(), count) for image in images])


def _regions(image: Tensor, count: int) -> Tensor:
    channels, height, width = image.shape
    rows = max(1, min(height, round(math.sqrt(count * height / width))))
    columns = max(1, min(width, round(count / rows)))
    y = (torch.arange(height, device=image.device) + 0.5) * rows / height  # in cells of the grid
    x = (torch.arange(width, device=image.device) + 0.5) * columns / width
    index = torch.stack(torch.meshgrid(y, x, indexing="ij"), dim=-1)  # (H, W, 2)
    spread = float(image.std()) or 1.0
    points = torch.cat([image.permute(1, 2, 0) / spread, index], dim=-1).flatten(0, 1)  # (HW, C + 2)
    labels = (index[..., 0].long() * columns + index[..., 1].long()).flatten()
    for _ in range(_ROUNDS):
        used, labels = labels.unique(return_inverse=True)
        size = torch.bincount(labels, minlength=len(used)).to(points.dtype)
        centres = torch.zeros(len(used), channels + 2, device=points.device, dtype=points.dtype)
        centres = centres.index_add_(0, labels, points) / size[:, None]
        labels = torch.cdist(points, centres).argmin(dim=1)
    return labels.unique(return_inverse=True)[1].view(height, width)


@torch.no_grad()
def shapley_values(
    scalar_model: ScalarModel,
    images: Tensor,
    weights: Tensor,
    references: Tensor,
    *,
    regions: Tensor,
    samples: int,
    at_once: int,
    seed: int,
) -> Tensor:
    """KernelSHAP of each region, painted on its pixels, so that a picture's pixels sum up to its values.

    Exact where all ways of covering the regions are no more than the samples.

    Returns:
        (M, 1, H, W); a region's value is spread evenly over its pixels.

    Reference:
        Lundberg 2017, arXiv:1705.07874, theorem 2.
    """

    def values(count: int, scores: Scores) -> NDArray[np.float64]:
        shown, kernel = _coalitions(count, samples, seed)
        ends = np.stack([np.zeros(count, bool), np.ones(count, bool)])
        found = scores(np.concatenate([ends, shown]))
        return _constrained_fit(shown, found[2:] - found[0], kernel, found[1] - found[0])

    return _maps(scalar_model, images, weights, references, regions, at_once, values, share=True)


@torch.no_grad()
def lime_values(
    scalar_model: ScalarModel,
    images: Tensor,
    weights: Tensor,
    references: Tensor,
    *,
    regions: Tensor,
    samples: int,
    at_once: int,
    seed: int,
) -> Tensor:
    """LIME's coefficient of each region, painted on its pixels, (M, 1, H, W).

    A ridge regression over random covers, nearer ones weighing more.

    Reference:
        Ribeiro 2016, arXiv:1602.04938.
    """

    def values(count: int, scores: Scores) -> NDArray[np.float64]:
        shown = np.random.default_rng(seed).random((samples, count)) < 0.5
        shown[0] = True
        distance = 1 - np.sqrt(shown.mean(axis=1))  # of the cosine, to the whole picture
        return _ridge(shown, scores(shown), np.exp(-((distance / 0.25) ** 2) / 2))

    return _maps(scalar_model, images, weights, references, regions, at_once, values, share=False)


def _maps(
    scalar_model: ScalarModel,
    images: Tensor,
    weights: Tensor,
    references: Tensor,
    regions: Tensor,
    at_once: int,
    values: Callable[[int, Scores], NDArray[np.float64]],
    *,
    share: bool,
) -> Tensor:
    """The values of each picture's regions, painted, (M, 1, H, W)."""
    maps = []
    for image, weight, reference, region in zip(images, weights, references, regions, strict=True):
        scores = partial(_scores, scalar_model, image, weight, reference, region, at_once)
        maps.append(_painted(values(int(region.max()) + 1, scores), region, share=share))
    return torch.stack(maps)[:, None].to(images)


def _scores(
    scalar_model: ScalarModel,
    image: Tensor,
    weight: Tensor,
    reference: Tensor,
    region: Tensor,
    at_once: int,
    shown: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """The score with only some regions shown, (S,)."""
    found = []
    for part in torch.from_numpy(shown).to(image.device).split(at_once):
        mixed = torch.where(part[:, region][:, None], image, reference)  # (s, C, H, W)
        found.append(scalar_model(mixed, weight.expand(len(part), -1)))
    return torch.cat(found).cpu().double().numpy()


def _coalitions(count: int, samples: int, seed: int) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Which regions are shown, (S, K), and the weight of each way, (S,); neither none nor all."""
    if 2**count - 2 <= min(samples, _MOST_ENUMERATED):
        shown = np.array(list(product((False, True), repeat=count)), bool).reshape(-1, count)[1:-1]
        sizes = shown.sum(axis=1)
        ways = np.array([math.comb(count, int(size)) for size in sizes], np.float64)
        return shown, (count - 1) / (ways * sizes * (count - sizes))
    random = np.random.default_rng(seed)
    sizes = np.arange(1, count)
    probability = 1 / (sizes * (count - sizes))
    drawn = random.choice(sizes, size=-(-samples // 2), p=probability / probability.sum())
    ranks = random.random((len(drawn), count)).argsort(axis=1).argsort(axis=1)
    half = ranks < drawn[:, None]
    return np.concatenate([half, ~half]), np.ones(2 * len(half))  # each with its opposite: less chance


def _constrained_fit(
    shown: NDArray[np.bool_], gains: NDArray[np.float64], kernel: NDArray[np.float64], total: float
) -> NDArray[np.float64]:
    """Weighted least squares of the gains under the condition that the values sum up to the total, (K,)."""
    if shown.shape[1] == 1:
        return np.array([total])
    last = shown[:, -1:].astype(np.float64)
    design = shown[:, :-1] - last  # the last value is what remains
    root = np.sqrt(kernel)
    first, *_ = np.linalg.lstsq(design * root[:, None], (gains - last[:, 0] * total) * root, rcond=None)
    values: NDArray[np.float64] = np.append(first, total - first.sum())
    return values


def _ridge(
    shown: NDArray[np.bool_], scores: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Coefficients (K,) of a weighted ridge regression with a free constant."""
    from sklearn.linear_model import Ridge  # takes a second to import

    fitted = Ridge(alpha=1e-2 / len(shown)).fit(shown, scores, sample_weight=weights / weights.sum())
    coefficients: NDArray[np.float64] = fitted.coef_
    return coefficients


def _painted(values: NDArray[np.float64], region: Tensor, *, share: bool) -> Tensor:
    """Each region's value on its pixels, (H, W); divided among them where they shall sum up to it."""
    painted = torch.from_numpy(values).to(region.device)
    if share:
        painted = painted / torch.bincount(region.flatten(), minlength=len(values))
    return painted[region].float()
