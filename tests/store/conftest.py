from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from reswork.datasets.dataset import Dataset, Split
from reswork.history import History
from reswork.models.network import ResNet, resnet
from reswork.store.description import describe
from reswork.store.directory import create_run_directory
from reswork.store.writer import RunWriter
from reswork.training.recipe import Recipe


@pytest.fixture
def tiny_data() -> Dataset:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (40, 1, 8, 8), dtype=torch.uint8, generator=generator)
    labels = torch.arange(40) % 2
    splits = Split(images[:32], labels[:32]), Split(images[32:], labels[32:])
    return Dataset("tiny", *splits, classes=("<b>one</b>", "two"), mean=(0.5,), std=(0.3,), source="made up")


@pytest.fixture
def tiny_net() -> ResNet:
    torch.manual_seed(0)
    return resnet(depth=8, width=2, in_channels=1, num_classes=2)


@pytest.fixture
def made_writer(
    tmp_path: Path, tiny_net: ResNet, tiny_data: Dataset
) -> Callable[..., tuple[RunWriter, History]]:
    def make(name: str = "made", **options: float) -> tuple[RunWriter, History]:
        history = History()
        description = describe(tiny_net, tiny_data, Recipe(epochs=2, batch_size=8))
        return RunWriter(create_run_directory(tmp_path, name), history, description, **options), history

    return make
