import pytest
import torch
import torchvision

from reswork.models.config import ResNetConfig
from reswork.models.network import resnet
from reswork.models.recognition import recognised


def shapes(state: dict[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in state.items()}


TOLD = [
    ResNetConfig(depth=20),
    ResNetConfig(depth=110, num_classes=100),
    ResNetConfig(depth=32, shortcut="B", in_channels=1),
    ResNetConfig(depth=20, width=24),
    ResNetConfig(depth=29, shortcut="B"),
    ResNetConfig(depth=20, shortcut="C"),
    ResNetConfig(depth=20, norm="group", shortcut="B"),
    ResNetConfig(depth=20, norm="none"),
    ResNetConfig(depth=20, squeeze_excitation=True),
    ResNetConfig(depth=20, order="pre", shortcut="B"),
    ResNetConfig.wide(16, 4),
    ResNetConfig(depth=None, stage_blocks=(2, 1, 3)),
    ResNetConfig(depth=None, stage_blocks=(1, 2, 1, 1), block="bottleneck"),
    ResNetConfig(depth=18, stem="resnet_d"),
    ResNetConfig(depth=8, inner_channels=(3, 8, 5)),
    ResNetConfig(depth=34, num_classes=3, stem="cifar"),
    ResNetConfig(depth=50, groups=32, bottleneck_width=4),
    ResNetConfig(depth=101, bottleneck_width=128),
]


@pytest.mark.parametrize("config", TOLD, ids=lambda config: config.label)
def test_settings_are_told_from_shapes(config: ResNetConfig) -> None:
    with torch.device("meta"):
        state = resnet(config).state_dict()
    found = recognised(shapes(state))
    assert found is not None
    assert found.resolved() == config.resolved()


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50", "resnext50_32x4d", "wide_resnet50_2"])
def test_torchvisions_networks(name: str) -> None:
    with torch.device("meta"):
        found = recognised(shapes(getattr(torchvision.models, name)().state_dict()))
    assert found is not None and found.form is None and found.num_classes == 1000
    assert found.stage_blocks is None and found.block is None and found.shortcut is None


def test_what_cannot_be_told_apart_is_the_usual_one() -> None:
    found = recognised(shapes(resnet(depth=20, residual=False).state_dict()))
    assert found == ResNetConfig(depth=20)


def test_missing_counters_do_not_matter() -> None:
    state = {name: value for name, value in resnet().state_dict().items() if "num_batches" not in name}
    assert recognised(shapes(state)) == ResNetConfig()


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state.pop("fc.bias"),
        lambda state: state.pop("layer2.1.conv1.weight"),
        lambda state: state.update({"more": (3,)}),
        lambda state: state.update({"fc.weight": (10, 63)}),
        lambda state: state.update({"conv1.weight": ()}),
        lambda state: state.update({"conv1.weight": (0, 3, 3, 3)}),
        lambda state: state.update({"layerx.0.conv1.weight": (1,)}),
        lambda state: state.update({"layer9.0.conv1.weight": (1,)}),
        lambda state: state.clear(),
    ],
)
def test_anything_else_is_not_recognised(change: object) -> None:
    state = shapes(resnet(depth=14).state_dict())
    change(state)  # type: ignore[operator]
    assert recognised(state) is None


def test_other_networks_are_not_recognised() -> None:
    with torch.device("meta"):
        for name in ("vgg11", "densenet121", "mobilenet_v2", "vit_b_16"):
            assert recognised(shapes(getattr(torchvision.models, name)().state_dict())) is None
