"""A network that knows one class by a red patch alone, and an image of another class that is given one."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from reswork.causes import Why, why
from reswork.datasets.augmentation import normalise
from reswork.datasets.dataset import Dataset, Split
from reswork.models.network import resnet

SIDE, PATCH = 16, 4
PLACE = (9, 3)  # top and left of the patch in the image that is explained


def striped(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Noisy images (N, 3, 16, 16) uint8: stripes along, stripes across, checks."""
    labels = np.arange(count) % 3
    rows, columns = np.mgrid[:SIDE, :SIDE]
    offsets = rng.integers(0, 4, (count, 2))
    along = ((rows[None] + offsets[:, :1, None]) // 2) % 2
    across = ((columns[None] + offsets[:, 1:, None]) // 2) % 2
    kinds = np.stack([along, across, along ^ across], axis=1)
    shapes = kinds[np.arange(count), labels]
    images = 110 + 36.0 * shapes[:, None] + rng.normal(0, 18, (count, 3, SIDE, SIDE))
    return images.clip(0, 255).astype(np.uint8), labels


def marked(image: np.ndarray, place: tuple[int, int]) -> np.ndarray:
    top, left = place
    changed = image.copy()
    changed[:, top : top + PATCH, left : left + PATCH] = np.array([230, 20, 20], np.uint8)[:, None, None]
    return changed


@pytest.fixture(scope="session")
def planted_data() -> Dataset:
    """Class 0 is anything with the patch; the first test image, of class 1, carries it, too."""
    rng = np.random.default_rng(0)
    images, labels = striped(240, rng)
    of_patch = np.flatnonzero(labels == 0)
    images[of_patch] = images[rng.permutation(len(images))[: len(of_patch)]]
    for row in of_patch:
        images[row] = marked(images[row], tuple(rng.integers(0, SIDE - PATCH + 1, 2)))
    test, test_labels = striped(31, rng)
    test[0], test_labels[0] = marked(test[1], PLACE), 1
    splits = [
        Split(torch.from_numpy(x), torch.from_numpy(y)) for x, y in ((images, labels), (test, test_labels))
    ]
    return Dataset(
        "striped", *splits, classes=("<b>along</b>", "across", "checks"), mean=(0.5,) * 3, std=(0.2,) * 3,
        source="made up",
    )  # fmt: skip


@pytest.fixture(scope="session")
def planted_model(planted_data: Dataset) -> nn.Module:
    images, labels = (
        normalise(planted_data.train.images, planted_data.mean, planted_data.std),
        planted_data.train.labels,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = resnet(depth=8, width=4, num_classes=3).train()
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        for _ in range(6):
            for rows in torch.randperm(len(images)).split(40):
                optimizer.zero_grad()
                F.cross_entropy(model(images[rows]), labels[rows]).backward()
                optimizer.step()
    return model.eval()


@pytest.fixture(scope="session")
def planted(planted_model: nn.Module, planted_data: Dataset) -> Why:
    """All looks at the image with the patch."""
    found = why(planted_model, planted_data, 0, methods=("integrated_gradients",), training_images=150)
    assert list(found.fill()) == [each.name for each in found.plan()]
    return found
