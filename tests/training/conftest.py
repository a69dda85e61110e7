from collections.abc import Callable

import pytest
import torch
from torch import nn

from reswork.datasets.dataset import Dataset, Split
from reswork.training.recipe import Recipe

CLASSES = ("ant", "bee", "cat", "dog")


def accelerator() -> str | None:
    found = torch.accelerator.current_accelerator(check_available=True)
    return None if found is None else found.type


@pytest.fixture(params=["cpu", pytest.param("accelerator", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> str:
    """Each test that takes it runs on the processor and, where there is one, on the accelerator."""
    if request.param == "cpu":
        return "cpu"
    found = accelerator()
    if found is None:
        pytest.skip("torch.accelerator finds no accelerator")
    return found


@pytest.fixture
def cuda() -> str:
    if accelerator() != "cuda":
        pytest.skip("there is no CUDA device")
    return "cuda"


@pytest.fixture
def make_data() -> Callable[..., Dataset]:
    """Images whose brightness tells their class."""

    def make(train: int = 160, test: int = 40, classes: int = 4, size: int = 8, name: str = "toy") -> Dataset:
        generator = torch.Generator().manual_seed(7)

        def split(count: int) -> Split:
            labels = torch.arange(count) % classes
            noise = torch.rand(count, 3, size, size, generator=generator) * 60
            images = noise + labels[:, None, None, None] * (180 / classes)
            return Split(images.to(torch.uint8), labels)

        return Dataset(name, split(train), split(test), CLASSES[:classes], (0.4,) * 3, (0.3,) * 3, "made up")

    return make


@pytest.fixture
def make_net() -> Callable[..., nn.Module]:
    """A small net with batch norm and dropout, always with the same weights."""

    def make(classes: int = 4, dropout: float = 0.2) -> nn.Module:
        torch.manual_seed(3)
        return nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(8, classes),
        )

    return make


@pytest.fixture
def make_recipe() -> Callable[..., Recipe]:
    """Short, and computing plainly, so that nothing is timed."""

    def make(**settings: object) -> Recipe:
        plain = {"batch_size": 32, "precision": "fp32", "channels_last": False, "compile": "off"}
        return Recipe(**{"steps": 8, **plain, "device": "cpu", **settings})  # type: ignore[arg-type]

    return make
