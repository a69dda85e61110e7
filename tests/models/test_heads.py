"""U-Net and FCN: every size comes back, their forwards written out by hand, and what the classifier keeps."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reswork.errors import InvalidSetting
from reswork.models.anatomy import residual_blocks
from reswork.models.blocks import ResidualBlock
from reswork.models.config import ResNetConfig
from reswork.models.network import ResNet, fcn, resnet, unet
from reswork.models.plan import decoder_plans
from reswork.models.recognition import recognised
from reswork.models.sheet import spec_sheet

TINY: dict[str, Any] = {"depth": None, "form": "cifar", "stage_blocks": (1, 1, 1), "width": 4}


@pytest.mark.parametrize("stem", ["cifar", "imagenet", "resnet_d"])
def test_every_size_comes_back(stem: str) -> None:
    model = unet(**TINY, stem=stem, num_classes=6).eval()
    smallest = 3 if stem == "cifar" else 9
    for height in range(smallest, 40):
        width = smallest + (7 * height) % 53
        with torch.no_grad():
            assert model(torch.zeros(2, 3, height, width)).shape == (2, 6, height, width)


@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
@pytest.mark.parametrize("build", [unet, fcn])
def test_volumes_of_every_size_come_back(build: Any, stem: str) -> None:
    model = build(**TINY, stem=stem, num_classes=3, in_channels=2, dims=3).eval()
    for size in ((9, 9, 9), (12, 17, 10), (16, 16, 31)):
        with torch.no_grad():
            assert model(torch.zeros(1, 2, *size)).shape == (1, 3, *size)
        sheet = spec_sheet(model.config, (2, *size))
        assert sheet.output_shape == (3, *size)
        assert sheet.parameters == sum(weight.numel() for weight in model.parameters())


def test_slices_of_a_flat_volume_are_images() -> None:
    """Kernels that look at their own slice alone make of each slice what the 2-D network makes of it."""
    settings = {"depth": 8, "width": 4, "num_classes": 3, "norm": "none", "residual_scaling": "skipinit"}
    torch.manual_seed(0)
    flat, deep = unet(**settings).eval(), unet(**settings, dims=3).eval()
    weights = dict(deep.named_parameters())
    with torch.no_grad():
        for name, weight in flat.named_parameters():
            weight.copy_(torch.randn_like(weight) / max(1.0, weight[0].numel() ** 0.5))
            if weights[name].dim() == 5:
                weights[name].zero_()[:, :, weights[name].shape[2] // 2] = weight
            else:
                weights[name].copy_(weight)
        image = torch.rand(1, 3, 9, 12)
        volume = deep(image.unsqueeze(2).expand(-1, -1, 5, -1, -1))
        torch.testing.assert_close(volume, flat(image).unsqueeze(2).expand_as(volume), atol=1e-5, rtol=1e-4)


def test_small_fcn_by_hand_and_its_start() -> None:
    torch.manual_seed(0)
    model = fcn(**TINY, num_classes=3)
    images = torch.rand(2, 3, 11, 14)
    with torch.no_grad():
        for name in ("score2", "score1"):
            layer = getattr(model.decoder, name)
            assert not layer.weight.any() and not layer.bias.any()  # at first only the deepest stage speaks
            layer.weight.normal_(), layer.bias.normal_()
        model = _random_statistics(model)
        one, two, three = model.features(images.double())
        hand = _ByHand(model)
        x = hand.conv("decoder.last", three)
        x = _repeated(x, 6, 7) + hand.conv("decoder.score2", two)
        x = _repeated(x, 11, 14) + hand.conv("decoder.score1", one)
        torch.testing.assert_close(model(images.double()), x)


def _shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in model.state_dict().items()}


@pytest.mark.parametrize("order", ["post", "pre"])
def test_an_fcn_takes_over_a_classifiers_body(order: str) -> None:
    torch.manual_seed(0)
    body = resnet(**TINY, order=order, num_classes=10)
    model = fcn(body, num_classes=3)
    images = torch.rand(2, 3, 16, 16)
    body.eval(), model.eval()
    with torch.no_grad():
        for own, given in zip(model.features(images), body.features(images), strict=True):
            assert torch.equal(own, given)
    assert model.config.label.startswith("FCN on ") and recognised(_shapes(model)).head == "fcn"
    with pytest.raises(InvalidSetting, match="does not fit: leave depth, width"):
        fcn(body, width=8)


def test_forms_blocks_and_depths_come_back() -> None:
    for settings in ({"depth": 18}, {"depth": 29, "form": "cifar"}, {"depth": 50, "width": 8}):
        model = unet(ResNetConfig(width=16), **{"num_classes": 3, **settings}).eval()
        with torch.no_grad():
            assert model(torch.zeros(1, 3, 45, 70)).shape == (1, 3, 45, 70)


def _repeated(x: Tensor, height: int, width: int) -> Tensor:
    """Each pixel four times; of an odd size the last row or column falls off."""
    return x.repeat_interleave(2, 2).repeat_interleave(2, 3)[:, :, :height, :width]


class _ByHand:
    """Functions of the weights by name; batch norms use their running statistics."""

    def __init__(self, model: ResNet) -> None:
        self.weights = model.state_dict()

    def conv(self, name: str, x: Tensor, stride: int = 1) -> Tensor:
        weight = self.weights[f"{name}.weight"]
        return F.conv2d(x, weight, self.weights.get(f"{name}.bias"), stride, weight.shape[2] // 2)

    def norm(self, name: str, x: Tensor) -> Tensor:
        mean, var, weight, bias = (
            self.weights[f"{name}.{part}"][None, :, None, None]
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (var + 1e-5).sqrt() * weight + bias


def _random_statistics(model: ResNet) -> ResNet:
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
    return model.double().eval()


def test_small_unet_by_hand() -> None:
    """Three stages, basic blocks, shortcuts of type A."""
    torch.manual_seed(0)
    model = _random_statistics(unet(depth=8, width=4, num_classes=3))
    images = torch.randn(2, 3, 11, 14, dtype=torch.double)
    net = _ByHand(model)

    def block(name: str, x: Tensor, stride: int = 1) -> Tensor:
        out = net.norm(f"{name}.bn1", net.conv(f"{name}.conv1", x, stride)).relu()
        out = net.norm(f"{name}.bn2", net.conv(f"{name}.conv2", out))
        if stride == 2:
            zeros = torch.zeros_like(out[:, : out.shape[1] // 4])
            x = torch.cat([zeros, x[:, :, ::2, ::2], zeros], 1)
        return (out + x).relu()

    def merge(name: str, deep: Tensor, skip: Tensor) -> Tensor:
        x = torch.cat([skip, _repeated(deep, *skip.shape[2:])], 1)
        return net.norm(f"{name}.bn", net.conv(f"{name}.conv", x)).relu()

    fine = block("layer1.0", net.norm("bn1", net.conv("conv1", images)).relu())
    half = block("layer2.0", fine, 2)
    deep = block("layer3.0", half, 2)
    x = block("decoder.layer2.0", merge("decoder.merge2", deep, half))
    x = block("decoder.layer1.0", merge("decoder.merge1", x, fine))
    expected = net.conv("decoder.last", x)
    torch.testing.assert_close(model(images), expected)
    for found, wanted in zip(model.features(images), (fine, half, deep), strict=True):
        torch.testing.assert_close(found, wanted)


def test_pre_activation_unet_behind_a_pooling_stem_by_hand() -> None:
    """The stem's own output is one of the features, and the last level has no partner."""
    torch.manual_seed(0)
    model = _random_statistics(
        unet(**TINY | {"stage_blocks": (1, 1)}, stem="imagenet", order="pre", num_classes=3)
    )
    images = torch.randn(2, 3, 21, 34, dtype=torch.double)
    net = _ByHand(model)

    def unit(name: str, number: str, x: Tensor, stride: int = 1) -> Tensor:
        return net.conv(f"{name}.conv{number}", net.norm(f"{name}.bn{number}", x).relu(), stride)

    def block(name: str, x: Tensor) -> Tensor:
        return x + unit(name, "2", unit(name, "1", x))

    stem = net.norm("bn1", net.conv("conv1", images, 2)).relu()
    x = F.max_pool2d(stem, 3, 2, 1)
    fine = x + unit("layer1.0", "2", net.conv("layer1.0.conv1", x))  # the stem has activated it
    zeros = torch.zeros_like(fine[:, :2, ::2, ::2])
    deep = torch.cat([zeros, fine[:, :, ::2, ::2], zeros], 1)
    deep = deep + unit("layer2.0", "2", unit("layer2.0", "1", fine, 2))
    x = torch.cat([fine, _repeated(deep, *fine.shape[2:])], 1)
    x = block("decoder.layer1.0", unit("decoder.merge1", "", x))
    x = torch.cat([stem, _repeated(x, *stem.shape[2:])], 1)
    x = block("decoder.layer_stem.0", unit("decoder.merge_stem", "", x))
    x = block("decoder.layer_image.0", unit("decoder.merge_image", "", _repeated(x, 21, 34)))
    expected = net.conv("decoder.last", net.norm("decoder.bn_last", x).relu())
    torch.testing.assert_close(model(images), expected)
    for found, wanted in zip(model.features(images), (stem, fine, deep), strict=True):
        torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize(
    "order", ["post", "pre", "bn_after_addition", "relu_before_addition", "relu_only_pre"]
)
@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
def test_plain_twin_has_the_same_weights_and_no_addition(order: str, stem: str) -> None:
    settings = TINY | {"order": order, "stem": stem, "head": "unet"}
    residual, plain = resnet(**settings, shortcut="A"), resnet(**settings, residual=False)
    assert {name: value.shape for name, value in plain.state_dict().items()} == {
        name: value.shape for name, value in residual.state_dict().items()
    }
    blocks = [module for module in plain.decoder.modules() if isinstance(module, ResidualBlock)]
    assert len(blocks) == len(decoder_plans(plain.config.resolved())) > 1
    assert {block.plan.shortcut for block in blocks} == {"none"}


@pytest.mark.parametrize("settings", [{"depth": 20}, {"depth": 18}, {"depth": 20, "order": "pre"}], ids=str)
def test_a_decoder_changes_nothing_before_it(settings: dict[str, Any]) -> None:
    """Weights of a trained classifier go into the encoder by their names; both draw them alike."""
    torch.manual_seed(0)
    whole = resnet(**settings)
    torch.manual_seed(0)
    model = resnet(**settings, head="unet")
    loaded = model.load_state_dict(whole.state_dict(), strict=False)
    assert all(name.startswith("decoder.") for name in loaded.missing_keys)
    assert all(name.startswith(("fc.", "bn_last.")) for name in loaded.unexpected_keys)
    images = torch.randn(2, 3, 64, 64)
    x = whole.eval().features(images)[-1]
    torch.testing.assert_close(model.eval().features(images)[-1], x)
    for name in whole.last_names:
        x = getattr(whole, name)(x)
    assert torch.equal(whole.fc(x.mean((2, 3))), whole(images))


def test_start_is_drawn_from_the_seed() -> None:
    def drawn(seed: int) -> list[Tensor]:
        torch.manual_seed(seed)
        return list(unet(depth=8).state_dict().values())

    assert all(map(torch.equal, drawn(3), drawn(3)))
    assert not all(map(torch.equal, drawn(3), drawn(4)))


def test_fixup_and_skipinit_start_as_their_shortcuts_in_the_decoder_too() -> None:
    x = torch.randn(2, 8, 6, 6).relu()
    for scaling in ("fixup", "skipinit"):
        model = unet(norm="none", residual_scaling=scaling)
        assert torch.equal(model.decoder.layer1[0](x), x)
    assert not unet(norm="none", residual_scaling="fixup")(torch.rand(1, 3, 8, 8)).any()  # as its paper says


def test_stochastic_depth_rises_through_the_decoder() -> None:
    model = unet(depth=14, stochastic_depth=0.4)
    chances = [module.p for name, module in model.named_modules() if name.endswith("stochastic_depth")]
    assert chances == pytest.approx([0.4 * number / 8 for number in range(1, 9)])


def test_memory_format_stays() -> None:
    model = unet(depth=8).to(memory_format=torch.channels_last)
    formats = {}
    for name, module in model.named_modules():
        module.register_forward_hook(
            lambda _m, _i, out, name=name: formats.update(
                {name: out.is_contiguous(memory_format=torch.channels_last)}
            )
        )
    images = torch.randn(4, 3, 18, 17).to(memory_format=torch.channels_last).requires_grad_()
    model(images).sum().backward()
    assert [name for name, kept in formats.items() if "decoder" in name and not kept] == []
    assert images.grad is not None and images.grad.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("settings", "label"),
    [
        ({"depth": 20}, "U-Net on ResNet-20"),
        ({"depth": 20, "residual": False}, "U-Net on Plain-20"),
        ({"depth": 50, "shortcuts_off": ("decoder.layer_image.0",)}, "U-Net on ResNet-50"),
    ],
    ids=str,
)
def test_label(settings: dict[str, Any], label: str) -> None:
    assert ResNetConfig(**settings, head="unet").label == label


def test_settings_without_a_head_are_a_classifier() -> None:
    values = ResNetConfig(depth=20).to_dict()
    assert values.pop("head") == "classifier"
    assert ResNetConfig.from_dict(values) == ResNetConfig(depth=20)


def test_switches_name_the_decoders_blocks_only_where_there_is_one() -> None:
    assert ResNetConfig(depth=8, head="unet").block_names[-2:] == ("decoder.layer2.0", "decoder.layer1.0")
    config = ResNetConfig(depth=18, head="unet")
    assert [name for name in config.block_names if "decoder" in name] == [
        f"decoder.layer{place}.0" for place in ("3", "2", "1", "_stem", "_image")
    ]
    with pytest.raises(InvalidSetting, match=r"'decoder\.layer1\.0' is not a block of this net"):
        ResNetConfig(depth=8, shortcuts_off=("decoder.layer1.0",))


def test_recognised_by_its_weights() -> None:
    for settings in ({"depth": 14}, {"depth": 18, "num_classes": 21}, {"depth": 20, "order": "pre"}):
        config = ResNetConfig(**settings, head="unet")  # type: ignore[arg-type]
        with torch.device("meta"):
            state = resnet(config).state_dict()
        assert recognised({name: tuple(value.shape) for name, value in state.items()}) == config


def test_too_small_images_are_refused() -> None:
    with pytest.raises(InvalidSetting, match="too small for U-Net on ResNet-18"):
        unet(depth=18, input_shape=(3, 16, 16))


def test_anatomy_finds_the_decoders_blocks() -> None:
    for settings in ({}, {"order": "pre"}, {"residual": False}):
        model = unet(depth=8, **settings)
        found = residual_blocks(model)
        assert tuple(block.name for block in found) == model.config.block_names
        assert all(block.has_shortcut == model.config.residual for block in found)
        assert (
            found[-1].branch_module
            is list(model.decoder.layer1[0].children())[-1 if settings.get("order") == "pre" else -2]
        )
