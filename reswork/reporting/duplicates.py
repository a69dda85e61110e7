"""Images that are there twice, within a split or in both: exact, stored again, mirrored, brightened."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from reswork.reporting.traits import grey
from reswork.results.data_findings import Duplicates

THRESHOLD, WEAKEST = 0.8, 0.6  # likeness of a pair, and down to which a report keeps candidates
_SIDE = 16  # pixels of the small images that are compared
_CROWD = 8  # the neighbour that tells how alike images are around here
_CANDIDATE = 0.5  # cosine below which nothing is a copy, however lonely
_FITTED = 10_000  # images that the whitening is fitted to
_FLOOR = 1e-2  # of the largest variance, added to all: what JPEG changes is below
_LEAST = 1e-3  # of the largest variance; axes with less say next to nothing
_CELLS = 2**25  # similarities at once
_GAIN, _OFFSET = 0.1, 8.0  # change of contrast or of mid grey above which brightness was changed
_SMOOTHED = 0.8  # of the fine detail is left: below it the image was resized
_ROWS = 2048


@dataclass(frozen=True, eq=False)
class _Pairs:
    first: np.ndarray  # (M,) int64
    second: np.ndarray  # (M,) int64, in both sets one after the other
    mirrored: np.ndarray  # (M,) bool
    score: np.ndarray  # (M,) float64

    @staticmethod
    def joined(parts: "list[_Pairs]") -> "_Pairs":
        columns = [(part.first, part.second, part.mirrored, part.score) for part in parts]
        first, second, mirrored, score = (np.concatenate(each) for each in zip(*columns, strict=True))
        return _Pairs(first.astype(np.int64), second.astype(np.int64), mirrored.astype(bool), score)


def duplicates(
    images: np.ndarray,
    others: np.ndarray | None = None,
    *,
    threshold: float = THRESHOLD,
    stopped: Callable[[], bool] = lambda: False,
) -> Duplicates:
    """Pairs of images that show the same but for how they were stored or shown.

    All images are made small and grey, and their covariance is taken out, so that two images that are alike only as all
    images are (a bright sky above) count as unlike; each is compared with all others, plain and mirrored. How alike two
    have to be depends on how alike images are around them: likeness is 1 for equal ones and 0 for two that are as far
    apart as the first is from its eighth neighbour. Two trousers of a thousand are no copies, two photographs as alike
    would be.

    Args:
        images: (N, C, H, W) uint8; looked at among themselves.
        others: (M, C, H, W) uint8, such as the training images; looked at against ``images``.
        threshold: likeness from which two images are a pair, 0 to 1.
        stopped: asked now and then; true ends it with what was found so far.

    Returns:
        The pairs, the surest first; of three equal images two pairs with the first.
    """
    both = images if others is None else np.concatenate([images, others])
    exact, kept = _exact(both, len(images))
    near = _near(both, kept, len(images), threshold, stopped)
    pairs = _Pairs.joined([exact, near])
    kind = np.concatenate([np.full(len(exact.first), "exact", "<U10"), _kinds(both, near)])
    rows = np.argsort(-pairs.score, kind="stable")
    other = pairs.second[rows] >= len(images)
    second = np.where(other, pairs.second[rows] - len(images), pairs.second[rows])
    return Duplicates(pairs.first[rows], second, other, pairs.score[rows], kind[rows])


def _exact(images: np.ndarray, own: int) -> tuple[_Pairs, np.ndarray]:
    """Pairs of equal images with the first of them, and the numbers of those that are not a copy of an earlier one."""
    seen: dict[bytes, int] = {}
    first, second, kept = [], [], []
    for number, image in enumerate(images):
        before = seen.setdefault(image.tobytes(), number)
        if before == number:
            kept.append(number)
        elif before < own:  # two of the other split are its own affair
            first.append(before)
            second.append(number)
    count = len(first)
    return _Pairs(np.array(first), np.array(second), np.zeros(count), np.ones(count)), np.array(kept)


def _near(
    images: np.ndarray, kept: np.ndarray, own: int, threshold: float, stopped: Callable[[], bool]
) -> _Pairs:
    """Pairs among those of ``kept``: the first always one of the images' own split."""
    plain, mirrored = _whitened(images, kept)
    asked = int((kept < own).sum())
    step = max(1, _CELLS // max(len(kept), 1))
    found = [_Pairs(*(np.zeros(0) for _ in range(4)))]
    for start in range(0, asked, step):
        if stopped():
            break
        rows = plain[start : min(start + step, asked)]
        number = torch.arange(start, start + len(rows))[:, None]
        as_is, flipped = rows @ plain.T, rows @ mirrored.T
        alike = torch.maximum(as_is, flipped).scatter_(1, number, -1.0)
        row, column = (alike >= _CANDIDATE).nonzero(as_tuple=True)
        later = column > row + start
        row, column = row[later], column[later]
        lonely = len(kept) <= _CROWD
        some, place = row.unique(return_inverse=True)
        around = 0.0 if lonely else alike[some].topk(_CROWD, dim=1).values[:, -1][place]
        likeness = 1 - (1 - alike[row, column]) / (1 - torch.as_tensor(around)).clamp(min=1e-6)
        near = likeness >= threshold
        row, column = row[near], column[near]
        found.append(
            _Pairs(kept[start + row.numpy()], kept[column.numpy()], (flipped > as_is)[row, column].numpy(),
                   likeness[near].clamp(max=1).double().numpy())
        )  # fmt: skip
    return _Pairs.joined(found)


def _whitened(images: np.ndarray, kept: np.ndarray) -> tuple[Tensor, Tensor]:
    """Small grey versions, without what all images have in common, of length 1: as they are, and mirrored."""
    small = torch.cat([_small(images[kept[k : k + _ROWS]]) for k in range(0, len(kept), _ROWS)])  # (n, h, w)
    flipped = small.flip(2)
    sample = torch.from_numpy(np.random.default_rng(0).permutation(len(small))[:_FITTED])
    fitted = torch.cat([small[sample], flipped[sample]]).flatten(1)
    centre = fitted.mean(dim=0)
    values, vectors = torch.linalg.eigh((fitted - centre).T @ (fitted - centre) / len(fitted))
    largest = values.max().clamp(min=1e-12)
    kept_axes = values > _LEAST * largest
    scale = vectors[:, kept_axes] / (values[kept_axes] + _FLOOR * largest).sqrt()
    return tuple(F.normalize((each.flatten(1) - centre) @ scale, dim=1) for each in (small, flipped))  # type: ignore[return-value]


def _small(images: np.ndarray) -> Tensor:
    """(n, h, w) float32 at most 16 pixels a side, each with mean 0 and length 1; a flat one is all 0."""
    shades = torch.from_numpy(grey(images))
    side = (min(_SIDE, shades.shape[1]), min(_SIDE, shades.shape[2]))
    small = F.adaptive_avg_pool2d(shades[:, None], side)[:, 0]
    small = small - small.mean(dim=(1, 2), keepdim=True)
    length = small.flatten(1).norm(dim=1)[:, None, None]
    return torch.where(length > 1e-3, small / length.clamp(min=1e-3), 0.0)


def _kinds(images: np.ndarray, pairs: _Pairs) -> np.ndarray:
    """What was done to the second image of each pair, from both in full size."""
    kind = np.full(len(pairs.first), "", dtype="<U10")
    for start in range(0, len(kind), _ROWS):
        rows = slice(start, start + _ROWS)
        left = torch.from_numpy(images[pairs.first[rows]]).float()
        right = torch.from_numpy(images[pairs.second[rows]]).float()
        flipped = torch.from_numpy(pairs.mirrored[rows])
        right = torch.where(flipped[:, None, None, None], right.flip(3), right)
        gain, offset, detail = _measured(left, right)
        smoothed = detail < _SMOOTHED
        brighter = ((offset + 128 * (gain - 1)).abs() > _OFFSET) | ((gain - 1).abs() > _GAIN) & ~smoothed
        kind[rows] = np.select(
            [flipped.numpy(), brighter.numpy(), smoothed.numpy()],
            ["mirrored", "brightness", "resized"],
            "compressed",
        )
    return kind


def _measured(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Gain and offset of the grey values of each pair, and the share of fine detail that one of them still has."""
    left, right = (each.mean(dim=1, keepdim=True) for each in (left, right))  # JPEG halves colours anyway
    gain, offset = _fit(_pooled(left, 4), _pooled(right, 4))  # large areas, where nothing is lost
    one, two = _edges(left).norm(dim=1) * gain.abs(), _edges(right).norm(dim=1)
    return gain, offset, torch.minimum(one, two) / torch.maximum(one, two).clamp(min=1e-6)


def _pooled(images: Tensor, factor: int) -> Tensor:
    """Means over squares; images of less than two squares stay as they are."""
    return F.avg_pool2d(images, factor) if min(images.shape[2:]) >= 2 * factor else images


def _fit(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """Gain and offset that make each left image most like the right one."""
    left, right = left.flatten(1), right.flatten(1)
    means = left.mean(dim=1, keepdim=True), right.mean(dim=1, keepdim=True)
    one, two = left - means[0], right - means[1]
    gain = (one * two).sum(dim=1) / one.square().sum(dim=1).clamp(min=1e-6)
    return gain, (means[1] - gain[:, None] * means[0])[:, 0]


def _edges(images: Tensor) -> Tensor:
    """(n, P) differences of neighbours, in both directions."""
    across, down = images.diff(dim=3), images.diff(dim=2)
    return torch.cat([across.flatten(1), down.flatten(1)], dim=1)
