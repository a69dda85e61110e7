from collections.abc import Callable
from pathlib import Path

import pytest

from reswork.datasets.dataset import Dataset
from reswork.history import History
from reswork.models.network import ResNet
from reswork.store.description import describe
from reswork.store.directory import create_run_directory
from reswork.store.writer import RunWriter
from reswork.training.recipe import Recipe


@pytest.fixture
def made_writer(
    tmp_path: Path, tiny_net: ResNet, tiny_data: Dataset
) -> Callable[..., tuple[RunWriter, History]]:
    def make(name: str = "made", **options: float) -> tuple[RunWriter, History]:
        history = History()
        description = describe(tiny_net, tiny_data, Recipe(epochs=2, batch_size=8))
        return RunWriter(create_run_directory(tmp_path, name), history, description, **options), history

    return make
