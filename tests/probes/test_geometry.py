"""Receptive fields, against the spec sheet's formula and against which pixels have a gradient."""

import pytest
import torch
from torch import nn

from reswork.errors import InvalidSetting
from reswork.models.config import ResNetConfig
from reswork.models.network import resnet
from reswork.models.sheet import spec_sheet
from reswork.probes.channels import box_of, receptive_fields

CONFIGS = [
    ResNetConfig(depth=20),
    ResNetConfig(depth=29, block="bottleneck", order="pre", shortcut="B"),
    ResNetConfig(depth=None, stage_blocks=(1, 1), width=8, squeeze_excitation=True, norm="group"),
    ResNetConfig(depth=None, stage_blocks=(1, 1), stem="resnet_d", residual=False),
    ResNetConfig(depth=18),
    ResNetConfig(depth=50, groups=2, bottleneck_width=16),
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.label)
def test_fields_are_those_of_the_spec_sheet(config: ResNetConfig) -> None:
    sheet = spec_sheet(config, (3, 64, 64))
    names = [
        layer.name
        for layer in sheet.layers
        if layer.kind in ("conv", "relu") and "downsample" not in layer.name
    ]
    fields = receptive_fields(resnet(config), torch.zeros(1, 3, 64, 64), names)
    for layer in sheet.layers:
        if layer.name in fields:
            field = fields[layer.name]
            assert field is not None
            assert field[0].size == field[1].size == layer.receptive_field, layer.name


def linear(model: nn.Module) -> nn.Module:
    """The same layout, positive weights and no ReLU: every pixel that can matter has a gradient."""
    for module in model.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.ReLU | nn.BatchNorm2d):
                setattr(module, name, nn.Identity())
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 0.01)
    return model.double().eval()


@pytest.mark.parametrize("layer", ["conv1", "layer1.1.conv2", "layer2.0", "layer2.1.conv1", "layer3.0.conv1"])
@pytest.mark.parametrize("shortcut", ["A", "B"])
def test_boxes_are_the_pixels_with_a_gradient(layer: str, shortcut: str) -> None:
    model = linear(resnet(depth=14, width=4, shortcut=shortcut))
    image = torch.ones(1, 3, 40, 48, dtype=torch.float64, requires_grad=True)
    found = []
    model.get_submodule(layer).register_forward_hook(lambda module, args, output: found.append(output))
    model(image)
    field = receptive_fields(model, torch.ones(1, 3, 40, 48), [layer])[layer]
    for row, column in ((0, 0), (4, 5), (found[0].shape[2] - 1, found[0].shape[3] - 1)):
        (gradient,) = torch.autograd.grad(found[0][:, :, row, column].sum(), image, retain_graph=True)
        rows, columns = (gradient.abs().sum(dim=(0, 1)) > 0).nonzero().unbind(1)
        expected = (int(rows.min()), int(columns.min()), int(rows.max()) + 1, int(columns.max()) + 1)
        assert box_of(field, (row, column), (40, 48)) == expected


def test_pooling_dilation_and_uneven_windows() -> None:
    layers = [nn.Conv2d(3, 4, (3, 5), dilation=2, padding=(1, 0)), nn.AvgPool2d(2), nn.MaxPool2d(3, 1)]
    layers += [nn.ZeroPad2d((1, 0, 2, 0)), nn.Conv2d(4, 4, 3, stride=2, groups=4)]
    field = receptive_fields(nn.Sequential(*layers), torch.zeros(1, 3, 32, 32), ["4"])["4"]
    image = torch.rand(1, 3, 32, 32, requires_grad=True)
    model = linear(nn.Sequential(*layers[:2], nn.AvgPool2d(3, 1), *layers[3:])).float()
    (gradient,) = torch.autograd.grad(model(image)[:, :, 2, 3].sum(), image)
    rows, columns = (gradient.abs().sum(dim=(0, 1)) > 0).nonzero().unbind(1)
    expected = (int(rows.min()), int(columns.min()), int(rows.max()) + 1, int(columns.max()) + 1)
    assert box_of(field, (2, 3), (32, 32)) == expected


def test_what_cannot_be_followed_counts_as_the_whole_image() -> None:
    model = nn.Sequential(nn.Conv2d(3, 3, 3), nn.Upsample(scale_factor=2), nn.Conv2d(3, 3, 3))
    field = receptive_fields(model, torch.zeros(1, 3, 16, 16), ["2"])["2"]
    assert field is None and box_of(field, (1, 1), (16, 16)) == (0, 0, 16, 16)
    fields = receptive_fields(resnet(depth=8), torch.zeros(1, 3, 32, 32), ["avgpool", "fc"])
    assert fields == {"avgpool": None, "fc": None}


def test_a_layer_that_is_not_there() -> None:
    with pytest.raises(InvalidSetting, match="nearest"):
        receptive_fields(resnet(depth=8), torch.zeros(1, 3, 32, 32), ["layer9"])
