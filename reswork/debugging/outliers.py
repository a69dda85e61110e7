"""Images that are unlike all others."""

import numpy as np

from reswork.results.data_findings import Outliers

NEIGHBOURS = 10
_FAR = 3.0  # widths of the middle half beyond its upper border: Tukey's "far out"
_LEAST = 1e-12


def outliers(embeddings: np.ndarray, *, neighbours: int = NEIGHBOURS) -> Outliers:
    """Images whose nearest neighbours are far away.

    The distance of an image is the mean cosine distance of its embedding to its nearest ones. As these distances are
    spread over orders of magnitude, an image is far when the logarithm of its distance lies three widths of the middle
    half of all beyond it (Tukey's far-out fence); `Outliers.beyond` takes another threshold.

    Args:
        embeddings: (N, D) float32, best of the layer before the classifier.
        neighbours: how many nearest ones.

    Reference:
        Kuan and Mueller 2022, arXiv 2207.03061, for the distance.
    """
    from sklearn.neighbors import NearestNeighbors  # takes a second to import

    k = min(neighbours, len(embeddings) - 1)
    if k < 1:
        return Outliers(np.zeros(0, np.int64), np.zeros(0), np.zeros(len(embeddings)), float("inf"))
    found = NearestNeighbors(n_neighbors=k, metric="cosine", algorithm="brute").fit(embeddings)
    distances = found.kneighbors(return_distance=True)[0].mean(axis=1).astype(np.float64)
    logs = np.log(np.maximum(distances, _LEAST))
    quarter, three = np.quantile(logs, (0.25, 0.75))
    threshold = float(np.exp(three + _FAR * (three - quarter)))
    return Outliers(np.zeros(0, np.int64), np.zeros(0), distances, threshold).beyond(threshold)
