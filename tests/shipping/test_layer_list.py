"""A network written down layer by layer computes what the network does; what cannot be is named."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import reswork as rw
from reswork.shipping.layer_files import read_layers, write_layers
from reswork.shipping.layer_list import Unknown, layers_of
from tests.shipping.plain_layers import computed


def shaken(network: nn.Module, inputs: Tensor) -> nn.Module:
    """With numbers in all weights and norms that are like none at a start."""
    torch.manual_seed(0)
    for parameter in network.parameters():
        with torch.no_grad():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    network.train()(inputs)
    return network.eval()


NETWORKS: dict[str, dict[str, Any]] = {
    "padding": {"depth": 8, "shortcut": "A"},
    "projection, squeezed": {"depth": 8, "shortcut": "B", "squeeze_excitation": True},
    "pre-activation": {"depth": 8, "order": "pre", "norm": "group", "residual_scaling": "skipinit"},
    "fixup": {"depth": 8, "norm": "none", "residual_scaling": "fixup", "shortcut": "A"},
    "groups, pooled stem": {"depth": None, "form": "imagenet", "block": "bottleneck", "groups": 2,
                            "bottleneck_width": 32, "stage_blocks": (1, 1, 1, 1), "width": 8},
    "masks": {"depth": 8, "head": "unet"},
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_layers_compute_what_the_network_does(name: str, tmp_path: Any) -> None:
    settings = {"width": 4, "in_channels": 3, "num_classes": 5, **NETWORKS[name]}
    inputs = torch.randn(3, 3, 17, 16, generator=torch.Generator().manual_seed(1))
    network = shaken(rw.resnet(**settings), inputs)
    layers = layers_of(network, inputs)
    with torch.no_grad():
        expected = network(inputs).numpy()
    images = np.ascontiguousarray(inputs.numpy().transpose(0, 2, 3, 1))
    found = np.moveaxis(computed(layers, images), -1, 1)
    np.testing.assert_allclose(found, expected, atol=1e-4 * max(1, np.abs(expected).max()))
    assert len({each.name for each in layers}) == len(layers)
    write_layers(tmp_path, layers, (17, 16, 3))
    plain, weights, shape = read_layers(tmp_path)
    assert [each["name"] for each in plain] == [each.name for each in layers] and shape == (17, 16, 3)
    assert sum(map(len, (each.weights for each in layers))) == len(weights)


def test_layers_have_the_names_of_the_network() -> None:
    names = [
        each.name
        for each in layers_of(rw.resnet(depth=8, width=2, in_channels=1).eval(), torch.randn(2, 1, 8, 8))
    ]
    assert {"conv1", "bn1", "layer1_0_conv1", "layer3_0_bn2", "fc"} <= set(names)


class Weights(nn.Module):
    """Adds a weight to each pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.field = nn.Parameter(torch.randn(1, 1, 8, 8))

    def forward(self, images: Tensor) -> Tensor:
        return images + self.field


class Other(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return torch.cumsum(images, 2)


@pytest.mark.parametrize(
    ("network", "told"),
    [
        (Other(), "its operator aten.cumsum is not known there"),
        (Weights(), "a weight of many numbers in an operator aten.add"),
        (nn.MaxPool2d(3, 2, padding=1), "a max pooling with padding takes numbers that may be negative"),
        (nn.Conv2d(1, 2, 3, padding="same"), "padding='same'"),
        (nn.Identity(), "does not give one tensor"),
    ],
)
def test_what_has_no_layer_is_named(network: nn.Module, told: str) -> None:
    with pytest.raises(Unknown, match=told):
        layers_of(network.eval(), torch.randn(2, 1, 8, 8))
