"""Networks that give boxes: sizes, the way back to a quarter of the image, the start, the sheet, what is refused."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models.detection._utils import BoxCoder
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.ops import clip_boxes_to_image

import reswork as rw
from reswork.errors import InvalidSetting
from reswork.models.config import ResNetConfig
from reswork.models.retinanet import _meant, anchors

BODIES = {
    "cifar": ResNetConfig(depth=8, width=4),
    "plain": ResNetConfig(depth=8, width=4, residual=False),
    "pre": ResNetConfig(depth=8, width=4, order="pre"),
    "without norms": ResNetConfig(depth=8, width=4, norm="none", residual_scaling="fixup"),
    "four stages": ResNetConfig(depth=None, stage_blocks=(1, 1, 1, 1), form="cifar", width=4),
    "imagenet": ResNetConfig(depth=None, stage_blocks=(1, 1, 1, 1), form="imagenet", width=4),
    "bottlenecks": ResNetConfig(
        depth=None, stage_blocks=(1, 1), block="bottleneck", stem="resnet_d", width=16
    ),
}


@pytest.mark.parametrize("name", BODIES)
def test_every_body_answers_at_a_quarter_of_the_size_and_costs_what_its_sheet_says(name: str) -> None:
    torch.manual_seed(0)
    config = replace(BODIES[name], head="boxes", num_classes=3)
    model = rw.resnet(config)
    ran: list[str] = []
    for layer, module in model.named_modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(lambda *_, layer=layer: ran.append(layer))
    sheet = rw.spec_sheet(config, (3, 36, 30))
    found = model(torch.rand(2, 3, 36, 30))
    assert found.shape == (2, *sheet.output_shape) == (2, 8, 9, 8)
    assert (found[:, :4] > 0).all()
    assert sheet.parameters == sum(weight.numel() for weight in model.parameters())
    assert [layer.name for layer in sheet.layers if layer.kind == "conv"] == ran
    assert config.label.startswith("Detector on ") and rw.ResNetConfig.from_json(config.to_json()) == config
    chances = found[:, 5:].sigmoid()
    assert 0.002 < chances.mean() < 0.05  # nearly all places lie in no box
    assert rw.figures.network(sheet).layout.meta is not None


def test_the_head_by_hand() -> None:
    torch.manual_seed(0)
    model = rw.detector(depth=8, width=4, num_classes=2).eval()
    images = torch.rand(1, 3, 16, 20)
    with torch.no_grad():
        x = model.features(images)[-1]
        tower = model.decoder.tower
        for conv, norm in ((tower[0], tower[1]), (tower[3], tower[4])):
            x = norm(F.conv2d(x, conv.weight, conv.bias, padding=1)).relu()
        raw = F.conv2d(x, model.decoder.last.weight, model.decoder.last.bias)
        expected = torch.cat([4 * (1 + raw[:, :4].exp()).log(), raw[:, 4:]], 1)
        torch.testing.assert_close(model(images), expected)


@pytest.mark.parametrize("name", BODIES)
def test_a_retinanet_is_torchvisions_on_every_body_and_costs_what_its_sheet_says(name: str) -> None:
    torch.manual_seed(0)
    config = replace(BODIES[name], head="retinanet", num_classes=3)
    model = rw.resnet(config).eval()
    levels: list[torch.Tensor] = []
    model.decoder.head.register_forward_hook(lambda _m, given, _o: levels.extend(given[0]))
    sheet = rw.spec_sheet(config, (3, 36, 30))
    images = torch.rand(2, 3, 36, 30)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        found = model(images)
    assert counter.get_total_flops() == 2 * 2 * sheet.macs
    assert sheet.parameters == sum(weight.numel() for weight in model.parameters())
    assert found.shape == (2, *sheet.output_shape) and config.label.startswith("RetinaNet on ")
    names = dict(model.named_modules())
    assert all(layer.name in names for layer in sheet.layers)
    assert tuple(levels[0].shape[2:]) == (9, 8)
    given, deltas = found[..., 4:8], found[..., 8:12]
    coder = BoxCoder((1.0, 1.0, 1.0, 1.0))
    far = deltas * 300
    expected = clip_boxes_to_image(coder.decode_single(far[0], given[0]), (36, 30))
    torch.testing.assert_close(_meant(given, far, (36, 30))[0], expected, rtol=1e-4, atol=1e-3)
    assert not torch.equal(expected, found[0, :, :4])
    torch.testing.assert_close(
        found[0, :, :4], clip_boxes_to_image(coder.decode_single(deltas[0], given[0]), (36, 30))
    )
    chances = found[..., 12:].sigmoid()
    assert 0.002 < chances.mean() < 0.05  # nearly all anchors are of nothing
    assert rw.figures.network(sheet).layout.meta is not None


def test_anchors_have_torchvisions_shapes_around_the_middles_of_places() -> None:
    levels = [torch.zeros(1, 1, 3, 2), torch.zeros(1, 1, 2, 1)]
    stride, made = 4, anchors(levels)
    for level in levels:
        sizes = tuple(2 * stride * 2 ** (k / 3) for k in range(3))
        cell = AnchorGenerator((sizes,), ((0.5, 1.0, 2.0),)).generate_anchors(
            sizes, (0.5, 1.0, 2.0)
        )  # around 0
        rows, columns = level.shape[2:]
        for row in range(rows):
            for column in range(columns):
                own, made = made[:9], made[9:]
                middle = torch.tensor([column + 0.5, row + 0.5]).repeat(2) * stride
                torch.testing.assert_close((own - middle).round(), cell)  # which torchvision rounds
        stride *= 2
    assert not len(made)


def test_a_body_that_stays_too_fine_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="choose 3 stages or more"):
        rw.ResNetConfig(depth=None, stage_blocks=(2, 2), head="boxes")
    with pytest.raises(InvalidSetting, match="head='retinanet' answers: choose 3 stages"):
        rw.ResNetConfig(depth=None, stage_blocks=(2, 2), head="retinanet")
    with pytest.raises(InvalidSetting, match="head='boxes' is not written out"):
        rw.show_code(rw.detector(depth=8, width=4).config)
