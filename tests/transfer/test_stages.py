"""Stages, what is frozen up to one, rates and joining, on networks of several forms."""

import pytest
import torchvision

from reswork.errors import InvalidSetting
from reswork.models.network import resnet
from reswork.training.recipe import Recipe
from reswork.transfer import frozen_to, joining_in_turn, planned, rates_by_stage, stages


@pytest.mark.parametrize(
    ("settings", "stem", "last"),
    [
        ({"depth": 8}, ("conv1", "bn1"), ("layer3",)),
        ({"depth": 18, "form": "imagenet", "stem": "resnet_d"}, ("conv1", "bn1"), ("layer4",)),
        ({"depth": 8, "order": "pre"}, ("conv1",), ("layer3", "bn_last")),
        ({"depth": 8, "residual": False}, ("conv1", "bn1"), ("layer3",)),
        ({"depth": 8, "head": "unet"}, ("conv1", "bn1"), ("layer3",)),
    ],
)
def test_stem_stages_and_head_of_networks_that_are_built_here(settings, stem, last) -> None:
    found = stages(resnet(**settings))
    assert found[0].name == "stem" and set(stem) <= set(found[0].layers)
    assert found[-2].layers == last and found[-1].name == "head"
    assert [each.name for each in found[1:-1]] == [f"layer{n}" for n in range(1, len(found) - 1)]


def test_torchvisions_network_has_the_same_stages() -> None:
    model = torchvision.models.resnet18(weights=None)
    assert [each.layers for each in stages(model)] == [
        ("conv1", "bn1"), ("layer1",), ("layer2",), ("layer3",), ("layer4",), ("fc",),
    ]  # fmt: skip
    mobile = stages(torchvision.models.mobilenet_v2(weights=None))
    assert mobile[-1].layers == ("classifier",)


def test_what_is_frozen_up_to_a_stage_or_block() -> None:
    model = resnet(depth=14)
    assert frozen_to(model, "stem") == ("conv1", "bn1")
    assert frozen_to(model, "layer2") == ("conv1", "bn1", "layer1", "layer2")
    assert frozen_to(model, "layer2.0") == ("conv1", "bn1", "layer1", "layer2.0")
    assert frozen_to(model, "body") == ("conv1", "bn1", "layer1", "layer2", "layer3")
    assert frozen_to(resnet(depth=8, order="pre"), "body")[-1] == "bn_last"
    for wrong in ("layer9", "layer2.7", "fc", ""):
        with pytest.raises(
            InvalidSetting, match="'stem', 'layer1', 'layer2', 'layer3', a block in them such as"
        ):
            frozen_to(model, wrong)


def test_rates_fall_towards_the_input_and_stages_join_from_the_end() -> None:
    model = resnet(depth=8)
    rates = rates_by_stage(model, 0.1)
    assert rates["layer3"] == pytest.approx(0.1) and rates["bn1"] == pytest.approx(1e-4) and "fc" not in rates
    assert rates_by_stage(model, 1) == {}
    joins = joining_in_turn(model, frozen_to(model, "layer2.0"), 1.5)
    assert joins == {"layer2.0": 1.5, "layer1": 3.0, "conv1": 4.5, "bn1": 4.5}
    for decay in (0, -1, 1.5, "fast", True):
        with pytest.raises(InvalidSetting, match="above 0 and at most 1"):
            rates_by_stage(model, decay)


def test_a_recipe_says_it_once_and_keeps_what_it_says() -> None:
    model = resnet(depth=8)
    plan = planned(model, Recipe(), last="layer1", rate_decay=0.5, unfreeze_every=2, keep_statistics=True)
    assert plan == Recipe(
        frozen=("conv1", "bn1", "layer1"),
        layer_rates={"layer3": 0.5, "layer2": 0.25, "layer1": 0.125, "conv1": 0.0625, "bn1": 0.0625},
        unfreeze_epochs={"layer1": 2, "conv1": 4, "bn1": 4},
        norm_statistics="kept",
    )
    with pytest.raises(InvalidSetting, match="say it once"):
        planned(model, Recipe(frozen=("conv1",)), last="layer1")
    with pytest.raises(InvalidSetting, match="needs something frozen"):
        planned(model, Recipe(), unfreeze_every=1)
    assert planned(model, Recipe(frozen=("layer1",)), unfreeze_every=1).unfreeze_epochs == {"layer1": 1}
