import pytest
import torch

from reswork import datasets
from reswork.datasets import Dataset


@pytest.fixture(scope="session")
def small_data() -> Dataset:
    """64 + 20 noisy images of 8x8 in three classes."""
    images = torch.randint(
        0, 256, (84, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    labels = torch.arange(84) % 3
    parts = (images[:64], labels[:64], images[64:], labels[64:])
    return datasets.arrays(*(each.numpy() for each in parts), classes=("one", "two", "three"), name="noise")
