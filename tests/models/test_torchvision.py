"""The ImageNet form is torchvision's network: same keys, same bits, same start."""

import pytest
import torch
import torchvision
from torch import nn

from reswork.models.config import ResNetConfig
from reswork.models.network import resnet

SAME = {
    "resnet18": ResNetConfig(depth=18, num_classes=1000),
    "resnet34": ResNetConfig(depth=34, num_classes=1000),
    "resnet50": ResNetConfig(depth=50, num_classes=1000),
    "resnext50_32x4d": ResNetConfig(depth=50, groups=32, bottleneck_width=4, num_classes=1000),
}
LARGE = {  # 44 to 69 million weights: only their shapes
    "resnet101": ResNetConfig(depth=101, num_classes=1000),
    "resnet152": ResNetConfig(depth=152, num_classes=1000),
    "wide_resnet50_2": ResNetConfig.wide(50, 2, num_classes=1000),
}


@pytest.mark.parametrize("name", SAME)
def test_equal_to_the_last_bit(name: str) -> None:
    torch.manual_seed(0)
    theirs = getattr(torchvision.models, name)()
    torch.manual_seed(0)
    ours = resnet(SAME[name])
    start, reference = ours.state_dict(), theirs.state_dict()
    assert list(start) == list(reference)
    assert all(torch.equal(start[key], reference[key]) for key in start), (
        "the same seed starts the same weights"
    )

    with torch.no_grad():  # scales that differ from channel to channel
        for value in (value for key, value in reference.items() if "bn" in key and key.endswith("weight")):
            value.mul_(0.5 + 0.5 * torch.rand_like(value))
    ours.load_state_dict(theirs.state_dict(), strict=True)
    images = torch.randn(4, 3, 64, 64)
    for mode in (True, False):  # training first: it leaves running statistics that are not the initial ones
        with torch.no_grad():
            logits = ours.train(mode)(images)
            assert logits.isfinite().all() and logits.any()
            assert torch.equal(logits, theirs.train(mode)(images))
    assert all(torch.equal(ours.state_dict()[key], value) for key, value in theirs.state_dict().items())


@pytest.mark.parametrize("name", LARGE)
def test_the_large_ones_have_the_same_tensors_and_strides(name: str) -> None:
    with torch.device("meta"):
        theirs, ours = getattr(torchvision.models, name)(), resnet(LARGE[name])
    told = [
        [(key, value.shape) for key, value in net.state_dict().items()]
        + [(key, m.stride, m.padding, m.groups) for key, m in net.named_modules() if isinstance(m, nn.Conv2d)]
        for net in (ours, theirs)
    ]
    assert told[0] == told[1]


def test_gradients_are_equal_too() -> None:
    torch.manual_seed(0)
    theirs = torchvision.models.resnet18(num_classes=10)
    ours = resnet(depth=18)
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(4, 3, 64, 64)
    for model in (ours, theirs):
        model(images).square().sum().backward()
    for (name, mine), (_, other) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        assert torch.equal(mine.grad, other.grad), name


def test_zero_init_residual_is_torchvisions() -> None:
    for depth, build in ((18, torchvision.models.resnet18), (50, torchvision.models.resnet50)):
        torch.manual_seed(0)
        theirs = build(zero_init_residual=True, num_classes=10)
        torch.manual_seed(0)
        ours = resnet(depth=depth, zero_init_last_norm=True)
        assert all(torch.equal(ours.state_dict()[key], value) for key, value in theirs.state_dict().items())
