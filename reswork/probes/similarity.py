"""CKA: how alike two layers see the same images, whatever their sizes."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from reswork.errors import InvalidSetting
from reswork.probes.capture import Watch, watched
from reswork.probes.inputs import Inputs, batches, length, tensors
from reswork.probes.layer_lookup import block_names
from reswork.results.layers import Similarity

FEWEST = 4  # images in a batch; the unbiased estimate divides by n - 3


def cka(
    model: nn.Module,
    images: Inputs,
    other: nn.Module | None = None,
    *,
    layers: Sequence[str] | None = None,
    other_layers: Sequence[str] | None = None,
    batch_size: int = 256,
) -> Similarity:
    """How alike every two layers are, of one network or of two: a map with 1 for "the same".

    Read from it where the network changes its mind: squares along the diagonal are groups of layers that do
    nearly the same, their borders are usually the stages. A large square at the end of a deep network means
    that it has more layers than it uses. Two networks trained from other seeds agree early and differ late.

    Args:
        model: any network; while it trains, a snapshot.
        images: (N, C, H, W), normalised; at least four, some hundreds for steady numbers.
        other: a second network that takes the same inputs; None: the first against itself.
        layers: dotted names in the first; None: its blocks.
        other_layers: dotted names in the second; None: its blocks, or ``layers`` for a single network.
        batch_size: images at once; the estimate is unbiased for any.

    Returns:
        Matrix (layers, other layers), linear CKA from unbiased HSIC summed over batches.

    Raises:
        InvalidSetting: for fewer than four images, or a layer that is not there.

    Reference:
        Nguyen et al. 2020, arXiv 2010.15327, equations 1 to 4; Kornblith et al. 2019, arXiv 1905.00414.
    """
    rows = tuple(block_names(model) if layers is None else layers)
    theirs = rows if other is None else block_names(other)
    columns = tuple(theirs if other_layers is None else other_layers)
    count = length(tensors(images))
    if batch_size < FEWEST or count // -(-count // batch_size) < FEWEST:
        raise InvalidSetting(
            "images", f"{count} images in batches of {batch_size} are too few; give at least {FEWEST} of each"
        )
    if not rows or not columns:
        raise InvalidSetting("layers", "there are no layers to compare; name at least one")
    cross, first, second = np.zeros((len(rows), len(columns))), np.zeros(len(rows)), np.zeros(len(columns))
    with (
        watched(model, tuple(dict.fromkeys(rows + columns)) if other is None else rows, take=gram) as seen,
        watched(model if other is None else other, () if other is None else columns, take=gram) as seen_other,
    ):
        for part in batches(images, batch_size):
            seen(part)
            if other is not None:
                seen_other(part)
            left = _stacked(seen, rows)
            right = _stacked(seen if other is None else seen_other, columns)
            cross += _hsic(left, right)
            first += np.diag(_hsic(left, left))
            second += np.diag(_hsic(right, right))
    with np.errstate(invalid="ignore", divide="ignore"):
        values = cross / np.sqrt(np.outer(first, second))
    return Similarity(rows, columns, np.where(np.isfinite(values), values, np.nan), count, other is None)


def gram(output: Tensor) -> Tensor:
    """Inner products of the images' features (n, n), zero on the diagonal.

    The features are centred first: it changes nothing of the unbiased estimate, and keeps the digits.
    """
    features = output.detach().float().flatten(1)
    features = features - features.mean(dim=0)
    products = (features @ features.T).cpu().double()
    return products.fill_diagonal_(0.0)


def _stacked(seen: Watch, names: tuple[str, ...]) -> Tensor:
    return torch.stack([seen[name] for name in names])  # (L, n, n)


def _hsic(left: Tensor, right: Tensor) -> np.ndarray:
    """Unbiased HSIC of every pair, (L, n, n) and (M, n, n) -> (L, M).

    Reference:
        arXiv 2010.15327, equation 3.
    """
    n = left.shape[1]
    traces = left.flatten(1) @ right.flatten(1).T  # tr(K L), both symmetric
    left_sums, right_sums = left.sum(dim=2), right.sum(dim=2)  # K 1, (L, n)
    wholes = torch.outer(left_sums.sum(dim=1), right_sums.sum(dim=1))
    sums = traces + wholes / ((n - 1) * (n - 2)) - 2 / (n - 2) * (left_sums @ right_sums.T)
    return (sums / (n * (n - 3))).numpy()
