"""Boxes drawn around the things in images: the true ones, and those that a network gives."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from reswork.figures.canvas import about
from reswork.figures.images import mosaic_figure, mosaic_of
from reswork.figures.masks import class_colours

ABOUT_BOXES = about(
    "A box has the colour and the dashes of its class, over a darker image; answers are the boxes that are sure.",
    "At first there are no boxes, or many around the same thing; then one around each, which becomes tighter.",
    "Where boxes are right and classes wrong, train longer or give more images; where small things stay without a box, "
    "give larger images.",
)
_TITLE = "Pictures and their boxes"
_LEAST_SIDE = 128  # pixels of a drawn image, so that a line is thin beside it
_LIGHT = 0.6  # of the image under its boxes
_ON_OFF = ((1, 0), (6, 4), (2, 3))  # pixels of a line that are drawn and left out, by class


def in_boxes(
    images: np.ndarray, boxes: Sequence[np.ndarray] | np.ndarray, enlarged: int | None = None
) -> np.ndarray:
    """Images with boxes drawn around things.

    Args:
        images: (N, C, H, W) uint8.
        boxes: of each image (D, 5) or (D, 6): left, top, right, bottom in pixels, class, perhaps a score; a class
            below 0 is none.
        enlarged: how many times as large the images are drawn; None: until they have 128 pixels.

    Returns:
        (N, 3, k * H, k * W) uint8.
    """
    images = np.asarray(images)
    factor = enlarged or max(1, -(-_LEAST_SIDE // max(min(images.shape[2:]), 1)))
    plain = images[:, :3] if images.shape[1] >= 3 else np.repeat(images[:, :1], 3, axis=1)
    found = (plain.repeat(factor, 2).repeat(factor, 3) * _LIGHT).astype(np.uint8)
    for image, of_image in zip(found, boxes, strict=True):
        for box in np.asarray(of_image)[::-1]:  # the best one last, on top
            if box[4] >= 0:
                _draw(image, box[:4] * factor, int(box[4]))
    return found


def box_overlays(
    images: np.ndarray,
    boxes: Sequence[Sequence[np.ndarray]],
    titles: Sequence[str],
    classes: Sequence[str] = (),
    *,
    names: Sequence[str] = (),
) -> go.Figure:
    """Images in rows: each as it is, then with each of some sets of boxes, such as the answer and the truth.

    Args:
        images: (N, C, H, W) uint8.
        boxes: one entry for each column, with the boxes of each image, see `in_boxes`.
        titles: of the columns.
        classes: names, for titles and summary.
        names: (N,) what an image says when pointed at, and what a click on it gives.

    Returns:
        Figure with one picture made of all.
    """
    images = np.asarray(images)
    if not len(images):
        mosaic = mosaic_of(np.zeros((0, 3, 1, 1), np.uint8))
        return mosaic_figure(mosaic, title=_TITLE, summary="No images yet.", explained=ABOUT_BOXES)
    factor = max(1, -(-_LEAST_SIDE // min(images.shape[2:])))
    plain = images[:, :3] if images.shape[1] >= 3 else np.repeat(images[:, :1], 3, axis=1)
    columns = [plain.repeat(factor, 2).repeat(factor, 3), *(in_boxes(images, each) for each in boxes)]
    tiles = np.stack(columns, axis=1).reshape(-1, 3, *columns[0].shape[2:])  # row by row
    words = [
        word
        for row in range(len(images))
        for word in (
            "picture",
            *(f"{title}\n{things(each[row], classes)}" for title, each in zip(titles, boxes, strict=True)),
        )
    ]
    there = [sum(int((np.asarray(of_image)[:, 4] >= 0).sum()) for of_image in each) for each in boxes]
    counts = "; ".join(
        f"{title}: {count} box{'es' * (count != 1)}" for title, count in zip(titles, there, strict=True)
    )
    mosaic = mosaic_of(tiles, tuple(words), len(columns))
    pointed = [name for name in names for _ in columns]
    summary = f"Images: {len(images)}; {counts}."
    return mosaic_figure(mosaic, title=_TITLE, summary=summary, explained=ABOUT_BOXES, names=pointed)


def box_colours(count: int) -> tuple[str, ...]:
    """A colour for each class of boxes, ``#rrggbb``."""
    return class_colours(count + 1)[1:]


def things(boxes: np.ndarray, classes: Sequence[str] = ()) -> str:
    """Which things are in an image, and how many of each: ``"1 circle, 2 star"``."""
    labels, counts = np.unique(np.asarray(boxes)[:, 4].astype(int), return_counts=True)
    named = [
        f"{count} {classes[label] if label < len(classes) else label}"
        for label, count in zip(labels.tolist(), counts.tolist(), strict=True)
        if label >= 0
    ]
    return ", ".join(named) or "nothing"


def _draw(image: np.ndarray, edges: np.ndarray, label: int) -> None:
    """One box into (3, H, W)."""
    height, width = image.shape[1:]
    left, right = (round(min(max(float(each), 0), width - 1)) for each in (edges[0], edges[2] - 1))
    top, bottom = (round(min(max(float(each), 0), height - 1)) for each in (edges[1], edges[3] - 1))
    colours = box_colours(label + 1)
    colour = np.array([int(colours[label][k : k + 2], 16) for k in (1, 3, 5)], np.uint8)[:, None]
    drawn, left_out = _ON_OFF[label % len(_ON_OFF)]
    across, down = (np.arange(low, high + 1) for low, high in ((left, right), (top, bottom)))
    across, down = (
        each[(each - each[0]) % (drawn + left_out) < drawn] for each in (across, down) if len(each)
    )
    for row in {top, min(top + 1, bottom), bottom, max(bottom - 1, top)}:
        image[:, row, across] = colour
    for column in {left, min(left + 1, right), right, max(right - 1, left)}:
        image[:, down, column] = colour
