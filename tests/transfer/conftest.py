from pathlib import Path

import pytest
import torch

from reswork import datasets
from reswork.datasets import Dataset
from reswork.models.network import ResNet, resnet


@pytest.fixture(autouse=True)
def runs_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of runs, empty at first."""
    monkeypatch.setenv("RESWORK_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


def drawn(
    classes: tuple[str, ...], *, channels: int = 1, seed: int = 0, count: int = 96, size: int = 8
) -> Dataset:
    """Dark noise with a bright row at a place of each class."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 60, (count, channels, size, size), dtype=torch.uint8, generator=generator)
    labels = torch.arange(count) % len(classes)
    images[torch.arange(count), :, labels + 1] = 250
    some = count * 2 // 3
    return datasets.arrays(
        images[:some].numpy(),
        labels[:some].numpy(),
        images[some:].numpy(),
        labels[some:].numpy(),
        classes=classes,
        name="rows",
    )


@pytest.fixture(scope="session")
def data() -> Dataset:
    return drawn(("one", "two", "three", "four"))


@pytest.fixture
def source() -> ResNet:
    """A network of three answers whose norms have seen something."""
    torch.manual_seed(3)
    model = resnet(depth=8, width=4, in_channels=1, num_classes=3)
    with torch.no_grad():
        model.train()(torch.randn(32, 1, 8, 8) * 2 + 1)
    return model.eval()
