"""What an image looks like in numbers that say nothing of its content: brightness, contrast, sharpness."""

import numpy as np

_CHUNK = 1024  # images at once
_GREY = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


def image_traits(images: np.ndarray) -> dict[str, np.ndarray]:
    """Brightness, contrast and sharpness of each image.

    Args:
        images: (N, C, H, W) uint8.

    Returns:
        (N,) float64 each: mean grey value and standard deviation of grey values, 0 to 1; and the mean absolute
        Laplacian over the contrast, so that a flat image is not called blurred for being flat.
    """
    parts = [_traits(grey(images[start : start + _CHUNK])) for start in range(0, len(images), _CHUNK)]
    brightness, contrast, sharpness = (np.concatenate(each) for each in zip(*parts, strict=True))
    return {"brightness": brightness, "contrast": contrast, "sharpness": sharpness}


def grey(images: np.ndarray) -> np.ndarray:
    """(N, H, W) float32, 0 to 1, of (N, C, H, W) uint8; of other than three channels their mean."""
    scaled = images.astype(np.float32) / 255
    if images.shape[1] == 3:
        found: np.ndarray = np.tensordot(scaled, _GREY, axes=(1, 0))
        return found
    return scaled.mean(axis=1)


def _traits(shades: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    brightness = shades.mean(axis=(1, 2), dtype=np.float64)
    contrast = shades.std(axis=(1, 2), dtype=np.float64)
    if min(shades.shape[1:]) < 3:
        return brightness, contrast, np.zeros(len(shades))
    middle = shades[:, 1:-1, 1:-1]
    around = shades[:, :-2, 1:-1] + shades[:, 2:, 1:-1] + shades[:, 1:-1, :-2] + shades[:, 1:-1, 2:]
    edges = np.abs(around - 4 * middle).mean(axis=(1, 2), dtype=np.float64)
    return brightness, contrast, edges / np.maximum(contrast, 1 / 255)
