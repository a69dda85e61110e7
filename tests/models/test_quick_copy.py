import copy

import pytest
import torch
from torch import nn

import reswork as rw
from reswork.models.quick_copy import quick_copy


def parametrized() -> nn.Module:
    return nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Conv2d(1, 4, 3)), nn.Flatten())


def tied() -> nn.Module:
    first, second = nn.Linear(8, 8), nn.Linear(8, 8)
    second.weight = first.weight
    return nn.Sequential(first, second, first)


NETS = {
    "resnet": lambda: rw.resnet(depth=14, width=4, in_channels=1),
    "unet": lambda: rw.unet(depth=8, width=4, in_channels=1, num_classes=3),
    "parametrized": parametrized,
    "tied": tied,
    "parallel": lambda: nn.DataParallel(nn.Linear(8, 3)),
    "compiled": lambda: torch.compile(nn.Linear(8, 3), backend="eager"),
}


@pytest.mark.parametrize("name", NETS)
def test_it_is_what_deepcopy_makes(name: str) -> None:
    torch.manual_seed(0)
    net = NETS[name]()
    net.train()
    for number, weight in enumerate(net.parameters()):
        weight.requires_grad_(number % 3 > 0)
    images = torch.randn(2, 1, 16, 16) if name in ("resnet", "unet", "parametrized") else torch.randn(2, 8)
    wanted, made = copy.deepcopy(net), quick_copy(net)
    assert list(made.state_dict()) == list(wanted.state_dict())
    assert all(torch.equal(value, wanted.state_dict()[key]) for key, value in made.state_dict().items())
    for one, other in zip(made.modules(), wanted.modules(), strict=True):
        assert type(one) is type(other) or name == "parametrized"
        assert one.training == other.training
        assert list(one.__dict__) == list(other.__dict__) or name == "compiled"
    given = {id(each) for each in (*net.parameters(), *net.buffers(), *net.modules())}
    assert not given & {id(each) for each in (*made.parameters(), *made.buffers(), *made.modules())}
    assert [each.requires_grad for each in made.parameters()] == [
        each.requires_grad for each in wanted.parameters()
    ]
    assert torch.equal(made(images), wanted(images))
    made(images).sum().backward()
    assert all(weight.grad is None for weight in net.parameters())


def test_hooks_come_along_and_what_parts_share_stays_shared() -> None:
    net = tied()
    net[1].register_forward_hook(lambda _module, _inputs, output: output + 1)
    made = quick_copy(net)
    assert made[0] is made[2] and made[0].weight is made[1].weight
    x = torch.randn(2, 8)
    assert torch.equal(made(x), net(x))
    handle = made[1].register_forward_hook(lambda _module, _inputs, output: output * 0)
    assert len(made[1]._forward_hooks) == 2 and len(net[1]._forward_hooks) == 1
    handle.remove()
    assert len(made[1]._forward_hooks) == 1
