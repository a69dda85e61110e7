"""Blocks that are gone against branches that are deleted, and what each is worth against a plain evaluation."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torchvision

from reswork.compression import block_worth, delete_blocks
from reswork.errors import InvalidSetting
from reswork.models.config import ResNetConfig
from reswork.models.network import resnet
from reswork.surgery import Delete, operated
from reswork.training.evaluation import evaluate
from tests.compression.test_channels import SHAPE, lively

ORDERS = ("post", "pre", "bn_after_addition", "relu_before_addition", "relu_only_pre")


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("gone", [("layer1.0",), ("layer2.0", "layer2.1"), ("layer1.0", "layer1.1")], ids=str)
@pytest.mark.parametrize("shortcut", ["A", "B", "C"])
def test_without_blocks_it_answers_as_with_their_branches_deleted(order, gone, shortcut) -> None:
    inner = (5, 6, 7, 3)
    model = lively(resnet(ResNetConfig(**SHAPE, order=order, shortcut=shortcut, inner_channels=inner)))
    images = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(2))
    found = delete_blocks(model, gone)
    wanted = operated(model, [Delete(name) for name in gone])(images)
    torch.testing.assert_close(found(images), wanted, rtol=1e-5, atol=1e-5)
    assert sum(p.numel() for p in found.parameters()) < sum(p.numel() for p in model.parameters())
    again = resnet(found.config)
    again.load_state_dict(found.state_dict())


def test_numbers_of_blocks_and_their_settings_move_up() -> None:
    config = ResNetConfig(
        **{**SHAPE, "stage_blocks": (3, 3)}, shortcuts_off=("layer1.2",), branches_off=("layer2.2",),
        inner_channels=(1, 2, 3, 4, 5, 6),
    )  # fmt: skip
    found = delete_blocks(resnet(config), ["layer1.1", "layer2.1"]).config
    assert found.stage_blocks == (2, 2) and found.inner_channels == (1, 3, 4, 6)
    assert found.shortcuts_off == ("layer1.1",) and found.branches_off == ("layer2.1",)


def test_a_network_of_somebody_else_is_tried() -> None:
    model = torchvision.models.ResNet(
        torchvision.models.resnet.BasicBlock, [2, 1, 1, 1], num_classes=5
    ).eval()
    images = torch.randn(2, 3, 32, 32)
    found = delete_blocks(model, ["layer1.1"], images=images)
    torch.testing.assert_close(found(images), operated(model, [Delete("layer1.1")])(images))
    for names, given, match in (
        (["layer1.1"], None, "give images="),
        (["layer2.0"], images, "changes the shape"),
        (["fc"], images, "'fc' is no residual block"),
    ):
        with pytest.raises(InvalidSetting, match=match):
            delete_blocks(model, names, images=given)


def test_worth_is_what_an_evaluation_without_each_says(small_data) -> None:
    torch.manual_seed(0)
    config = ResNetConfig(depth=None, stage_blocks=(2, 1), width=4, in_channels=1, num_classes=3)
    model = lively(resnet(config))
    found = block_worth(model, small_data)
    on_train = replace(small_data, test=small_data.train)

    def score(*names: str) -> float:
        return evaluate(operated(model, [Delete(name) for name in names]), on_train).metrics["top1"]

    assert found.names == ("layer1.0", "layer1.1", "layer2.0") and found.images == len(small_data.train)
    np.testing.assert_allclose([found.whole, *found.alone], [score(), *(score(name) for name in found.names)])
    assert score(found.order[0]) == max(found.alone) and len(found.order) == 2
    np.testing.assert_allclose(found.after, [score(*found.order[: k + 1]) for k in range(2)])
    assert 0.5 < found.shares.sum() < 1 and "without layer2.0" in str(found)
    with pytest.raises(InvalidSetting, match="prune channels"):
        block_worth(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 3)), small_data)
