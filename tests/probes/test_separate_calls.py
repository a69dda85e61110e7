import pytest
import torch
from captum.attr import DeepLift
from torch import Tensor, nn
from torch.nn import functional as F

from reswork.errors import InvalidSetting
from reswork.probes import attribution
from reswork.probes.private_copy import private_copy
from reswork.probes.separate_calls import PairwiseMaxPool, SeparateCalls


@pytest.mark.parametrize(
    "settings",
    [
        (2,), (1,), (3, 2, 1), (2, 2, 0, 1, False), ((3, 2), (2, 1), (1, 0), 1, True), (3, None, 0, 1, True),
        (2, 3, 1, 2, True),
    ],
)  # fmt: skip
def test_a_pool_of_pairs_is_the_pool(settings) -> None:
    x = torch.randn(2, 3, 17, 13) - 5  # below zero too: the padding must never win
    torch.testing.assert_close(PairwiseMaxPool(*settings)(x), F.max_pool2d(x, *settings))


def test_every_call_gets_a_module_and_the_answers_stay(reused, images) -> None:
    copied, _ = private_copy(reused)
    separate = SeparateCalls(copied, images[:1], pools=False)
    assert [type(call) for call in separate.calls] == [nn.ReLU] * 4
    assert torch.equal(separate(images), reused(images))
    with_pools = SeparateCalls(private_copy(reused)[0], images[:1], pools=True)
    kinds = [type(call).__name__ for call in with_pools.calls]
    assert kinds == ["ReLU", "ReLU", "PairwiseMaxPool", "ReLU", "ReLU"]
    torch.testing.assert_close(with_pools(images), reused(images))


def test_modules_with_settings_keep_them() -> None:
    net = nn.Sequential(nn.LeakyReLU(0.3), nn.ELU(0.7), nn.Softplus(2, 5), nn.Sigmoid(), nn.Tanh()).eval()
    x = torch.randn(4, 3, 5, 5) * 3
    separate = SeparateCalls(private_copy(net)[0], x[:1], pools=True)
    assert len(separate.calls) == 5
    assert torch.equal(separate(x), net(x))


def test_a_net_that_calls_differently_is_refused() -> None:
    class Moody(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.relu(F.relu(x)) if len(x) > 1 else F.relu(x)

    separate = SeparateCalls(Moody(), torch.randn(1, 3, 4, 4), pools=False)
    with pytest.raises(InvalidSetting, match="more activations than the first time"):
        separate(torch.randn(2, 3, 4, 4))


@pytest.mark.filterwarnings("ignore")
def test_captums_own_pool_rule_is_not_complete_where_windows_overlap(images) -> None:
    """Why pools are taken apart; when captum mends it, this fails and the pairs can go."""
    net = nn.Sequential(nn.MaxPool2d(3, 2, 1), nn.Flatten(), nn.Linear(3 * 8 * 8, 4))
    theirs = DeepLift(net).attribute(images.clone().requires_grad_(), target=3)
    with torch.no_grad():
        change = net(images)[:, 3] - net(torch.zeros_like(images))[:, 3]
    assert ((theirs.sum((1, 2, 3)) - change).abs() / change.abs()).max() > 0.01
    assert attribution(net, images, method="deep_lift", target=3).gaps.max() < 1e-4
