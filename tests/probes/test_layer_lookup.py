import pytest
import torch
import torchvision
from torch import nn

from reswork.errors import InvalidSetting
from reswork.probes.layer_lookup import block_names, find_layers, layer_names
from tests.probes.looking import net


def test_names_are_those_of_named_modules() -> None:
    model = net()
    assert layer_names(model) == tuple(name for name, _ in model.named_modules() if name)
    assert find_layers(model, ["layer1.0.conv1"])["layer1.0.conv1"] is model.layer1[0].conv1


def test_wrappers_leave_no_part_in_a_name() -> None:
    model = net()
    names = layer_names(model)
    inner = model.layer2[0]
    model.layer2[0] = nn.DataParallel(inner)
    model.layer1 = nn.DataParallel(model.layer1)
    assert layer_names(nn.DataParallel(model)) == names
    assert find_layers(model, ["layer2.0"])["layer2.0"] is inner


def test_a_misspelt_name_gets_the_nearest_three() -> None:
    with pytest.raises(InvalidSetting, match=r"'layer2\.0\.conv3' is not a layer") as caught:
        find_layers(net(), ["layer2.0.conv3"])
    assert str(caught.value).count("'layer") == 4
    assert "layer2.0.conv1" in str(caught.value) and "layer2.0.conv2" in str(caught.value)
    with pytest.raises(InvalidSetting, match="no layers inside"):
        find_layers(nn.ReLU(), ["fc"])
    with pytest.raises(InvalidSetting, match="nearest"):
        find_layers(net(), [3])  # type: ignore[list-item]


def test_blocks_of_our_networks_and_of_others() -> None:
    model = net()
    assert block_names(model) == model.config.block_names
    with torch.device("meta"):
        resnet50, vgg11 = torchvision.models.resnet50(), torchvision.models.vgg11()
    assert block_names(resnet50)[:4] == ("layer1.0", "layer1.1", "layer1.2", "layer2.0")
    assert len(block_names(resnet50)) == 16
    assert block_names(vgg11)[:2] == ("features.0", "features.3")
    assert block_names(nn.ReLU()) == ()
