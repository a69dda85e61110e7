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
    images.requires_grad_()  # what no gradient goes through is left as it is
    assert torch.equal(separate(images), reused(images))
    with_pools = SeparateCalls(private_copy(reused)[0], images[:1], pools=True)
    kinds = [type(call).__name__ for call in with_pools.calls]
    assert kinds == ["ReLU", "ReLU", "PairwiseMaxPool", "ReLU", "ReLU"]
    torch.testing.assert_close(with_pools(images), reused(images))


def test_modules_with_settings_keep_them() -> None:
    net = nn.Sequential(nn.LeakyReLU(0.3), nn.ELU(0.7), nn.Softplus(2, 5), nn.Sigmoid(), nn.Tanh()).eval()
    x = torch.randn(4, 3, 5, 5).mul(3).requires_grad_()
    separate = SeparateCalls(private_copy(net)[0], x[:1], pools=True)
    assert len(separate.calls) == 5
    assert torch.equal(separate(x), net(x))


def test_a_net_that_calls_differently_is_refused() -> None:
    class Moody(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.relu(F.relu(x)) if len(x) > 1 else F.relu(x)

    separate = SeparateCalls(Moody(), torch.randn(1, 3, 4, 4), pools=False)
    with pytest.raises(InvalidSetting, match="more activations than the first time"):
        separate(torch.randn(2, 3, 4, 4, requires_grad=True))


class HalfUsed(nn.Module):
    """Calls functions in place and goes on with what it gave them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 6, 3), nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        F.hardtanh(x, -0.5, 0.5, inplace=True)
        x.clamp_(min=0)
        return self.fc(torch.relu(x.mean((2, 3))))


@pytest.mark.parametrize("pools", [False, True])
def test_what_is_done_in_place_is_seen_by_whoever_has_the_tensor(pools: bool) -> None:
    torch.manual_seed(0)
    net, x = HalfUsed().eval(), torch.randn(2, 3, 7, 7, requires_grad=True)
    separate = SeparateCalls(private_copy(net)[0], x[:1], pools=pools)
    assert len(separate.calls) == (3 if pools else 2)
    assert torch.equal(separate(x), net(x))
    assert torch.equal(
        torch.autograd.grad(separate(x)[:, 1].sum(), x)[0], torch.autograd.grad(net(x)[:, 1].sum(), x)[0]
    )


RULED = {
    "PReLU": nn.PReLU(6), "ReLU6": nn.ReLU6(inplace=True), "SELU": nn.SELU(), "CELU": nn.CELU(0.5),
    "SiLU": nn.SiLU(), "GELU": nn.GELU("tanh"), "Hardswish": nn.Hardswish(inplace=True), "Mish": nn.Mish(),
    "Hardtanh": nn.Hardtanh(-2, 3), "Hardsigmoid": nn.Hardsigmoid(), "Softsign": nn.Softsign(),
    "Softshrink": nn.Softshrink(), "Hardshrink": nn.Hardshrink(), "Threshold": nn.Threshold(0.3, -1),
    "LogSigmoid": nn.LogSigmoid(), "Tanhshrink": nn.Tanhshrink(), "RReLU": nn.RReLU(),
}  # fmt: skip


def _around(activation: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    parts = nn.Conv2d(3, 6, 3), activation, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4)
    return nn.Sequential(*parts).eval()


@pytest.mark.parametrize("name", RULED)
def test_the_rescale_rule_holds_for_every_function_of_single_numbers(name: str, images: Tensor) -> None:
    """By hand: behind the linear parts each place's share is the function's change over its input's."""
    net, taken, reference = _around(RULED[name]), 5 * images, torch.full_like(images, 0.2)
    found = attribution(net, taken, method="deep_lift", target=2, baseline=reference)
    assert not any("rule" in note for note in found.notes)
    with torch.no_grad():
        before, after = net[0](reference), net[0](taken)
        share = torch.where(
            (after - before).abs() < 1e-6,
            0.0,
            (net[1](after.clone()) - net[1](before.clone())) / (after - before),
        )
        share = share * net[4].weight[2, :, None, None] / share[0, 0].numel()
        by_hand = F.conv_transpose2d(share, net[0].weight) * (taken - reference)
    torch.testing.assert_close(torch.from_numpy(found.values), by_hand, rtol=1e-3, atol=1e-4)


class ByHand(torch.autograd.Function):
    """A swish that no mode can see."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return gradient * torch.sigmoid(x) * (1 + x * (1 - torch.sigmoid(x)))


class Called(nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (nn.GroupNorm(2, 6), "no rule for GroupNorm:"),
        (nn.InstanceNorm2d(6), "no rule for InstanceNorm:"),
        (Called(lambda x: x * torch.sigmoid(x)), "no rule for products of two signals:"),
        (Called(lambda x: x.softmax(1)), "no rule for softmax:"),
        (Called(lambda x: x.amax((2, 3), keepdim=True)), "no rule for maxima:"),
        (Called(ByHand.apply), "no rule for something in this net"),
    ],
)
def test_what_has_no_rule_is_told(part: nn.Module, words: str, images: Tensor) -> None:
    taken, reference = 5 * images, 5 * images.flip(3)
    found = attribution(_around(part), taken, method="deep_lift", target=2, baseline=reference)
    assert any(words in note for note in found.notes)
    assert any("misses the change of the score by" in note for note in found.notes)


@pytest.mark.parametrize("method", ["guided_backprop", "deconvolution", "guided_grad_cam"])
def test_guided_methods_tell_which_activations_they_do_not_guide(method: str, images: Tensor) -> None:
    net = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 6, 1), _around(nn.SiLU())[1:])
    (note,) = attribution(net, images, method=method, target=2).notes
    assert note == "The method has no rule for SiLU, only for ReLUs: there it takes the plain gradient."
    clamped = attribution(_around(Called(lambda x: x.clamp(min=0))), images, method=method, target=2)
    assert clamped.notes == ()
    same = attribution(_around(nn.ReLU()), images, method=method, target=2)
    torch.testing.assert_close(torch.from_numpy(clamped.values), torch.from_numpy(same.values))


@pytest.mark.filterwarnings("ignore")
def test_captums_own_pool_rule_is_not_complete_where_windows_overlap(images) -> None:
    """Why pools are taken apart; when captum mends it, this fails and the pairs can go."""
    net = nn.Sequential(nn.MaxPool2d(3, 2, 1), nn.Flatten(), nn.Linear(3 * 8 * 8, 4))
    theirs = DeepLift(net).attribute(images.clone().requires_grad_(), target=3)
    with torch.no_grad():
        change = net(images)[:, 3] - net(torch.zeros_like(images))[:, 3]
    assert ((theirs.sum((1, 2, 3)) - change).abs() / change.abs()).max() > 0.01
    assert attribution(net, images, method="deep_lift", target=3).gaps.max() < 1e-4
