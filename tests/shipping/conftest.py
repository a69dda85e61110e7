"""One small network, exported once in each format."""

from pathlib import Path

import pytest
import torch

import reswork as rw
from reswork.datasets import digits
from reswork.datasets.dataset import Dataset


@pytest.fixture(scope="session")
def data() -> Dataset:
    return digits().subset(60, 60)


@pytest.fixture(scope="session")
def network(data: Dataset) -> torch.nn.Module:
    torch.manual_seed(0)
    net = rw.resnet(depth=8, width=4, in_channels=1, shortcut="A")
    net(torch.randn(32, 1, 8, 8))  # so that the norms have seen something
    return net.eval()


@pytest.fixture(scope="session")
def onnx_folder(network: torch.nn.Module, data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shipped") / "onnx"
    rw.export(network, folder, data=data, format="onnx", licence="MIT", limits=("Only for tests.",))
    return folder


@pytest.fixture(scope="session")
def torch_folder(network: torch.nn.Module, data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shipped") / "torch"
    rw.export(network, folder, data=data, format="torch")
    return folder


@pytest.fixture(scope="session")
def script_folder(network: torch.nn.Module, data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shipped") / "script"
    rw.export(network, folder, data=data, format="script")
    return folder
