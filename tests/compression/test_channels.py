"""Channels that do nothing are pruned without a trace; which ones go is compared with torch-pruning."""

import numpy as np
import pytest
import torch
import torch_pruning
import torchvision
from torch import nn

from reswork.compression import prune_channels
from reswork.compression.channels import _Ties
from reswork.errors import InvalidSetting
from reswork.models.config import ResNetConfig
from reswork.models.network import ResNet, resnet
from reswork.surgery import Delete, operated

SHAPE = {"depth": None, "form": "cifar", "stage_blocks": (2, 2), "width": 8, "num_classes": 5}
NETS = (
    {},
    {"shortcut": "B"},
    {"shortcut": "C", "order": "pre"},
    {"order": "pre", "norm": "none"},
    {"order": "bn_after_addition"},
    {"block": "bottleneck", "order": "relu_only_pre"},
    {"block": "bottleneck", "stem": "resnet_d", "squeeze_excitation": True, "width": 32},
    {"norm": "none", "residual_scaling": "fixup", "shortcut": "B"},
    {"residual": False},
    {"branches_off": ("layer1.1", "layer2.0"), "shortcuts_off": ("layer2.1",)},
    {"dims": 1, "shortcut": "A", "order": "relu_before_addition"},
)


def lively(model: ResNet, seed: int = 1) -> ResNet:
    generator = torch.Generator().manual_seed(seed)
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            value.copy_(0.3 * torch.randn(value.shape, generator=generator))
        if name.endswith("running_var"):
            value.abs_().add_(0.5)
    return model.eval()


@pytest.mark.parametrize("settings", NETS, ids=str)
@pytest.mark.parametrize("trunk", [0.0, 0.5])
def test_what_does_nothing_is_pruned_and_all_answers_stay(settings, trunk) -> None:
    model = lively(resnet(ResNetConfig(**{**SHAPE, **settings})))
    slim = prune_channels(model, 0.5, trunk=trunk)
    assert isinstance(slim, ResNet)
    ties, generator = _Ties(model), np.random.default_rng(3)
    dead = np.zeros(1 + max(int(group.max(initial=0)) for group in ties.groups), bool)
    for group, left in zip(ties.groups, _Ties(slim).groups, strict=True):
        dead[generator.permutation(group)[: len(group) - len(left)]] = True
    assert dead.any()
    layers = dict(model.named_modules())
    for each in ties.axes:  # all that writes or reads one of them becomes zero
        layer = layers.get(each.name)
        for name in ("weight", "bias"):
            value = getattr(layer, name, None)
            if value is None:
                continue
            if each.out is not None and len(value) == len(each.out):
                value.data[torch.from_numpy(dead[each.out])] = 0
            if each.into is not None and value.dim() > 1:
                value.data[:, torch.from_numpy(dead[each.into])] = 0
    axes = model.config.dims
    images = torch.randn(3, 3, *(16,) * axes, generator=torch.Generator().manual_seed(2))
    pruned = prune_channels(model, 0.5, trunk=trunk)
    torch.testing.assert_close(pruned(images), model(images), rtol=1e-4, atol=1e-4)
    again = resnet(pruned.config)
    again.load_state_dict(pruned.state_dict())  # what it is stands in its settings
    assert sum(p.numel() for p in pruned.parameters()) < sum(p.numel() for p in model.parameters())


def test_a_decoder_keeps_what_it_reads() -> None:
    model = lively(resnet(ResNetConfig(**SHAPE, head="unet")))
    found = prune_channels(model, 0.5)
    assert found(torch.randn(1, 3, 16, 16)).shape == (1, 5, 16, 16)
    with pytest.raises(InvalidSetting, match="reads what shortcuts carry"):
        prune_channels(model, 0.5, trunk=0.5)


def test_importance_is_that_of_torch_pruning() -> None:
    model = lively(resnet(ResNetConfig(**SHAPE, shortcut="B")))
    ties = _Ties(model)
    ours = ties.importance(model.state_dict())
    graph = torch_pruning.DependencyGraph().build_dependency(model, torch.randn(1, 3, 16, 16))
    theirs = torch_pruning.importance.MagnitudeImportance(p=2, normalizer=None)
    for name in ("layer1.1.conv1", "layer2.0.conv1", "layer2.0.conv2", "conv1"):
        layer = model.get_submodule(name)
        group = graph.get_pruning_group(
            layer, torch_pruning.prune_conv_out_channels, idxs=[*range(len(layer.weight))]
        )
        numbers = next(each.out for each in ties.axes if each.name == name)
        wanted = theirs(group).numpy()
        np.testing.assert_array_equal(np.argsort(wanted), np.argsort(ours[numbers]))


def test_a_network_of_somebody_else_is_followed() -> None:
    block = torchvision.models.resnet.BasicBlock
    model = torchvision.models.ResNet(block, [1, 1, 1, 1], num_classes=5).eval()
    images, before = (
        torch.randn(2, 3, 32, 32),
        {name: value.clone() for name, value in model.state_dict().items()},
    )
    found = prune_channels(model, 0.5, images=images)
    assert found(images).shape == (2, 5)
    assert sum(p.numel() for p in found.parameters()) < 0.4 * sum(p.numel() for p in model.parameters())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    with pytest.raises(InvalidSetting, match="give images="):
        prune_channels(model, 0.5)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: prune_channels(resnet(depth=8), 1.0), "share=1.0 is no share"),
        (lambda: prune_channels(resnet(depth=8), 0.5, trunk=-1), "trunk=-1 is no share"),
        (lambda: prune_channels(resnet(depth=29, block="bottleneck", groups=2), 0.5), "grouped"),
        (lambda: prune_channels(operated(resnet(depth=8), [Delete("layer1.0")]), 0.5), "operate on it then"),
        (lambda: prune_channels(nn.Sequential(nn.Flatten(), nn.Linear(4, 2))), "give images="),
    ],
)
def test_what_cannot_be_done_is_one_sentence(make, match) -> None:
    with pytest.raises(InvalidSetting, match=match):
        make()
