"""Networks that give another picture: sizes, the addition written out, the start, tiles, and what is refused."""

import pytest
import torch
import torch.nn.functional as F

import reswork as rw
from reswork.errors import InvalidSetting
from reswork.models.tiles import in_tiles

TINY = {"depth": 8, "width": 6}


@pytest.mark.parametrize("form", ["edsr", "vdsr"])
@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_every_size_comes_back_enlarged_and_begins_near_its_bicubic_form(form: str, scale: int) -> None:
    torch.manual_seed(0)
    model = getattr(rw, form)(scale=scale, **TINY).eval()
    images = torch.rand(2, 3, 13, 18)
    with torch.no_grad():
        found = model(images)
    assert found.shape == (2, 3, 13 * scale, 18 * scale)
    size = (13 * scale, 18 * scale)
    bicubic = images if scale == 1 else F.interpolate(images, size, mode="bicubic", antialias=True)
    assert 0 < (found - bicubic).abs().max() < 0.1
    alone = getattr(rw, form)(scale=scale, add_input=False, **TINY).eval()
    alone.load_state_dict(model.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(alone(images) + bicubic, found)


def test_the_edsr_form_by_hand() -> None:
    torch.manual_seed(0)
    model = rw.edsr(scale=2, **TINY)
    x = images = torch.rand(1, 3, 9, 7)
    weights = dict(model.state_dict())

    def conv(name: str, x: torch.Tensor) -> torch.Tensor:
        return F.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], padding=1)

    x = conv("conv1", x).relu()
    for stage in (1, 2, 3):
        name = f"layer{stage}.0"
        x = x + conv(f"{name}.conv2", conv(f"{name}.conv1", x if stage == 1 else x.relu()).relu())
    shuffled = (
        conv("decoder.last", x.relu())
        .reshape(1, 3, 2, 2, 9, 7)
        .permute(0, 1, 4, 2, 5, 3)
        .reshape(1, 3, 18, 14)
    )
    expected = shuffled + F.interpolate(images, (18, 14), mode="bicubic", antialias=True)
    torch.testing.assert_close(model(images), expected)


def test_a_deep_one_without_norms_begins_near_the_picture_too() -> None:
    torch.manual_seed(0)
    with torch.no_grad():
        images = torch.rand(1, 3, 12, 12)
        assert (rw.vdsr(depth=62, width=8, scale=1)(images) - images).abs().max() < 0.1


@pytest.mark.parametrize(
    "model",
    [rw.edsr(scale=2, **TINY), rw.vdsr(scale=3, **TINY), rw.unet(depth=8, width=4), rw.fcn(depth=8, width=4)],
)
def test_tiles_equal_the_whole_away_from_the_edges(model: rw.ResNet) -> None:
    torch.manual_seed(0)
    images = torch.rand(1, 3, 50, 77)
    with torch.no_grad():
        whole = model.eval()(images)
        seen = (
            rw.spec_sheet(model.config, (3, 50, 77)).receptive_field
            // 2
            // (model.config.scale if model.config.head == "vdsr" else 1)
        )
        overlap = -(-(seen + 2) // 4) * 4  # on the grid of the U-Net's deepest stage
        tiled = in_tiles(model, images, tile=16, overlap=overlap)
    assert tiled.shape == whole.shape
    torch.testing.assert_close(tiled, whole, atol=2e-5, rtol=1e-4)
    with torch.no_grad():
        seams = in_tiles(model, images, tile=16, overlap=0)
    assert (seams - whole).abs().max() > 1e-4


def test_what_makes_no_network_is_told() -> None:
    for settings, sentence in (
        ({"scale": 2}, "is for networks that give another picture"),
        ({"add_input": False}, "is for networks that give another picture"),
        ({"head": "edsr", "scale": 5, "num_classes": 3}, "choose 1 to 4"),
        ({"head": "vdsr"}, "choose the same for both"),
        ({"head": "edsr", "num_classes": 3, "stem": "imagenet"}, "choose stem='cifar'"),
    ):
        with pytest.raises(InvalidSetting) as caught:
            rw.ResNetConfig(**settings)
        assert sentence in caught.value.message
    with pytest.raises(InvalidSetting, match="works in tiles"):
        in_tiles(rw.resnet(depth=8), torch.rand(1, 3, 32, 32))
    with pytest.raises(InvalidSetting, match="tile=4 pixels"):
        in_tiles(rw.resnet(depth=8), torch.rand(1, 3, 32, 32), tile=4)
