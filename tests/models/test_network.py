"""Every variant runs, learns, and shows each use of a ReLU to hooks."""

from collections import Counter
from dataclasses import replace

import pytest
import torch
from torch import nn
from torchvision.ops import SqueezeExcitation, StochasticDepth

from reswork.errors import InvalidSetting
from reswork.models.blocks import ResidualBlock
from reswork.models.config import ResNetConfig
from reswork.models.network import ResNet, resnet


def _images(config: ResNetConfig, *, count: int = 3, size: int = 9) -> torch.Tensor:
    return torch.randn(count, config.in_channels, size, size, generator=torch.Generator().manual_seed(1))


def _shaken(config: ResNetConfig) -> ResNet:
    """A net away from its start, where Fixup, SkipInit and zeroed norms have no exact zeros."""
    torch.manual_seed(0)
    model = resnet(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        for module in model.modules():
            if isinstance(module, SqueezeExcitation):  # so few hidden units could all be off by chance
                module.fc1.bias.fill_(2.0)
    return model


def test_variant_runs_and_learns(any_variant: ResNetConfig) -> None:
    model = _shaken(any_variant)
    for module in model.modules():
        if isinstance(module, StochasticDepth | nn.Dropout):
            module.p = 0.0  # what is dropped gets no gradient, rightly
    logits = model.train()(_images(any_variant))
    assert (
        logits.shape
        == (3, any_variant.num_classes, 9 * any_variant.scale, 9 * any_variant.scale)[
            : 2 if any_variant.head == "classifier" else 4
        ]
    )
    logits.square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


def test_variant_comes_back_from_json_and_shows_each_use_of_a_layer(any_variant: ResNetConfig) -> None:
    again = ResNetConfig.from_json(any_variant.to_json())
    assert again == any_variant
    assert (
        ResNetConfig.from_json(again.resolved().to_json())
        == any_variant.resolved()
        == any_variant.resolved().resolved()
    )

    model = resnet(again)
    calls: Counter[str] = Counter()
    leaves = {name: module for name, module in model.named_modules() if not list(module.children())}
    for name, module in leaves.items():
        module.register_forward_hook(lambda *_, name=name: calls.update([name]))
    model(_images(any_variant)).sum().backward()  # with dropout and stochastic depth at work
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert calls == dict.fromkeys(leaves, 1)
    relus = [module for module in leaves.values() if isinstance(module, nn.ReLU)]
    assert relus and not any(relu.inplace for relu in relus)
    assert not any(getattr(module, "inplace", False) for module in leaves.values())


@pytest.mark.parametrize(
    "order", ["post", "pre", "bn_after_addition", "relu_before_addition", "relu_only_pre"]
)
@pytest.mark.parametrize("block", ["basic", "bottleneck"])
@pytest.mark.parametrize("form", ["cifar", "imagenet"])
def test_plain_twin_has_the_same_layers(order: str, block: str, form: str) -> None:
    settings = {
        "depth": None,
        "stage_blocks": (2, 1, 1, 1),
        "form": form,
        "width": 8,
        "block": block,
        "order": order,
    }
    residual = resnet(**settings, shortcut="A")
    for shortcut in ("A", "B", "C"):
        plain = resnet(**settings, residual=False, shortcut=shortcut)
        assert {k: v.shape for k, v in plain.state_dict().items()} == {
            k: v.shape for k, v in residual.state_dict().items()
        }
        layers = [
            (name, str(m))
            for name, m in residual.named_modules()
            if not list(m.children()) and "downs" not in name
        ]
        assert [(name, str(m)) for name, m in plain.named_modules() if not list(m.children())] == layers
        assert not any("downsample" in name for name, _ in plain.named_modules())


def test_plain_twin_differs_by_the_additions_only() -> None:
    residual, plain = resnet(depth=8), resnet(depth=8, residual=False)
    plain.load_state_dict(residual.state_dict())
    blocks = [module for module in residual.modules() if isinstance(module, ResidualBlock)]
    images = _images(residual.config)
    assert not torch.equal(residual(images), plain(images))
    for block in blocks:
        block.plan = replace(block.plan, shortcut="none")
    assert torch.equal(residual(images), plain(images))


def test_switched_off_shortcut_and_branch() -> None:
    whole = resnet(depth=14).eval()
    x = torch.randn(2, 16, 8, 8).relu()
    lone = resnet(depth=14, branches_off=("layer1.1",)).eval()
    assert torch.equal(lone.layer1[1](x), x)
    assert not list(lone.layer1[1].parameters())
    bare = resnet(depth=14, shortcuts_off=("layer1.1",)).eval()
    bare.load_state_dict(whole.state_dict())
    block = bare.layer1[1]
    branch = block.bn2(block.conv2(block.relu1(block.bn1(block.conv1(x)))))
    assert torch.equal(bare.layer1[1](x), branch.relu())
    assert torch.equal(whole.layer1[1](x), (branch + x).relu())


def test_zero_init_makes_each_block_its_shortcut() -> None:
    x = torch.randn(2, 16, 8, 8).relu()
    for settings in (
        {"zero_init_last_norm": True},
        {"residual_scaling": "skipinit", "norm": "none"},
        {"residual_scaling": "fixup", "norm": "none"},
    ):
        model = resnet(depth=8, **settings)
        assert torch.equal(model.layer1[0](x), x), settings


def test_fixup_starts_as_the_paper_says() -> None:
    torch.manual_seed(0)
    model = resnet(depth=56, norm="none", residual_scaling="fixup")
    block = model.layer2[3]
    plain_std = (2 / (9 * 32)) ** 0.5
    assert block.conv1.weight.std().item() == pytest.approx(
        plain_std * 27**-0.5, rel=0.03
    )  # L^(-1/(2m-2)), m = 2
    assert not block.conv2.weight.any() and block.scale.weight.item() == 1 and block.bn2.bias.item() == 0
    assert not model.fc.weight.any() and not model.fc.bias.any()
    deep = resnet(depth=164, block="bottleneck", norm="none", residual_scaling="fixup")
    inner = deep.layer3[5].conv2.weight
    assert inner.std().item() == pytest.approx((2 / (9 * 64)) ** 0.5 * 54**-0.25, rel=0.03)  # m = 3
    names = " ".join(name for name, _ in block.named_parameters())
    assert names == (
        "conv1.weight conv1.input_bias bn1.bias conv2.weight conv2.input_bias scale.weight bn2.bias"
    )


def test_skipinit_starts_at_zero_and_has_biases() -> None:
    model = resnet(depth=20, norm="none", residual_scaling="skipinit")
    assert all(
        block.scale.weight.item() == 0 for block in model.modules() if isinstance(block, ResidualBlock)
    )
    assert model.layer1[0].conv1.bias is not None and not model.layer1[0].conv1.bias.any()


def test_stochastic_depth_falls_linearly() -> None:
    model = resnet(depth=20, stochastic_depth=0.5)
    chances = [module.p for module in model.modules() if isinstance(module, StochasticDepth)]
    assert chances == pytest.approx([0.5 * block / 9 for block in range(1, 10)])


def test_1202_layers_run_forward_and_backward() -> None:
    model = resnet(depth=1202, width=1)
    model(torch.randn(2, 3, 4, 4)).sum().backward()
    assert model.conv1.weight.grad is not None and model.conv1.weight.grad.isfinite().all()
    assert sum(isinstance(module, ResidualBlock) for module in model.modules()) == 600


@pytest.mark.parametrize("shortcut", ["A", "B", "C"])
@pytest.mark.parametrize("order", ["post", "pre"])
def test_memory_format_stays(shortcut: str, order: str) -> None:
    model = resnet(depth=8, shortcut=shortcut, order=order).to(memory_format=torch.channels_last)
    formats = {}
    for name, module in model.named_modules():
        module.register_forward_hook(
            lambda _m, _i, out, name=name: formats.update(
                {name: out.ndim < 4 or out.is_contiguous(memory_format=torch.channels_last)}
            )
        )
    images = torch.randn(4, 3, 16, 16).to(memory_format=torch.channels_last).requires_grad_()
    model(images).sum().backward()
    assert [name for name, kept in formats.items() if not kept] == []
    assert images.grad is not None and images.grad.is_contiguous(memory_format=torch.channels_last)


def test_resnet_takes_a_config_and_single_settings() -> None:
    config = ResNetConfig(depth=14)
    assert resnet(config).config == config
    assert resnet(config, residual=False).config == replace(config, residual=False)
    assert resnet().config == ResNetConfig()


def test_resnet_refuses_before_any_weight_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_weights(*_: object, **__: object) -> None:
        raise AssertionError("a weight was made")

    monkeypatch.setattr(nn.Parameter, "__new__", no_weights)
    with pytest.raises(InvalidSetting, match="too small") as caught:
        resnet(depth=18, input_shape=(3, 16, 16))
    assert caught.value.field == "input_shape"
