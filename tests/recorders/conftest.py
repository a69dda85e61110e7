from collections.abc import Callable

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models.resnet import Bottleneck

from reswork.datasets.dataset import Dataset, Split
from reswork.models.network import resnet
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


class PlainMLP(nn.Sequential):
    """No residual blocks, no convolutions."""

    def __init__(self) -> None:
        super().__init__(nn.Flatten(), nn.Linear(192, 8), nn.ReLU(), nn.Linear(8, 4))


NETS: dict[str, Callable[[], nn.Module]] = {
    "post": lambda: resnet(depth=14, width=8, num_classes=4, shortcut="A"),
    "pre, bottleneck": lambda: resnet(
        depth=20, width=8, block="bottleneck", num_classes=4, order="pre", shortcut="B"
    ),
    "dropout": lambda: resnet(depth=8, width=8, num_classes=4, dropout=0.2, stochastic_depth=0.3),
    "fixup": lambda: resnet(depth=8, width=8, num_classes=4, norm="none", residual_scaling="fixup"),
    "plain": lambda: resnet(depth=8, width=8, num_classes=4, residual=False),
    "torchvision": lambda: torchvision.models.ResNet(
        Bottleneck, [1, 1, 1, 1], num_classes=4, width_per_group=8
    ),
    "mlp": PlainMLP,
    "parallel": lambda: nn.DataParallel(resnet(depth=8, width=8, num_classes=4)),
}


@pytest.fixture
def make_net() -> Callable[[str], nn.Module]:
    """One of several networks, always with the same weights."""

    def make(kind: str) -> nn.Module:
        torch.manual_seed(3)
        return NETS[kind]()

    return make
