"""Masks laid over their images, and how well each class of pixels is found."""

import colorsys
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from reswork.errors import InvalidSetting
from reswork.figures.canvas import COLOURS, PATTERNS, about, axis, canvas
from reswork.figures.images import mosaic_figure, mosaic_of
from reswork.figures.map_overlays import grey, under_maps
from reswork.figures.text import distinct, number

_SHARE = 0.6  # of a pixel is its class's colour, the rest the image
_TITLE = "Pictures and their masks"
_IGNORED, _GREY = 255, (128, 128, 128)

_ABOUT = about(
    "Each pixel has the colour of its class, over the image in grey; the first class, mostly the ground, has none, and "
    "grey pixels count nowhere.",
    "The answer follows the outlines of the truth, and is most wrong along them.",
    "Where a thing is found but called by another name, look at the confusion of classes; where it is not found, train "
    "longer or weigh rare classes more.",
)
_IOU = about(
    "Of each class of pixels, those where answer and truth agree, over those that either has (IoU), on test images.",
    "Large, frequent classes are near 100 %; small and rare ones come later and end lower.",
    "For a class that stays at 0, weigh classes (class_weights='balanced'), or look whether its masks are right.",
)


def class_colours(count: int) -> tuple[str, ...]:
    """A colour for each class, ``#rrggbb``; that of the first one, which is not drawn, is grey."""
    more = range(max(0, count - 1 - len(COLOURS)))
    bright = [colorsys.hsv_to_rgb((0.1 + 0.618 * k) % 1, 0.75, 0.95) for k in more]
    found = [*COLOURS, *("#" + "".join(f"{round(255 * part):02x}" for part in colour) for colour in bright)]
    return ("#808080", *found[: count - 1])


def under_masks(images: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Images in grey with the colour of each pixel's class over them, so that no colour is the image's own.

    Args:
        images: (N, C, H, W) uint8.
        masks: (N, H, W) uint8; 255 is drawn grey, class 0 not at all.

    Returns:
        (N, 3, H, W) uint8.

    Raises:
        InvalidSetting: masks that do not fit the images.
    """
    images, masks = np.asarray(images), np.asarray(masks)
    if images.ndim != 4 or masks.shape != (len(images), *images.shape[2:]):
        raise InvalidSetting(
            "masks",
            f"masks of shape {masks.shape} for images of {images.shape}: give (N, H, W) for (N, C, H, W)",
        )
    table = np.zeros((256, 3), np.float32)
    colours = class_colours(1 + int(masks.max(initial=0, where=masks != _IGNORED)))
    table[: len(colours)] = [[int(colour[k : k + 2], 16) for k in (1, 3, 5)] for colour in colours]
    table[_IGNORED] = _GREY
    colour = table[masks].transpose(0, 3, 1, 2)  # (N, 3, H, W)
    share = np.where(masks == 0, 0, _SHARE).astype(np.float32)[:, None]
    return (grey(images)[:, None] * (1 - share) + colour * share).round().astype(np.uint8)


def mask_overlays(
    images: np.ndarray,
    masks: Sequence[np.ndarray],
    titles: Sequence[str],
    classes: Sequence[str] = (),
    *,
    names: Sequence[str] = (),
    maps: np.ndarray | None = None,
) -> go.Figure:
    """Images in rows: each as it is, then under each of some masks, such as the answer and the truth.

    Args:
        images: (N, C, H, W) uint8.
        masks: (N, H, W) uint8 each, one for each column.
        titles: of the columns.
        classes: names, for the summary.
        names: (N,) what an image says when pointed at, and what a click on it gives.
        maps: (N, H, W) from 0, where the network looked; a last column.

    Returns:
        Figure with one picture made of all.
    """
    images = np.asarray(images)
    if not len(images):
        mosaic = mosaic_of(np.zeros((0, 3, 1, 1), np.uint8))
        return mosaic_figure(mosaic, title=_TITLE, summary="No images yet.", explained=_ABOUT)
    plain = images if images.shape[1] == 3 else np.repeat(images[:, :1], 3, axis=1)
    columns = [plain, *(under_masks(images, mask) for mask in masks)]
    if maps is not None:
        columns.append(under_maps(images, maps))
    tiles = np.stack(columns, axis=1).reshape(-1, 3, *images.shape[2:])  # row by row
    words = ("picture", *map(str, titles), *["where it looked"] * (maps is not None)) * len(images)
    shown = sorted({int(k) for mask in masks for k in np.unique(mask)} - {0, _IGNORED})
    names = ", ".join(str(classes[k]) if k < len(classes) else str(k) for k in shown[:12])
    summary = f"Images: {len(images)}, masks over each: {len(masks)}; classes: {names or 'none'}."
    mosaic = mosaic_of(tiles, words, len(columns))
    pointed = [name for name in names for _ in columns]
    return mosaic_figure(mosaic, title=_TITLE, summary=summary, explained=_ABOUT, names=pointed)


def class_iou(confusion: ArrayLike, classes: Sequence[str]) -> go.Figure:
    """The IoU of each class of pixels, and their mean.

    Read from it which classes are found, and which pull the mean down.

    Args:
        confusion: (K, K) pixels, rows true, columns answered.
        classes: (K,) names.

    Returns:
        Figure with a bar for each class that is there or was answered, the best first.

    Raises:
        InvalidSetting: if the table is not (K, K) for K classes.
    """
    table, names = np.asarray(confusion, np.float64), tuple(map(str, classes))
    if table.size and table.shape != (len(names), len(names)):
        raise InvalidSetting(
            "classes", f"{len(names)} class names for a table of shape {table.shape}; give one name a row"
        )
    both = np.diag(table) if table.size else np.zeros(0)
    either = table.sum(axis=0) + table.sum(axis=1) - both if table.size else np.zeros(0)
    there = np.flatnonzero(either)
    shares = 100 * both[there] / either[there]
    order = np.argsort(-shares, kind="stable")
    labels = distinct(tuple(names[k] for k in there[order]), 18)
    mean = float(shares.mean()) if len(shares) else float("nan")
    bars = {
        "type": "bar",
        "x": labels,
        "y": shares[order].astype(np.float32),
        "name": "IoU",
        "marker": {"color": COLOURS[2], "pattern": {"shape": PATTERNS[1]}},
        "text": [f"{share:.0f}" for share in shares[order]],
        "textposition": "outside",  # in a hatched bar it is read on one of the two pages at most
        "hovertemplate": "%{x}: %{y:.1f} %<extra></extra>",
    }
    line = {
        "type": "scatter", "mode": "lines", "x": labels, "y": np.full(len(labels), mean, np.float32), "name": "mean",
        "line": {"color": COLOURS[1], "dash": "dash", "width": 2},
        "hovertemplate": "mean %{y:.1f} %<extra></extra>",
    }  # fmt: skip
    return canvas(
        [bars, line],
        title="IoU of each class",
        summary=_iou_summary(shares, tuple(names[k] for k in there), len(names), mean),
        explained=_IOU,
        x=axis("class", type="category", showgrid=False),
        y=axis("IoU, %", range=[0, 112], tickvals=[0, 20, 40, 60, 80, 100]),
        bargap=0.25,
    )


def _iou_summary(shares: np.ndarray, names: tuple[str, ...], classes: int, mean: float) -> str:
    if not len(shares):
        return "No pixels counted yet."
    best, worst = int(shares.argmax()), int(shares.argmin())
    text = (
        f"The mean IoU of {len(shares)} classes is {number(mean)} %; best {names[best]} "
        f"{number(float(shares[best]))} %, worst {names[worst]} {number(float(shares[worst]))} %."
    )
    missing = classes - len(shares)
    return (
        text
        if not missing
        else f"{text} {missing} of the classes are neither in the masks nor in the answers."
    )
