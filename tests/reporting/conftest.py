"""Predictions as a decent model would make them, and images with something in them."""

from collections.abc import Callable

import numpy as np
import pytest

from reswork.reporting.predictions import Predictions, checked_predictions


def made_predictions(count: int = 600, wide: int = 5, sharpness: float = 3.0, seed: int = 0) -> Predictions:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, wide, count)
    logits = rng.normal(size=(count, wide)) + sharpness * np.eye(wide)[labels]
    exp = np.exp(logits - logits.max(axis=1, keepdims=True))
    return checked_predictions((exp / exp.sum(axis=1, keepdims=True)).astype(np.float32), labels)


def made_images(count: int = 200, side: int = 32, seed: int = 0) -> np.ndarray:
    """Colour images with edges and areas, no two alike: random boxes over a slope."""
    rng = np.random.default_rng(seed)
    images = np.zeros((count, 3, side, side), np.float32)
    slope = np.linspace(0, 1, side)
    for image in images:
        image += (
            60 * rng.random((3, 1, 1)) * slope[:, None] + 60 * rng.random((3, 1, 1)) * slope + 60
        ).astype(float)
        for _ in range(12):
            top, left = rng.integers(0, side - 4, 2)
            height, width = rng.integers(3, side // 2, 2)
            image[:, top : top + height, left : left + width] = rng.integers(0, 256, (3, 1, 1))
    return (images + rng.normal(0, 1, images.shape)).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def predictions() -> Predictions:
    return made_predictions()


@pytest.fixture(scope="session")
def images() -> np.ndarray:
    return made_images()


@pytest.fixture
def make_predictions() -> Callable[..., Predictions]:
    return made_predictions


@pytest.fixture
def make_images() -> Callable[..., np.ndarray]:
    return made_images
