"""Where a model puts each image, in two dimensions."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from reswork.figures.canvas import COLOURS, MODEBAR, SYMBOLS, about, axis, canvas
from reswork.figures.text import distinct, escape
from reswork.results.embedding_map import METHODS, EmbeddingMap

_MOST = 2_000  # points, spread over the images
_GROUPS = 12  # with a colour of their own; the rest share grey

_ABOUT = about(
    "Each point is an image, placed by what the layer makes of it: near each other means alike to the model. PCA keeps "
    "the two directions of largest change; t-SNE and UMAP keep neighbours, and their sizes and gaps say nothing.",
    "In the last stage each class is a cloud of its own; in the first all are mixed.",
    "Look at wrong answers between two clouds, and at points of one class inside the cloud of another: often their "
    "labels are wrong.",
)


def embedding_map(
    found: EmbeddingMap | None,
    groups: Sequence[str] = (),
    titles: Sequence[str] = (),
    *,
    title: str = "Map of the images",
    with_training: bool = False,
) -> go.Figure:
    """A point for each image, coloured by group: class, right or wrong, split.

    Args:
        found: None: an empty figure.
        groups: (M,) name of each point's group; none: all the same.
        titles: (M,) what a point says when pointed at; a click on one says ``test image 17``.
        title: of the figure, in a few words.
        with_training: the training images that were laid out too, behind the others.

    Returns:
        Figure with at most 2,000 points, those of the most frequent 12 groups in colour.
    """
    count = 0 if found is None else len(found.images)
    kept = np.unique(np.linspace(0, count - 1, min(count, _MOST)).astype(int)) if count else np.zeros(0, int)
    names = (
        np.array([str(each) for each in groups], dtype=object)
        if len(groups)
        else np.full(count, "image", object)
    )
    known, counts = np.unique(names.astype(str), return_counts=True)
    shown = sorted(known[np.argsort(-counts, kind="stable")][:_GROUPS].tolist(), key=_by_number)
    traces = [_training_points(found)] if with_training and found is not None else []
    for row, (name, label) in enumerate(zip(shown, distinct(shown, 24), strict=True)):
        rows = kept[names[kept] == name]
        traces.append(
            _points(found, rows, label, COLOURS[row % len(COLOURS)], SYMBOLS[row // len(COLOURS)], titles)
        )
    rest = kept[~np.isin(names[kept].astype(str), shown)]
    if len(rest):
        traces.append(_points(found, rest, "others", "#808080", SYMBOLS[0], titles))
    share = np.full(2, np.nan) if found is None else found.explained
    labels = [f"axis {k + 1}" + ("" if np.isnan(each) else f" ({100 * each:.0f} % of the variance)")
              for k, each in enumerate(share)]  # fmt: skip
    return canvas(
        traces,
        title=title,
        summary=_summary(found, len(known), with_training),
        explained=_ABOUT,
        x=axis(labels[0], showgrid=False),
        y=axis(labels[1], showgrid=False),
        height=420,
        modebar={
            **MODEBAR,
            "remove": [each for each in MODEBAR["remove"] if each not in ("select2d", "lasso2d")],
        },
    )


def _points(
    found: EmbeddingMap | None, rows: np.ndarray, name: str, colour: str, symbol: str, titles: Sequence[str]
) -> dict[str, object]:
    points = np.zeros((0, 2), np.float32) if found is None else found.points[rows].astype(np.float32)
    texts = [escape(titles[row], 60) if len(titles) else name for row in rows]
    return {
        "type": "scatter", "mode": "markers", "name": name, "x": points[:, 0], "y": points[:, 1], "text": texts,
        "customdata": [] if found is None else [f"test image {row}" for row in found.images[rows]],
        "marker": {"color": colour, "symbol": symbol, "size": 5, "opacity": 0.75},
        "hovertemplate": "%{text}<extra></extra>",
    }  # fmt: skip


def _training_points(found: EmbeddingMap) -> dict[str, object]:
    count = len(found.training_images)
    kept = (
        np.unique(np.linspace(0, count - 1, min(count, _MOST // 2)).astype(int))
        if count
        else np.zeros(0, int)
    )
    points, numbers = found.training[kept].astype(np.float32), found.training_images[kept]
    return {
        "type": "scatter", "mode": "markers", "name": "training images", "x": points[:, 0], "y": points[:, 1],
        "text": [f"training image {number}" for number in numbers],
        "customdata": [f"train image {number}" for number in numbers],
        "marker": {"color": COLOURS[1], "symbol": SYMBOLS[1], "size": 5, "opacity": 0.75},
        "hovertemplate": "%{text}<extra></extra>",
    }  # fmt: skip


def _by_number(name: str) -> tuple[bool, int, str]:
    """Digits as numbers, before words."""
    return not name.isdecimal(), int(name) if name.isdecimal() else 0, name


def _summary(found: EmbeddingMap | None, groups: int, with_training: bool) -> str:
    if found is None or not len(found.images):
        return "No embeddings to show."
    method = METHODS[found.method]
    images = f"{len(found.images):,} images in {groups} groups"
    if with_training:
        images = f"{len(found.training_images):,} training images and {len(found.images):,} test images"
    text = f"{images} by what {found.layer} makes of them, laid out by {method}"
    return text + (f"; the two axes hold {100 * found.explained.sum():.0f} % of the variance."
                   if found.method == "pca" else ".")  # fmt: skip
