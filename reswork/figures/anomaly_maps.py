"""Where images are unlike the good ones, over the images."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from reswork.figures.canvas import about
from reswork.figures.images import mosaic_figure, mosaic_of
from reswork.figures.map_overlays import under_maps
from reswork.figures.masks import under_masks
from reswork.figures.restored import in_colour

ABOUT_ANOMALIES = about(
    "A row for each picture. Orange marks where it is unlike what was learned, over the picture in grey; all maps of "
    "one moment have one scale; under a step stands the score. Where something is given back, an autoencoder made it "
    "of the picture.",
    "At first all is orange, edges most; then good places go dark, and what is wrong stays lit.",
    "When wrong places go dark too, the code is too wide (code=4) or the training too long; when good edges stay "
    "lit, train longer.",
)


def anomaly_maps(
    images: np.ndarray,
    maps: Sequence[np.ndarray],
    titles: Sequence[str],
    *,
    scores: np.ndarray | None = None,
    truth: np.ndarray | None = None,
    restored: np.ndarray | None = None,
) -> go.Figure:
    """Pictures in rows: as they are, what is known to be wrong, what came out, and the maps.

    Read from it whether what is marked is what is wrong, or only an edge that is hard to give back.

    Args:
        images: (N, C, H, W) uint8.
        maps: (N, H, W) each, a column for each method or moment.
        titles: of these columns.
        scores: (N,) of the last of them, beside its title.
        truth: (N, H, W) uint8, 1 where something is wrong, 255 where nobody knows.
        restored: (N, C, H, W) uint8, what an autoencoder gave back.

    Returns:
        Figure with one picture made of all.
    """
    images = np.asarray(images)
    if not len(images) or not maps:
        mosaic = mosaic_of(np.zeros((0, 3, 1, 1), np.uint8))
        return mosaic_figure(mosaic, title=_TITLE, summary="No maps yet.", explained=ABOUT_ANOMALIES)
    columns, words = [in_colour(images)], ["picture"]
    if truth is not None:
        columns.append(under_masks(images, truth))
        words.append("what is wrong")
    if restored is not None:
        columns.append(in_colour(restored))
        words.append("given back")
    columns += [under_maps(images, np.asarray(each)) for each in maps]
    words += list(titles)
    rows = [list(words) for _ in images]
    for row, score in zip(rows, scores if scores is not None else (), strict=False):
        row[-1] = f"{row[-1]}: {score:.3g}"
    tiles = np.stack(columns, axis=1).reshape(-1, 3, *images.shape[2:])  # row by row
    mosaic = mosaic_of(tiles, tuple(word for row in rows for word in row), len(columns))
    last = np.asarray(maps[-1])
    counted = "1 picture" if len(images) == 1 else f"{len(images)} pictures"
    summary = f"{counted}; the highest value of the last maps is {float(last.max()):.3g}"
    if scores is not None:
        listed = ", ".join(f"{score:.3g}" for score in scores[:8])
        summary += f", {'the scores are' if len(scores) > 1 else 'its score is'} {listed}"
    summary += "."
    return mosaic_figure(mosaic, title=_TITLE, summary=summary, explained=ABOUT_ANOMALIES)


_TITLE = "Unlike what was learned"
