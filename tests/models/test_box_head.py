"""Networks that give boxes: sizes, the way back to a quarter of the image, the start, the sheet, what is refused."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

import reswork as rw
from reswork.errors import InvalidSetting
from reswork.models.config import ResNetConfig

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


def test_a_body_that_stays_too_fine_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="choose 3 stages or more"):
        rw.ResNetConfig(depth=None, stage_blocks=(2, 2), head="boxes")
    with pytest.raises(InvalidSetting, match="head='boxes' is not written out"):
        rw.show_code(rw.detector(depth=8, width=4).config)
