"""Images that are unlike all others."""

from collections.abc import Mapping

import numpy as np

from reswork.results.data_findings import Outliers

NEIGHBOURS = 10
FENCE = 1.5  # widths of the middle half beyond its upper border: Tukey's fence
_LEAST = 1e-12


def outliers(
    embeddings: Mapping[str, np.ndarray],
    reference: Mapping[str, np.ndarray] | None = None,
    *,
    neighbours: int = NEIGHBOURS,
    fence: float = FENCE,
) -> Outliers:
    """Images whose nearest neighbours are far away, in one stage or another.

    In each layer the embeddings are brought to length 1, and an image's distance is the mean one to its nearest
    neighbours among the reference. The logarithms of the distances are brought to median 0 and a middle half of
    width 1, layer by layer, and summed: what is strange may show early or late. An image is far
    when its sum lies one and a half widths of the middle half of all beyond it (Tukey's fence). The order says more,
    and `Outliers.beyond` takes another threshold.

    Args:
        embeddings: layer name -> (N, D) float32.
        reference: likewise of other images, such as those that the model was trained on, by the same names; None: the
            images themselves, which finds less, as strange images lie near each other.
        neighbours: how many nearest ones.
        fence: in widths of the middle half.

    Reference:
        Sun et al. 2022, arXiv 2204.06507, for distances to the k-th neighbour among normalised training features;
        Tukey 1977 for the fence.
    """
    count = len(next(iter(embeddings.values())))
    others = count - 1 if reference is None else len(next(iter(reference.values())))
    k = min(neighbours, others)
    if k < 1:
        return Outliers(np.zeros(0, np.int64), np.zeros(0), np.zeros(count), float("inf"))
    sums = np.zeros(count)
    for name, values in embeddings.items():
        logs = np.log(
            np.maximum(_distances(values, None if reference is None else reference[name], k), _LEAST)
        )
        quarter, half, three = np.quantile(logs, (0.25, 0.5, 0.75))
        sums += (logs - half) / max(three - quarter, _LEAST)
    quarter, three = np.quantile(sums, (0.25, 0.75))
    threshold = float(three + fence * (three - quarter))
    return Outliers(np.zeros(0, np.int64), np.zeros(0), sums, threshold).beyond(threshold)


def _distances(values: np.ndarray, reference: np.ndarray | None, k: int) -> np.ndarray:
    """(N,) mean distance to the k nearest of the reference, or of the other images."""
    from sklearn.neighbors import NearestNeighbors  # takes a second to import

    found = NearestNeighbors(n_neighbors=k, algorithm="brute")
    if reference is None:
        near = found.fit(_unit(values)).kneighbors(return_distance=True)[0]
    else:
        near = found.fit(_unit(reference)).kneighbors(_unit(values), return_distance=True)[0]
    mean: np.ndarray = near.mean(axis=1).astype(np.float64)
    return mean


def _unit(values: np.ndarray) -> np.ndarray:
    scale = np.linalg.norm(values, axis=1, keepdims=True)
    found: np.ndarray = values / np.maximum(scale, np.finfo(np.float32).tiny)
    return found
