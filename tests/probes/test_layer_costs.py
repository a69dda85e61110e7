"""The layer table, against the spec sheet, torchvision's own numbers and PyTorch's counter."""

import time

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from reswork.errors import InvalidSetting
from reswork.models.config import ResNetConfig
from reswork.models.network import resnet
from reswork.models.sheet import spec_sheet
from reswork.probes import layer_table
from tests.probes.looking import images, net

CONFIGS = [
    ResNetConfig(depth=20),
    ResNetConfig(depth=20, order="pre", shortcut="B", widen_factor=2),
    ResNetConfig(depth=11, block="bottleneck", groups=2, bottleneck_width=32),
    ResNetConfig(depth=8, residual=False, norm="group"),
    ResNetConfig(depth=8, residual_scaling="skipinit", norm="none"),
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.label)
def test_numbers_are_those_of_the_spec_sheet(config: ResNetConfig) -> None:
    sheet = spec_sheet(config)
    table = layer_table(resnet(config), images(1), repeats=1)
    assert (table.parameters, table.macs) == (sheet.parameters, sheet.macs)
    assert table.activation_bytes == sheet.activation_bytes
    rows = {layer.name: layer for layer in table.layers}
    for layer in sheet.layers:
        if layer.name in rows:
            row = rows[layer.name]
            assert (row.parameters, row.macs) == (layer.parameters, layer.macs), layer.name
            assert row.output_shape == (1, *layer.output_shape) or layer.kind == "pool"
            assert row.output_bytes == 4 * torch.Size(row.output_shape).numel()
    assert {layer.name for layer in sheet.layers if layer.parameters} <= set(rows)


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_numbers_are_torchvisions(name: str) -> None:
    meta = torchvision.models.get_model_weights(name).DEFAULT.meta
    table = layer_table(getattr(torchvision.models, name)(), torch.zeros(1, 3, 224, 224), repeats=1)
    assert table.parameters == meta["num_params"]
    assert round(table.macs / 1e9, 3) == meta["_ops"]
    relu = next(layer for layer in table.layers if layer.name == "layer1.0.relu")
    assert relu.uses == (2 if name == "resnet18" else 3)


class Attending(nn.Module):
    """Parameters of its own, a layer that is used twice, products that are no module."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(8))
        self.inner = nn.Linear(8, 8)
        self.unused = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.inner(self.inner(x)) * self.scale
        return (x @ x.transpose(1, 2)).softmax(-1) @ x


def test_products_outside_layers_and_shared_parameters_count_once() -> None:
    model = nn.Sequential(Attending(), nn.Linear(8, 8))
    model[1].weight = model[0].inner.weight
    x = torch.randn(2, 5, 8)
    table = layer_table(model, x, repeats=1)
    with FlopCounterMode(display=False) as counter:
        model(x)
    assert table.macs == counter.get_total_flops() / 2
    assert table.parameters == sum(p.numel() for p in model.parameters())
    rows = {layer.name: layer for layer in table.layers}
    assert rows["0"].macs == 2 * 2 * 5 * 5 * 8 and rows["0"].parameters == 8
    assert rows["0.inner"].uses == 2 and rows["0.inner"].macs == 2 * 2 * 5 * 64
    assert rows["0.unused"].uses == 0 and rows["0.unused"].seconds == 0
    assert table.samples == 2


class Slow(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        time.sleep(0.05)
        return x


class Outer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = Slow()

    def forward(self, x: Tensor) -> Tensor:
        time.sleep(0.02)
        return self.inner(x)


def test_time_is_where_it_is_spent() -> None:
    table = layer_table(Outer(), torch.zeros(1), repeats=3)
    (row,) = table.layers
    assert row.name == "inner" and 0.05 <= row.seconds < 0.1
    assert 0.02 <= table.elsewhere_seconds < row.seconds
    assert table.seconds == row.seconds + table.elsewhere_seconds and table.device == "cpu"


def test_repeats_are_checked() -> None:
    with pytest.raises(InvalidSetting, match="repeats=0"):
        layer_table(net(), images(1), repeats=0)
