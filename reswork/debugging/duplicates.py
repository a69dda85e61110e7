"""Images that are there twice, within a split or in both: exact, stored again, mirrored, brightened."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from reswork.debugging.traits import grey
from reswork.results.data_findings import Duplicates

THRESHOLD = 0.9
_SIDE = 16  # pixels of the small images that are compared first
_CANDIDATE = 0.6  # cosine of whitened small images, above which two are looked at in full
_NEIGHBOURS = 8  # most that one image is compared with in full
_FITTED = 10_000  # images that the whitening is fitted to
_FLOOR = 1e-3  # of the largest variance, added to all: what JPEG changes is below
_CELLS = 2**25  # similarities at once
_BRIGHTER = (0.03, 4.0)  # gain or offset (grey values) above which brightness was changed
_SMOOTHED = 0.6  # of the fine detail is left: below it the image was resized
_ROWS = 2048


@dataclass(frozen=True, eq=False)
class _Pairs:
    first: np.ndarray  # (M,) int64
    second: np.ndarray  # (M,) int64, in both sets one after the other
    mirrored: np.ndarray  # (M,) bool

    @staticmethod
    def joined(parts: "list[_Pairs]") -> "_Pairs":
        columns = [(part.first, part.second, part.mirrored) for part in parts]
        first, second, mirrored = (np.concatenate(each) for each in zip(*columns, strict=True))
        return _Pairs(first.astype(np.int64), second.astype(np.int64), mirrored.astype(bool))


def duplicates(
    images: np.ndarray,
    others: np.ndarray | None = None,
    *,
    threshold: float = THRESHOLD,
    stopped: Callable[[], bool] = lambda: False,
) -> Duplicates:
    """Pairs of images that show the same but for how they were stored or shown.

    All images are made small and grey, and their covariance is taken out, so that two images that are alike only as all
    images are (a bright sky above) count as unlike. Whichever are near each other then, plain or mirrored, are compared
    in full size and colour: the correlation of their pixels and of their edges, of which the smaller one counts.

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
    near = _near(both, kept, len(images), stopped)
    pairs = _Pairs.joined([exact, near])
    score, kind = _compared(both, pairs, len(exact.first))
    rows = np.flatnonzero(score >= threshold)
    rows = rows[np.argsort(-score[rows], kind="stable")]
    other = pairs.second[rows] >= len(images)
    second = np.where(other, pairs.second[rows] - len(images), pairs.second[rows])
    return Duplicates(pairs.first[rows], second, other, score[rows], kind[rows])


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
    return _Pairs(np.array(first), np.array(second), np.zeros(len(first))), np.array(kept)


def _near(images: np.ndarray, kept: np.ndarray, own: int, stopped: Callable[[], bool]) -> _Pairs:
    """Candidates among those of ``kept``: the first always one of the images' own split."""
    plain, mirrored = _whitened(images, kept)
    asked = int((kept < own).sum())
    step = max(1, _CELLS // max(len(kept), 1))
    found = [_Pairs(np.zeros(0), np.zeros(0), np.zeros(0))]
    for start in range(0, asked, step):
        if stopped():
            break
        rows = plain[start : min(start + step, asked)]
        for flipped, table in ((False, plain), (True, mirrored)):
            likeness = rows @ table.T
            later = torch.arange(len(kept))[None] > torch.arange(start, start + len(rows))[:, None]
            best = torch.where(later, likeness, -1.0).topk(min(_NEIGHBOURS, len(kept)), dim=1)
            row, column = np.nonzero((best.values >= _CANDIDATE).numpy())
            second = best.indices.numpy()[row, column]
            found.append(_Pairs(kept[start + row], kept[second], np.full(len(row), flipped)))
    return _Pairs.joined(found)


def _whitened(images: np.ndarray, kept: np.ndarray) -> tuple[Tensor, Tensor]:
    """Small grey versions, without what all images have in common, of length 1: as they are, and mirrored."""
    small = torch.cat([_small(images[kept[k : k + _ROWS]]) for k in range(0, len(kept), _ROWS)])  # (n, h, w)
    flipped = small.flip(2)
    sample = torch.from_numpy(np.random.default_rng(0).permutation(len(small))[:_FITTED])
    fitted = torch.cat([small[sample], flipped[sample]]).flatten(1)
    centre = fitted.mean(dim=0)
    values, vectors = torch.linalg.eigh((fitted - centre).T @ (fitted - centre) / len(fitted))
    scale = vectors / (values.clamp(min=0) + _FLOOR * values.max().clamp(min=1e-12)).sqrt()
    return tuple(F.normalize((each.flatten(1) - centre) @ scale, dim=1) for each in (small, flipped))  # type: ignore[return-value]


def _small(images: np.ndarray) -> Tensor:
    """(n, h, w) float32 at most 16 pixels a side, each with mean 0 and length 1; a flat one is all 0."""
    shades = torch.from_numpy(grey(images))
    side = (min(_SIDE, shades.shape[1]), min(_SIDE, shades.shape[2]))
    small = F.adaptive_avg_pool2d(shades[:, None], side)[:, 0]
    small = small - small.mean(dim=(1, 2), keepdim=True)
    length = small.flatten(1).norm(dim=1)[:, None, None]
    return torch.where(length > 1e-3, small / length.clamp(min=1e-3), 0.0)


def _compared(images: np.ndarray, pairs: _Pairs, exact: int) -> tuple[np.ndarray, np.ndarray]:
    """Likeness and kind of each pair, in full size; the first ``exact`` pairs are equal."""
    score = np.ones(len(pairs.first))
    kind = np.full(len(pairs.first), "exact", dtype="<U10")
    for start in range(exact, len(pairs.first), _ROWS):
        rows = slice(start, min(start + _ROWS, len(pairs.first)))
        left = torch.from_numpy(images[pairs.first[rows]]).float()
        right = torch.from_numpy(images[pairs.second[rows]]).float()
        flipped = torch.from_numpy(pairs.mirrored[rows])
        right = torch.where(flipped[:, None, None, None], right.flip(3), right)
        pixels, gain, offset = _fit(left.flatten(1), right.flatten(1))
        fine = [_edges(each) for each in (left, right)]
        coarse = [
            _edges(F.avg_pool2d(each, 2)) if min(each.shape[2:]) >= 8 else _edges(each)
            for each in (left, right)
        ]
        edges = _fit(*coarse)[0]
        score[rows] = torch.minimum(pixels, edges).clamp(0, 1).numpy()
        detail = [each.square().sum(dim=1).sqrt() for each in fine]
        left_over = torch.minimum(detail[0] * gain.abs(), detail[1]) / torch.maximum(
            detail[0] * gain.abs(), detail[1]
        ).clamp(min=1e-6)
        changed = ((gain - 1).abs() > _BRIGHTER[0]) & (offset.abs() + 128 * (gain - 1).abs() > _BRIGHTER[1])
        kind[rows] = np.select(
            [flipped.numpy(), changed.numpy(), (left_over < _SMOOTHED).numpy()],
            ["mirrored", "brightness", "resized"],
            "compressed",
        )
    return score, kind


def _fit(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Correlation of each row, and gain and offset that make the left one most like the right one."""
    means = left.mean(dim=1, keepdim=True), right.mean(dim=1, keepdim=True)
    one, two = left - means[0], right - means[1]
    both, own = (one * two).sum(dim=1), one.square().sum(dim=1)
    gain = both / own.clamp(min=1e-6)
    correlation = both / (own * two.square().sum(dim=1)).sqrt().clamp(min=1e-6)
    return correlation, gain, (means[1] - gain[:, None] * means[0])[:, 0]


def _edges(images: Tensor) -> Tensor:
    """(n, P) differences of neighbours, in both directions."""
    across, down = images.diff(dim=3), images.diff(dim=2)
    return torch.cat([across.flatten(1), down.flatten(1)], dim=1)
