import pytest
import torch
import torchvision
from torch import Tensor, nn

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


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.act = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(x + self.conv(x))


class Stage(nn.Module):
    """As in Hugging Face's ResNets: a list inside a module that is itself in a list."""

    def __init__(self, mixed: bool) -> None:
        super().__init__()
        self.layers = nn.Sequential(Block(), Block())
        self.mixing = nn.Conv2d(4, 4, 1) if mixed else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.mixing(self.layers(x))


@pytest.mark.parametrize("wrap", [nn.ModuleList, nn.DataParallel])
def test_blocks_inside_stages_of_ones_own(wrap) -> None:
    stages = [Stage(False), Stage(True)]
    model = nn.Module()
    model.stem, model.stages = nn.Conv2d(3, 4, 3), nn.ModuleList(stages)
    if wrap is nn.DataParallel:
        model.stages[1] = nn.DataParallel(model.stages[1])
    wanted = tuple(f"stages.{stage}.layers.{place}" for stage in (0, 1) for place in (0, 1))
    assert block_names(model) == wanted


class Experts(nn.Module):
    """A block of several parallel nets is one block."""

    def __init__(self) -> None:
        super().__init__()
        self.experts = nn.ModuleList(nn.Sequential(nn.Linear(4, 4), nn.ReLU()) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        return x + sum(expert(x) for expert in self.experts)


def test_what_adds_several_parts_is_one_block() -> None:
    assert block_names(nn.Sequential(Experts(), Experts())) == ("0", "1")
