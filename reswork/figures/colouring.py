"""Numbers as pictures: maps in colours, images of any range as bytes."""

from functools import cache
from typing import Literal

import numpy as np
from plotly.colors import get_colorscale, hex_to_rgb, unlabel_rgb

Scale = Literal["Viridis", "RdBu_r"]


def coloured(values: np.ndarray, low: float, high: float, scale: Scale = "Viridis") -> np.ndarray:
    """Maps in colours; what is not finite becomes grey.

    Args:
        values: (N, h, w).
        low: the value of the scale's first colour.
        high: of its last colour; values outside get the colour at that end.
        scale: viridis, or red and blue with white in the middle.

    Returns:
        (N, 3, h, w) uint8.

    Example:
        >>> coloured(np.array([[[0.0, 1.0]]]), 0, 1)[0, :, 0].T.tolist()
        [[68, 1, 84], [253, 231, 37]]
    """
    width = high - low if high > low else 1.0
    values = np.asarray(values, np.float64)
    finite = np.isfinite(values)
    places = (np.where(finite, values, low) - low).clip(0, width) / width * 255
    colours = _table(scale)[places.round().astype(np.int64)]  # (N, h, w, 3)
    return np.where(finite[..., None], colours, 128).transpose(0, 3, 1, 2).astype(np.uint8)


def as_pictures(images: np.ndarray) -> np.ndarray:
    """Images of any range, such as normalised ones, each stretched from black to white.

    Args:
        images: (N, C, H, W) float; more than three channels, or two, are averaged.

    Returns:
        (N, 3, H, W) uint8.
    """
    if images.shape[1] not in (1, 3):
        images = images.mean(axis=1, keepdims=True) if images.shape[1] else np.zeros((len(images), 1, 1, 1))
    images = np.nan_to_num(images.astype(np.float64), posinf=0.0, neginf=0.0)
    low, high = images.min(axis=(1, 2, 3), keepdims=True), images.max(axis=(1, 2, 3), keepdims=True)
    stretched = (images - low) / np.where(high > low, high - low, 1) * 255
    return np.broadcast_to(stretched.round(), (len(images), 3, *images.shape[2:])).astype(np.uint8)


def enlarged(pictures: np.ndarray, height: int, width: int) -> np.ndarray:
    """Pictures (N, C, h, w) at another size, each pixel a block: nothing is smoothed."""
    rows = np.arange(height) * pictures.shape[2] // height
    columns = np.arange(width) * pictures.shape[3] // width
    return pictures[:, :, rows[:, None], columns]


@cache
def _table(scale: Scale) -> np.ndarray:
    """(256, 3) colours, 0 to 255."""
    places, names = zip(*get_colorscale(scale), strict=True)
    known = np.array([hex_to_rgb(name) if name.startswith("#") else unlabel_rgb(name) for name in names])
    wanted = np.linspace(0, 1, 256)
    return np.stack([np.interp(wanted, places, known[:, part]) for part in range(3)], axis=1).round()
