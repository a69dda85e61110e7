"""Embeddings in two dimensions: PCA at once, t-SNE and UMAP when asked."""

import warnings

import numpy as np

from reswork.errors import InvalidSetting
from reswork.results.embedding_map import METHODS, EmbeddingMap, Projection

MOST_TSNE = 3000  # images, about half a minute on two cores
_NEIGHBOURS = 15  # umap-learn's own


def embedding_map(
    embeddings: np.ndarray,
    *,
    layer: str = "embeddings",
    method: Projection = "pca",
    most: int = MOST_TSNE,
    seed: int = 0,
    training: np.ndarray | None = None,
    training_images: np.ndarray | None = None,
) -> EmbeddingMap:
    """Where each image lies, as far as two dimensions can say.

    PCA keeps distances as well as two axes can, and takes no time. t-SNE and UMAP keep neighbours; sizes of their
    groups and the distances between them say nothing.

    Args:
        embeddings: (N, D) float32.
        layer: whose.
        method: ``"pca"``, ``"tsne"`` or ``"umap"``, which needs the package umap-learn.
        most: images of a sample, but for PCA.
        seed: of the sample and of the layout.
        training: (R, D) float32, of training images, to be laid out together with the others.
        training_images: (R,) their numbers; None: from 0.

    Raises:
        InvalidSetting: an unknown method, one whose package is missing, or fewer than three images.

    Reference:
        van der Maaten and Hinton 2008, Visualizing Data using t-SNE; computed by scikit-learn. McInnes et al. 2018,
        arXiv 1802.03426; computed by umap-learn.
    """
    if method not in METHODS:
        raise InvalidSetting(
            "method", f"method={method!r} is not known; choose {', '.join(map(repr, METHODS))}"
        )
    if len(embeddings) < 3:
        raise InvalidSetting("embeddings", f"{len(embeddings)} embeddings are no map; give at least 3")
    from sklearn.decomposition import PCA  # takes a second to import

    others = np.zeros((0, embeddings.shape[1]), np.float32) if training is None else training
    others = others[:most]
    numbers = np.arange(len(others)) if training_images is None else training_images[:most]
    if method == "pca":
        together = np.concatenate([embeddings, others])
        axes = min(2, *together.shape)
        fitted = PCA(axes, svd_solver="full").fit(together)
        points = np.zeros((len(together), 2), np.float32)
        points[:, :axes] = fitted.transform(together)
        explained = np.zeros(2)
        explained[:axes] = fitted.explained_variance_ratio_
        rows = np.arange(len(embeddings))
    else:
        shown = most - len(others) // 2  # of both together as many as may be
        rows = np.sort(np.random.default_rng(seed).permutation(len(embeddings))[:shown])
        others, numbers = others[: most - len(rows)], numbers[: most - len(rows)]
        laid_out = _umap if method == "umap" else _tsne
        points = laid_out(np.concatenate([embeddings[rows], others]), seed)
        explained = np.full(2, np.nan)
    here = len(rows)
    return EmbeddingMap(layer, method, points[:here], rows, explained, points[here:], numbers)


def _tsne(sample: np.ndarray, seed: int) -> np.ndarray:
    from sklearn.manifold import TSNE

    init = "pca" if min(sample.shape) >= 2 else "random"
    fitted = TSNE(perplexity=min(30.0, (len(sample) - 1) / 3), init=init, random_state=seed)
    found: np.ndarray = fitted.fit_transform(sample)
    return found


def _umap(sample: np.ndarray, seed: int) -> np.ndarray:
    try:
        import umap
    except ImportError as error:
        raise InvalidSetting(
            "method", "method='umap' needs the package umap-learn: pip install 'reswork[umap]'"
        ) from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a seed means one thread, which is meant
        fitted = umap.UMAP(n_neighbors=min(_NEIGHBOURS, len(sample) - 1), random_state=seed)
        return np.asarray(fitted.fit_transform(sample), np.float32)
