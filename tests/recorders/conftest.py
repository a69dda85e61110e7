from collections.abc import Callable

import pytest
import torch
from torch import nn

from reswork.datasets.dataset import Dataset, Split
from reswork.training.recipe import Recipe


@pytest.fixture
def data() -> Dataset:
    generator = torch.Generator().manual_seed(7)
    labels = torch.arange(160) % 4
    images = torch.rand(160, 3, 8, 8, generator=generator) * 60 + labels[:, None, None, None] * 45
    split = Split(images.to(torch.uint8), labels)
    return Dataset("toy", split, split, ("a", "b", "c", "d"), (0.4,) * 3, (0.3,) * 3, "made up")


@pytest.fixture
def net() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 4),
    )


@pytest.fixture
def make_recipe() -> Callable[..., Recipe]:
    def make(**settings: object) -> Recipe:
        plain = {"batch_size": 32, "precision": "fp32", "channels_last": False, "compile": "off"}
        return Recipe(**{"steps": 25, **plain, "device": "cpu", **settings})  # type: ignore[arg-type]

    return make
