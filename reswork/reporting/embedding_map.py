"""Embeddings in two dimensions: PCA at once, t-SNE when asked."""

from typing import get_args

import numpy as np

from reswork.errors import InvalidSetting
from reswork.results.embedding_map import EmbeddingMap, Projection

MOST_TSNE = 3000  # images, about half a minute on two cores


def embedding_map(
    embeddings: np.ndarray,
    *,
    layer: str = "embeddings",
    method: Projection = "pca",
    most: int = MOST_TSNE,
    seed: int = 0,
) -> EmbeddingMap:
    """Where each image lies, as far as two dimensions can say.

    PCA keeps distances as well as two axes can, and takes no time. t-SNE keeps neighbours; sizes of its groups and
    the distances between them say nothing.

    Args:
        embeddings: (N, D) float32.
        layer: whose.
        method: ``"pca"`` or ``"tsne"``.
        most: images of a sample for t-SNE.
        seed: of the sample and of t-SNE.

    Raises:
        InvalidSetting: an unknown method, or fewer than three images.

    Reference:
        van der Maaten and Hinton 2008, Visualizing Data using t-SNE; computed by scikit-learn.
    """
    if method not in get_args(Projection):
        raise InvalidSetting("method", f"method={method!r} is not known; choose 'pca' or 'tsne'")
    if len(embeddings) < 3:
        raise InvalidSetting("embeddings", f"{len(embeddings)} embeddings are no map; give at least 3")
    from sklearn.decomposition import PCA  # takes a second to import

    axes = min(2, *embeddings.shape)
    if method == "pca":
        fitted = PCA(axes, svd_solver="full").fit(embeddings)
        points = np.zeros((len(embeddings), 2), np.float32)
        points[:, :axes] = fitted.transform(embeddings)
        explained = np.zeros(2)
        explained[:axes] = fitted.explained_variance_ratio_
        return EmbeddingMap(layer, method, points, np.arange(len(embeddings)), explained)
    from sklearn.manifold import TSNE

    rows = np.sort(np.random.default_rng(seed).permutation(len(embeddings))[:most])
    sample = embeddings[rows]
    fitted = TSNE(
        perplexity=min(30.0, (len(rows) - 1) / 3), init="pca" if axes == 2 else "random", random_state=seed
    )
    return EmbeddingMap(layer, method, fitted.fit_transform(sample), rows, np.full(2, np.nan))
