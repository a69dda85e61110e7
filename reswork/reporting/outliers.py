"""Images that are unlike all others."""

import numpy as np

from reswork.results.data_findings import Outliers

NEIGHBOURS = 10
FENCE = 1.5  # widths of the middle half beyond its upper border: Tukey's fence
_LEAST = 1e-12


def outliers(embeddings: np.ndarray, *, neighbours: int = NEIGHBOURS, fence: float = FENCE) -> Outliers:
    """Images whose nearest neighbours are far away.

    Each number of the embeddings is brought to mean 0 and deviation 1; the distance of an image is the mean one to its
    nearest neighbours. An image is far when the logarithm of its distance lies one and a half widths of the middle half
    of all beyond it (Tukey's fence). That is a careful threshold: the order says more, and `Outliers.beyond` takes
    another one.

    Args:
        embeddings: (N, D) float32; of all stages side by side, as what is strange may show early or late.
        neighbours: how many nearest ones.
        fence: in widths of the middle half.

    Reference:
        Kuan and Mueller 2022, arXiv 2207.03061, for distances to neighbours; Tukey 1977 for the fence.
    """
    from sklearn.neighbors import NearestNeighbors  # takes a second to import

    k = min(neighbours, len(embeddings) - 1)
    if k < 1:
        return Outliers(np.zeros(0, np.int64), np.zeros(0), np.zeros(len(embeddings)), float("inf"))
    scale = embeddings.std(axis=0)
    scaled = (embeddings - embeddings.mean(axis=0)) / np.where(scale > 0, scale, 1)
    found = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(scaled)
    distances = found.kneighbors(return_distance=True)[0].mean(axis=1).astype(np.float64)
    logs = np.log(np.maximum(distances, _LEAST))
    quarter, three = np.quantile(logs, (0.25, 0.75))
    threshold = float(np.exp(three + fence * (three - quarter)))
    return Outliers(np.zeros(0, np.int64), np.zeros(0), distances, threshold).beyond(threshold)
