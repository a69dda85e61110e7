from pathlib import Path

import pytest
import torch

from reswork import datasets
from reswork.datasets import Dataset


@pytest.fixture(autouse=True)
def runs_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of runs, empty at first; nobody has chosen anything yet."""
    monkeypatch.setenv("RESWORK_CONFIG", str(tmp_path / "chosen"))
    monkeypatch.setenv("RESWORK_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


@pytest.fixture
def small_data() -> Dataset:
    """64 + 20 noisy images of 8x8 in three classes."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (84, 1, 8, 8), dtype=torch.uint8, generator=generator)
    labels = torch.arange(84) % 3
    return datasets.arrays(
        images[:64].numpy(),
        labels[:64].numpy(),
        images[64:].numpy(),
        labels[64:].numpy(),
        classes=("<b>one", "two", "three"),
        name="noise",
    )
