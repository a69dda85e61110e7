"""Pictures before and behind a network that gives pictures, and what it added to them."""

import numpy as np
import plotly.graph_objects as go

from reswork.figures.canvas import about
from reswork.figures.images import mosaic_figure, mosaic_of

ADDED_TIMES = 4  # as strong as it is, for eyes

ABOUT_RESTORED = about(
    "A row for each picture: what goes in, enlarged by bicubic interpolation; what comes out, from the beginning of "
    "the training until now; what the network added, four times as strong, grey is nothing; and the picture as it was.",
    "At first nothing is added; then edges and textures appear in the column of what was added, and flat ground stays "
    "grey.",
    "When all is added everywhere, or colours shift, lower the learning rate; when nothing is added, raise it.",
)


def enlarged_pictures(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """By bicubic interpolation, as colour: (N, C, h, w) uint8 to (N, 3, *size) uint8."""
    from PIL import Image

    found = []
    for image in in_colour(images):
        picture = Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0)))
        if image.shape[1:] != size:
            picture = picture.resize((size[1], size[0]), Image.Resampling.BICUBIC)
        found.append(np.asarray(picture).transpose(2, 0, 1))
    return np.stack(found)


def added_pictures(given: np.ndarray, answered: np.ndarray) -> np.ndarray:
    """What was added to pictures of one size, around grey, four times as strong, (N, 3, H, W) uint8."""
    off = in_colour(answered).astype(np.int16) - in_colour(given).astype(np.int16)
    return np.clip(128 + ADDED_TIMES * off, 0, 255).astype(np.uint8)


def restored_pictures(images: np.ndarray, answered: np.ndarray, truth: np.ndarray | None = None) -> go.Figure:
    """Pictures in rows: enlarged, as the network gives them, what it added, and as they were.

    Read from it what the network does besides interpolating: that is the residual which it learned.

    Args:
        images: (N, C, h, w) uint8, what went in.
        answered: (N, C, H, W) uint8, what came out.
        truth: (N, C, H, W) uint8, the pictures as they were, where that is known.

    Returns:
        Figure with one picture made of all.
    """
    title = "What goes in, what comes out"
    if not len(images):
        mosaic = mosaic_of(np.zeros((0, 3, 1, 1), np.uint8))
        return mosaic_figure(mosaic, title=title, summary="No pictures yet.", explained=ABOUT_RESTORED)
    given = enlarged_pictures(images, answered.shape[2:])
    columns = [given, in_colour(answered), added_pictures(given, answered)]
    words = ["goes in", "comes out", f"added, x{ADDED_TIMES}"]
    if truth is not None:
        columns.append(in_colour(truth))
        words.append("as it was")
    tiles = np.stack(columns, axis=1).reshape(-1, 3, *answered.shape[2:])  # row by row
    strength = np.abs(in_colour(answered).astype(np.int16) - given).mean()
    summary = f"Pictures: {len(images)}; what was added is {strength:.1f} of 255 on average."
    mosaic = mosaic_of(tiles, tuple(words * len(images)), len(columns))
    return mosaic_figure(mosaic, title=title, summary=summary, explained=ABOUT_RESTORED)


def in_colour(images: np.ndarray) -> np.ndarray:
    """(N, 3, H, W) of pictures with any number of channels."""
    return images[:, :3] if images.shape[1] >= 3 else np.repeat(images[:, :1], 3, axis=1)
