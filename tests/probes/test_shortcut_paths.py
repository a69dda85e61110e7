import numpy as np
import pytest
import torch
import torchvision
from torch import nn

import reswork as rw
from reswork.errors import InvalidSetting
from reswork.probes import Difference, Top, attribution, shortcut_shares


def _awake(net: nn.Module) -> nn.Module:
    """Batch norms as after some training, so that no branch is silent."""
    torch.manual_seed(0)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.2)
            module.running_mean.normal_(0, 0.2)
    return net.eval()


NETS = {
    "cifar": lambda: rw.resnet(depth=20, shortcut="A"),
    "projections": lambda: rw.resnet(depth=20, shortcut="B"),
    "pre-activation": lambda: rw.resnet(depth=20, order="pre"),
    "resnet18": lambda: torchvision.models.resnet18(weights=None),
    "resnet50": lambda: torchvision.models.resnet50(weights=None),
}


@pytest.mark.parametrize("name", NETS)
def test_parts_add_up_to_the_whole(name, state_of) -> None:
    net, images = _awake(NETS[name]()), torch.randn(2, 3, 32, 32)
    before = state_of(net)
    for share in shortcut_shares(net, images, target=Difference(1, 2)):
        parts = share.over_shortcuts + share.through_branches.sum(1)
        scale = np.abs(share.over_shortcuts) + np.abs(share.through_branches).sum(1)
        assert (np.abs(share.whole - parts) < 1e-4 * scale).all() and (
            np.abs(share.rest) < 1e-4 * scale
        ).all()
        assert np.allclose(share.shortcut_maps.sum((1, 2)), share.over_shortcuts, atol=1e-4 * scale.max())
        assert np.allclose(
            share.branch_maps.sum((1, 2)), share.through_branches.sum(1), atol=1e-4 * scale.max()
        )
        assert share.targets == ("1 - 2",) * 2 and (share.through_branches != 0).all()
    after = state_of(net)
    assert (
        all(torch.equal(a[1], b[1]) for a, b in zip(before[0], after[0], strict=True))
        and before[2] == after[2]
    )


def test_the_whole_is_gradient_times_activation_at_the_stages_end() -> None:
    net, images = _awake(NETS["resnet18"]()), torch.randn(2, 3, 32, 32)
    kept = {}
    for stage in ("layer1", "layer3"):
        net.get_submodule(stage).register_forward_hook(lambda m, i, o, s=stage: kept.update({s: o}))
    score = net(images)[:, 5].sum()
    slopes = torch.autograd.grad(score, list(kept.values()))
    by_stage = {share.stage: share for share in shortcut_shares(net, images, target=5)}
    for (stage, out), slope in zip(kept.items(), slopes, strict=True):
        np.testing.assert_allclose(
            by_stage[stage].whole, (out * slope).sum((1, 2, 3)).detach(), rtol=2e-4, atol=1e-5
        )


def test_the_parts_by_switching_off() -> None:
    """A second way: with the ReLUs' gates held, the score without a branch is less by just that branch's part.

    In a net of one stage whose gates are all open (large constants before each ReLU) gates hold by themselves.
    """
    torch.manual_seed(0)

    class Ended(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.end = nn.Conv2d(4, 4, 3, padding=1), nn.Identity()

        def forward(self, x):
            return torch.relu(self.end(self.conv(x)) + x)

    body = nn.Sequential(Ended(), Ended())
    net = nn.Sequential(
        nn.Conv2d(3, 4, 1), body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
    ).eval()
    net[0].bias.data.fill_(50.0)
    for block in body:
        block.conv.weight.data.mul_(0.05)
    images = torch.randn(1, 3, 6, 6)
    (share,) = shortcut_shares(net, images, target=1)
    with torch.no_grad():
        whole = net(images)[0, 1]
        hook = body[1].end.register_forward_hook(lambda m, i, o: torch.zeros_like(o))
        without = net(images)[0, 1]
        hook.remove()
    np.testing.assert_allclose(share.through_branches[0, 1], float(whole - without), rtol=1e-4)


def test_a_net_without_blocks_says_so() -> None:
    with pytest.raises(InvalidSetting, match="no residual blocks"):
        shortcut_shares(rw.resnet(depth=20, residual=False), torch.randn(1, 3, 32, 32))
    with pytest.raises(InvalidSetting, match="one target"):
        shortcut_shares(rw.resnet(depth=20), torch.randn(1, 3, 32, 32), target=Top(2))


def test_the_predicted_class_is_the_attributions() -> None:
    net, images = _awake(rw.resnet(depth=20)), torch.randn(2, 3, 32, 32)
    assert shortcut_shares(net, images)[0].targets == attribution(net, images).targets
