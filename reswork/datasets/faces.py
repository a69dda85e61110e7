"""Drawn faces: each identity a face of its own, drawn again and again in other light, place, turn and mood."""

import numpy as np
import torch

from reswork.datasets.conversion import assembled
from reswork.datasets.dataset import Dataset, Split
from reswork.errors import InvalidSetting

TRAITS = 14  # numbers that make an identity


def drawn_faces(
    identities: int = 100,
    test_identities: int = 40,
    images: int = 12,
    size: int = 32,
    seed: int = 0,
) -> Dataset:
    """Simulated faces, drawn by code: those of the test split are of identities that no training image shows.

    An identity is fourteen numbers: the form of head, hair, eyes, brows, nose and mouth. From image to image place,
    size, turn, light, contrast, noise and the mouth's mood change, so that pixels alone do not tell who it is.

    Args:
        identities: to learn from, 2 to 10,000.
        test_identities: others to be told apart, 2 to 10,000.
        images: of each, 2 to 1,000.
        size: height and width in pixels, 24 to 256.
        seed: equal seeds draw equal faces.

    Returns:
        Grey images 1 x size x size; the targets are identities, those of the training split first.

    Raises:
        InvalidSetting: too few or too many.

    Example:
        >>> drawn_faces(identities=4, test_identities=2, images=3)
        Dataset('drawn-faces', 12 + 6 images 1x32x32, 6 identities, on cpu)
    """
    for name, value, low, high in (
        ("identities", identities, 2, 10_000),
        ("test_identities", test_identities, 2, 10_000),
        ("images", images, 2, 1_000),
        ("size", size, 24, 256),
    ):
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise InvalidSetting(name, f"{name}={value!r}: choose a whole number from {low} to {high:,}")
    random = np.random.RandomState(seed)  # its stream is frozen across versions
    count = identities + test_identities
    who = random.uniform(size=(count, TRAITS))
    labels = np.repeat(np.arange(count), images)
    drawn = np.concatenate(
        [_drawn(who[part], size, random) for part in np.split(labels, range(500, len(labels), 500))]
    )
    pixels, numbers = torch.from_numpy(drawn), torch.from_numpy(labels)
    cut = identities * images
    return assembled(
        "drawn-faces",
        Split(pixels[:cut], numbers[:cut]),
        Split(pixels[cut:], numbers[cut:]),
        [f"face {number}" for number in range(count)],
        "Simulated: faces drawn by reswork",
        task="verification",
    )


def _drawn(who: np.ndarray, size: int, random: np.random.RandomState) -> np.ndarray:
    """One image of each of these identities (N, traits), uint8 (N, 1, H, W)."""
    count = len(who)

    def trait(index: int, low: float, high: float) -> np.ndarray:
        found: np.ndarray = low + (high - low) * who[:, index, None, None]
        return found

    def varied(low: float, high: float) -> np.ndarray:
        return random.uniform(low, high, (count, 1, 1))

    place = (np.arange(size) + 0.5) / size * 2.2 - 1.1
    x, y = place[None, None, :] - varied(-0.08, 0.08), place[None, :, None] - varied(-0.08, 0.08)
    zoom, turn = varied(0.92, 1.08), varied(-0.15, 0.15)
    u, v = (np.cos(turn) * x + np.sin(turn) * y) / zoom, (np.cos(turn) * y - np.sin(turn) * x) / zoom
    soft = size / 2.2  # pixels for a length of 1: edges are as wide as a pixel

    def inside(distance: np.ndarray) -> np.ndarray:
        return np.clip(0.5 - distance * soft, 0, 1)

    def ellipse(left: np.ndarray, top: np.ndarray, wide: np.ndarray, high: np.ndarray) -> np.ndarray:
        return (np.hypot((u - left) / wide, (v - top) / high) - 1) * np.minimum(wide, high)

    ground, skin = varied(0.0, 0.5), 0.72 + varied(-0.1, 0.1)
    picture = ground + varied(-0.15, 0.15) * u
    wide, high = trait(0, 0.45, 0.85), trait(1, 0.72, 1.0)
    square = trait(2, 1.7, 3.2)
    head = ((np.abs(u / wide) ** square + np.abs(v / high) ** square) ** (1 / square) - 1) * 0.6
    picture = picture + inside(head) * (skin - picture)
    line, curl = trait(3, -0.8, -0.25), trait(4, -0.8, 0.9)
    hair = inside(np.maximum(head, (v - line - curl * u**2) * 0.9))
    picture = picture + hair * (trait(5, 0.0, 0.6) - picture)
    apart, level = trait(6, 0.16, 0.42), trait(7, -0.25, 0.05)
    for side in (-1, 1):
        eye = ellipse(side * apart, level, trait(8, 0.07, 0.2), trait(9, 0.05, 0.16))
        picture = picture + inside(eye) * (0.95 - picture)
        picture = picture + inside(np.hypot(u - side * apart, v - level) - 0.05) * (0.05 - picture)
        slope = trait(10, -0.6, 0.8) * side * (u - side * apart)
        brow = np.maximum(np.abs(v - level + 0.17 + slope) - 0.035, np.abs(u - side * apart) - 0.15)
        picture = picture + inside(brow) * (0.15 - picture)
    nose = np.maximum(np.abs(u) - 0.045, np.abs(v - level - 0.25) - trait(11, 0.03, 0.24))
    picture = picture + inside(nose) * (skin - 0.22 - picture)
    mood = varied(-0.4, 0.4)
    mouth = np.maximum(
        np.abs(v - trait(12, 0.38, 0.66) - mood * u**2) - 0.045, np.abs(u) - trait(13, 0.1, 0.42)
    )
    picture = picture + inside(mouth) * (0.25 - picture)
    picture = picture * (1 + varied(-0.35, 0.35) * u + varied(-0.25, 0.25) * v)  # light from one side
    picture = (picture - 0.5) * varied(0.6, 1.1) + 0.5 + varied(-0.1, 0.1)
    noisy = picture + random.normal(size=picture.shape) * varied(0.01, 0.05)
    return (np.clip(noisy, 0, 1) * 255).round().astype(np.uint8)[:, None]
