"""Every setting is checked, and every refusal says the value, what is accepted and what to do."""

from typing import Any

import pytest

from reswork.errors import InvalidSetting
from reswork.models.config import ResNetConfig

REFUSED: tuple[tuple[dict[str, Any], str, str], ...] = (
    (
        {"depth": 21},
        "depth",
        r"depth=21 is not a ResNet depth; choose 6n\+2 \(8, .*\) or 18, 34, 50, 101, 152",
    ),
    ({"depth": 2}, "depth", "depth=2 is not a ResNet depth"),
    ({"depth": 18, "form": "cifar"}, "depth", r"choose 6n\+2 \(8, 14, 20, 32, 44, 56, 110, ...\)$"),
    ({"depth": 32, "block": "bottleneck"}, "depth", r"choose 9n\+2 with bottlenecks"),
    ({"depth": 29, "block": "basic"}, "depth", r"choose 6n\+2"),
    ({"depth": 20, "form": "imagenet"}, "depth", "choose 18, 34, 50, 101, 152, or give stage_blocks"),
    ({"depth": 18, "block": "bottleneck"}, "block", "has basic blocks; leave block automatic"),
    ({"depth": None}, "depth", "depth=None needs stage_blocks"),
    ({"depth": "20"}, "depth", "'20' is not accepted; choose a whole number from 1"),
    ({"depth": True}, "depth", "True is not accepted"),
    ({"depth": 20.0}, "depth", "20.0 is not accepted"),
    ({"depth": -4}, "depth", "-4 is not accepted"),
    ({"depth": 600_002}, "depth", "600,002 layers are too many; choose at most 20,000"),
    (
        {"stage_blocks": (2, 2, 2)},
        "depth",
        r"depth=20 does not agree with stage_blocks=\(2, 2, 2\), which make 14",
    ),
    ({"depth": None, "stage_blocks": ()}, "stage_blocks", "must be numbers of blocks"),
    ({"depth": None, "stage_blocks": 3}, "stage_blocks", "must be numbers of blocks"),
    ({"depth": None, "stage_blocks": (2, 0)}, "stage_blocks", "0 is not accepted"),
    ({"depth": None, "stage_blocks": (2, "a")}, "stage_blocks", "'a' is not accepted"),
    ({"depth": None, "stage_blocks": (1,) * 17}, "stage_blocks", "17 stages are too many; choose at most 16"),
    ({"depth": None, "stage_blocks": (9_999, 9)}, "stage_blocks", "20,018 layers are too many"),
    ({"order": "sideways"}, "order", "order='sideways' is not known; choose one of 'post', 'pre'"),
    ({"order": None}, "order", "order=None is not known"),
    ({"shortcut": ["A"]}, "shortcut", "is not known; choose one of None, 'A', 'B', 'C'"),
    ({"norm": "layer"}, "norm", "choose one of 'batch', 'group', 'none'"),
    ({"form": "mnist"}, "form", "choose one of None, 'cifar', 'imagenet'"),
    ({"stem": "7x7"}, "stem", "choose one of"),
    ({"head": "detector"}, "head", "head='detector' is not known; choose one of 'classifier', 'unet'"),
    ({"residual": 1}, "residual", "residual=1 must be True or False"),
    ({"squeeze_excitation": "yes"}, "squeeze_excitation", "must be True or False"),
    ({"in_channels": 0}, "in_channels", "0 is not accepted"),
    ({"num_classes": None}, "num_classes", "None is not accepted"),
    ({"width": 0}, "width", "0 is not accepted"),
    ({"dropout": 1.0}, "dropout", "dropout=1.0 is not a chance; choose a number from 0 to below 1"),
    ({"dropout": float("nan")}, "dropout", "is not a chance"),
    ({"stochastic_depth": -0.1}, "stochastic_depth", "is not a chance"),
    ({"stochastic_depth": "half"}, "stochastic_depth", "is not a chance"),
    ({"groups": 2}, "groups", "groups=2 needs bottleneck blocks; choose 1, or block='bottleneck'"),
    ({"bottleneck_width": 32}, "bottleneck_width", "needs bottleneck blocks"),
    ({"depth": 29, "bottleneck_width": 2}, "bottleneck_width", "leaves no channel inside"),
    ({"residual": False, "residual_scaling": "skipinit"}, "residual_scaling", "needs shortcuts"),
    ({"residual": False, "zero_init_last_norm": True}, "zero_init_last_norm", "needs shortcuts"),
    ({"residual": False, "stochastic_depth": 0.1}, "stochastic_depth", "needs shortcuts"),
    (
        {"residual_scaling": "fixup"},
        "residual_scaling",
        "replaces norms, but norm='batch'; choose norm='none'",
    ),
    (
        {"residual_scaling": "fixup", "norm": "none", "order": "relu_before_addition"},
        "residual_scaling",
        "cannot learn .* choose 'skipinit'",
    ),
    (
        {"zero_init_last_norm": True, "order": "pre"},
        "zero_init_last_norm",
        "needs a norm right before the addition",
    ),
    (
        {"zero_init_last_norm": True, "norm": "none"},
        "zero_init_last_norm",
        "needs a norm right before the addition",
    ),
    (
        {"shortcuts_off": ("layer4.0",)},
        "shortcuts_off",
        "'layer4.0' is not a block .* from layer1.0 to layer3.2",
    ),
    ({"inner_channels": (4, 4)}, "inner_channels", "must be 9 numbers, one for each block"),
    ({"depth": 8, "inner_channels": (4, 0, 4)}, "inner_channels", "0 is not accepted"),
    (
        {"depth": 29, "groups": 2, "inner_channels": (4,) * 9},
        "inner_channels",
        "do not go with groups=2",
    ),
    ({"shortcuts_off": "layer1.0"}, "shortcuts_off", "must be a list of block names"),
    ({"branches_off": (1,)}, "branches_off", "must be a list of block names"),
    ({"branches_off": ("layer1.0",), "shortcuts_off": ("layer1.0",)}, "branches_off", "has no shortcut"),
    ({"branches_off": ("layer1.0",), "residual": False}, "branches_off", "has no shortcut"),
)


@pytest.mark.parametrize(("settings", "field", "message"), REFUSED, ids=lambda value: str(value)[:60])
def test_refused(settings: dict[str, Any], field: str, message: str) -> None:
    with pytest.raises(InvalidSetting, match=message) as caught:
        ResNetConfig(**settings)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("settings", "form", "block", "stage_blocks"),
    [
        ({}, "cifar", "basic", (3, 3, 3)),
        ({"depth": 110}, "cifar", "basic", (18, 18, 18)),
        ({"depth": 1202}, "cifar", "basic", (200, 200, 200)),
        ({"depth": 8}, "cifar", "basic", (1, 1, 1)),
        ({"depth": 29}, "cifar", "bottleneck", (3, 3, 3)),
        ({"depth": 164, "block": "bottleneck"}, "cifar", "bottleneck", (18, 18, 18)),
        ({"depth": 20, "block": "bottleneck"}, "cifar", "bottleneck", (2, 2, 2)),
        ({"depth": 18}, "imagenet", "basic", (2, 2, 2, 2)),
        ({"depth": 34}, "imagenet", "basic", (3, 4, 6, 3)),
        ({"depth": 50}, "imagenet", "bottleneck", (3, 4, 6, 3)),
        ({"depth": 101}, "imagenet", "bottleneck", (3, 4, 23, 3)),
        ({"depth": 152}, "imagenet", "bottleneck", (3, 8, 36, 3)),
        ({"depth": 50, "block": "basic"}, "cifar", "basic", (8, 8, 8)),
        ({"depth": 50, "form": "cifar"}, "cifar", "basic", (8, 8, 8)),
        ({"depth": 101, "form": "cifar"}, "cifar", "bottleneck", (11, 11, 11)),
        ({"depth": None, "stage_blocks": (1, 2, 3, 4)}, "imagenet", "basic", (1, 2, 3, 4)),
        ({"depth": None, "stage_blocks": (5,)}, "cifar", "basic", (5,)),
        ({"depth": None, "stage_blocks": [2, 3], "form": "imagenet"}, "imagenet", "basic", (2, 3)),
        ({"depth": 50, "stage_blocks": (3, 4, 6, 3)}, "imagenet", "bottleneck", (3, 4, 6, 3)),
    ],
    ids=str,
)
def test_automatic_choices(
    settings: dict[str, Any], form: str, block: str, stage_blocks: tuple[int, ...]
) -> None:
    config = ResNetConfig(**settings).resolved()
    assert (config.form, config.block, config.stage_blocks) == (form, block, stage_blocks)
    imagenet = form == "imagenet"
    assert (config.shortcut, config.width, config.stem) == (("B", 64, form) if imagenet else ("A", 16, form))
    assert config.depth == (3 if block == "bottleneck" else 2) * sum(stage_blocks) + 2
    assert config.resolved() == config


@pytest.mark.parametrize(
    ("config", "label"),
    [
        (ResNetConfig(), "ResNet-20"),
        (ResNetConfig(depth=56, residual=False), "Plain-56"),
        (ResNetConfig(depth=152), "ResNet-152"),
        (ResNetConfig(depth=110, order="pre"), "Pre-activation ResNet-110"),
        (ResNetConfig.wide(28, 10), "WRN-28-10"),
        (ResNetConfig.wide(28, 10, residual=False), "Pre-activation Wide Plain-26-10"),
        (ResNetConfig.wide(50, 2), "Wide ResNet-50-2"),
        (ResNetConfig.wide(18, 2), "Wide ResNet-18-2"),
        (ResNetConfig(depth=50, groups=32, bottleneck_width=4), "ResNeXt-50 32x4d"),
        (ResNetConfig(depth=50, squeeze_excitation=True), "SE-ResNet-50"),
        (ResNetConfig(depth=None, stage_blocks=(2, 3)), "ResNet-12"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_label(config: ResNetConfig, label: str) -> None:
    assert config.label == label


@pytest.mark.parametrize("depth", [27, 4, "28", True, 20])
def test_wide_refuses_other_depths(depth: Any) -> None:
    with pytest.raises(InvalidSetting) as caught:
        ResNetConfig.wide(depth, 2)
    assert caught.value.field == "depth"


def test_block_names() -> None:
    assert ResNetConfig(depth=14).block_names == (
        "layer1.0",
        "layer1.1",
        "layer2.0",
        "layer2.1",
        "layer3.0",
        "layer3.1",
    )


def test_frozen_hashable_and_equal() -> None:
    config = ResNetConfig(depth=None, stage_blocks=[2, 2], shortcuts_off=["layer1.0"])  # type: ignore[arg-type]
    assert config == ResNetConfig(depth=None, stage_blocks=(2, 2), shortcuts_off=("layer1.0",))
    assert {config: 1}[ResNetConfig.from_json(config.to_json())] == 1
    with pytest.raises(AttributeError):
        config.depth = 3  # type: ignore[misc]


def test_json_of_others_is_refused_by_name() -> None:
    with pytest.raises(InvalidSetting, match="'deepness' is not a setting of ResNetConfig; remove it"):
        ResNetConfig.from_json('{"deepness": 3}')
    with pytest.raises(InvalidSetting, match="must be an object"):
        ResNetConfig.from_json("[1, 2]")
    with pytest.raises(InvalidSetting, match="is not JSON"):
        ResNetConfig.from_json("{")
    assert ResNetConfig.from_json('{"depth": 32}') == ResNetConfig(depth=32)
