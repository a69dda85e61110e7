"""Each operation against a forward that was written by hand."""

import pytest
import torch
import torchvision
from torch import Tensor, nn

from reswork.datasets.augmentation import normalise
from reswork.errors import InvalidSetting
from reswork.models.anatomy import residual_blocks
from reswork.models.config import ResNetConfig
from reswork.models.network import ResNet, resnet
from reswork.probes import cka, feature_maps
from reswork.surgery import (
    Copy,
    Delete,
    Freeze,
    Reestimate,
    Reset,
    Scale,
    Shuffle,
    Swap,
    operated,
    operation_from,
)
from reswork.surgery.operation import KINDS
from tests.surgery.networks import lively

IMAGES = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def ours() -> ResNet:
    torch.manual_seed(0)
    return lively(resnet(depth=None, form="cifar", stage_blocks=(3, 2), width=4))


@pytest.fixture(scope="module")
def theirs() -> nn.Module:
    torch.manual_seed(0)
    block = torchvision.models.resnet.BasicBlock
    return lively(torchvision.models.ResNet(block, [2, 1, 1, 1], num_classes=5))


def by_hand(model: ResNet, changed: str, branch: float, shortcut: float) -> Tensor:
    """The network's forward, written out, with both summands of one block times a number."""
    x = model.relu(model.bn1(model.conv1(IMAGES)))
    for stage in model.stage_names:
        for index, block in enumerate(getattr(model, stage)):
            f = block.bn2(block.conv2(block.relu1(block.bn1(block.conv1(x)))))
            s = x if block.downsample is None else block.downsample(x)
            if f"{stage}.{index}" == changed:
                f, s = branch * f, shortcut * s
            x = block.relu2(f + s)
    return model.fc(x.mean(dim=(2, 3)))


def answers(model: nn.Module) -> Tensor:
    with torch.no_grad():
        return model(IMAGES)


@pytest.mark.parametrize("name", ["layer1.1", "layer2.0"])  # an identity shortcut, and one that pads
def test_a_block_is_deleted_or_scaled_as_by_hand(ours: ResNet, name: str) -> None:
    cases = [
        (Delete(name), 0.0, 1.0),
        (Delete(name, "shortcut"), 1.0, 0.0),
        (Scale(name, 0.3), 0.3, 1.0),
        (Scale(name, -2.0, "shortcut"), 1.0, -2.0),
    ]
    for operation, branch, shortcut in cases:
        wanted = by_hand(ours, name, branch, shortcut).detach()
        assert not torch.allclose(wanted, answers(ours))
        torch.testing.assert_close(answers(operated(ours, [operation])), wanted)


def test_a_deleted_branch_is_what_the_settings_make_of_it(ours: ResNet) -> None:
    for order in ("post", "pre", "relu_before_addition"):
        config = ResNetConfig(depth=14, width=4, order=order, squeeze_excitation=True)
        whole = lively(resnet(config))
        without = resnet(config, branches_off=("layer1.1",)).eval()
        without.load_state_dict({k: v for k, v in whole.state_dict().items() if k in without.state_dict()})
        assert torch.equal(answers(operated(whole, [Delete("layer1.1")])), answers(without))
        cut = resnet(config, shortcuts_off=("layer1.1",)).eval()
        cut.load_state_dict(whole.state_dict())
        assert torch.equal(answers(operated(whole, [Delete("layer1.1", "shortcut")])), answers(cut))


def test_torchvisions_blocks_are_operated_on(theirs: nn.Module) -> None:
    for name in ("layer1.1", "layer2.0"):
        block = theirs.get_submodule(name)
        for operation, branch, shortcut in ((Delete(name), 0, 1), (Delete(name, "shortcut"), 1, 0)):

            def forward(x, block=block, branch=branch, shortcut=shortcut):
                f = block.bn2(block.conv2(block.relu(block.bn1(block.conv1(x)))))
                s = x if block.downsample is None else block.downsample(x)
                return torch.relu(branch * f + shortcut * s)

            result = operated(theirs, [operation])
            own, block.forward = block.forward, forward
            wanted = answers(theirs)
            block.forward = own
            torch.testing.assert_close(answers(result), wanted)
            assert [b.name for b in residual_blocks(result)] == [b.name for b in residual_blocks(theirs)]


class Bare(nn.Module):
    """A block whose forward adds x with nothing on the way, and one whose shortcut is an empty list of layers."""

    def __init__(self, named: bool) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)
        if named:
            self.shortcut = nn.Sequential()

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn(self.conv(x))
        out += self.shortcut(x) if hasattr(self, "shortcut") else x
        return torch.relu(out)


def test_a_shortcut_that_is_no_layer_is_cut_where_something_can_be_put_there() -> None:
    torch.manual_seed(0)
    net = lively(nn.Sequential(Bare(True), Bare(False)))
    first = net[0]
    wanted = net[1](torch.relu(first.bn(first.conv(IMAGES)))).detach()
    torch.testing.assert_close(answers(operated(net, [Delete("0", "shortcut")])), wanted)
    with pytest.raises(InvalidSetting, match="adds its input by itself"):
        operated(net, [Delete("1", "shortcut")])
    torch.testing.assert_close(answers(operated(net, [Delete("1")])), torch.relu(first(IMAGES)).detach())


def test_channels_are_silenced_and_shuffled(ours: ResNet) -> None:
    def first_conv(change) -> Tensor:
        handle = ours.conv1.register_forward_hook(lambda _, __, out: change(out.clone()))
        result = answers(ours)
        handle.remove()
        return result

    def off(out: Tensor) -> Tensor:
        out[:, [1, 3]] = 0
        return out

    torch.testing.assert_close(answers(operated(ours, [Scale("conv1", 0, channels=(1, 3))])), first_conv(off))
    shuffled = operated(ours, [Shuffle("conv1", seed=3)])
    order = [
        next(k for k in range(4) if torch.equal(shuffled.conv1(IMAGES)[:, c], ours.conv1(IMAGES)[:, k]))
        for c in range(4)
    ]
    assert sorted(order) == [0, 1, 2, 3] and order != [0, 1, 2, 3]
    torch.testing.assert_close(answers(shuffled), first_conv(lambda out: out[:, order]))
    swapped = operated(ours, [Shuffle("conv1", channels=(3, 1))])
    assert torch.equal(answers(swapped), first_conv(lambda out: out[:, [0, 3, 2, 1]]))
    assert torch.equal(answers(operated(swapped, [Shuffle("conv1", channels=(1, 3))])), answers(ours))


def test_channels_are_copied_and_all_else_stays(ours: ResNet) -> None:
    before = {name: values.clone() for name, values in ours.state_dict().items()}
    each = [Copy("layer1.0.conv1[0, 1]", "layer1.1.conv1[3, 0]"), Copy("bn1[2]", "bn1[1]")]
    after = operated(ours, each).state_dict()
    for name, values in before.items():
        expected = values.clone()
        if name == "layer1.1.conv1.weight":
            expected[3], expected[0] = before["layer1.0.conv1.weight"][0], before["layer1.0.conv1.weight"][1]
        elif name.startswith("bn1.") and values.dim():
            expected[1] = values[2]
        assert torch.equal(after[name], expected), name


def test_channels_of_a_layer_are_reset_and_the_others_stay(ours: ResNet) -> None:
    torch.manual_seed(5)
    initial, names = resnet(ours.config), ("layer1.0.conv1", "layer1.0.bn1", "fc")
    changed = operated(ours, [Reset(name, channels=(0,)) for name in names], initial=initial)
    for name in names:
        now, before, begun = (net.get_submodule(name).state_dict() for net in (changed, ours, initial))
        for each in set(now) - {"num_batches_tracked"}:
            assert torch.equal(now[each][0], begun[each][0]) and torch.equal(now[each][1:], before[each][1:])
    assert torch.equal(changed.conv1.weight, ours.conv1.weight)


def test_swap_twice_is_nothing_and_takes_along_what_was_done(ours: ResNet) -> None:
    swap = Swap("layer1.0", "layer1.2")
    assert torch.equal(answers(operated(ours, [swap, swap])), answers(ours))
    once = operated(ours, [swap])
    assert torch.equal(once.layer1[0].conv1.weight, ours.layer1[2].conv1.weight)
    assert not torch.equal(answers(once), answers(ours))
    moved = operated(ours, [Delete("layer1.0"), swap])
    assert torch.equal(answers(moved), answers(operated(ours, [swap, Delete("layer1.2")])))
    copied = operated(ours, [Copy("layer1.0", "layer1.1")])
    assert torch.equal(copied.layer1[1].bn1.running_mean, ours.layer1[0].bn1.running_mean)
    for wrong in (
        Swap("layer1.0", "layer2.0"),
        Swap("layer1.0", "layer1.0.conv1"),
        Copy("layer2.1", "layer1.1"),
    ):
        with pytest.raises(InvalidSetting, match=r"equal form|not two parts"):
            operated(ours, [wrong])


def test_reset_gives_initial_weights_where_they_are_known(ours: ResNet, theirs: nn.Module) -> None:
    torch.manual_seed(5)
    initial, state = resnet(ours.config), torch.get_rng_state()
    known = operated(ours, [Delete("layer1.0"), Reset("layer1.0")], initial=initial)
    assert torch.equal(known.layer1[0].conv1.weight, initial.layer1[0].conv1.weight)
    assert torch.equal(known.layer1[1].conv1.weight, ours.layer1[1].conv1.weight)
    for net in (ours, theirs):
        drawn = [operated(net, [Reset("layer2.0", seed)]).layer2[0] for seed in (0, 0, 1)]
        weights = [one.conv1.weight.detach() for one in drawn]
        assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
        fan_out = weights[0].shape[0] * 9
        assert weights[0].std() == pytest.approx((2 / fan_out) ** 0.5, rel=0.2)
        assert (drawn[0].bn1.running_var == 1).all() and (drawn[0].bn1.weight == 1).all()
    assert torch.equal(torch.get_rng_state(), state)  # nobody's random numbers moved


def test_statistics_are_those_of_the_images(tiny_data, tiny_net: ResNet) -> None:
    """All images in one batch: what each norm sees, its mean and variance over images and pixels, computed slowly."""
    given = operated(tiny_net, [Scale("layer1.0", 3.0)])
    result = operated(given, [Reestimate(images=1000)], data=tiny_data)
    seen: dict[str, Tensor] = {}
    norms = {name: m for name, m in given.named_modules() if isinstance(m, nn.BatchNorm2d)}
    for name, norm in norms.items():
        norm.training = True
        norm.register_forward_pre_hook(lambda _, inputs, name=name: seen.update({name: inputs[0].double()}))
    with torch.no_grad():
        given(normalise(tiny_data.train.images, tiny_data.mean, tiny_data.std))
    for name, values in seen.items():
        norm = result.get_submodule(name)
        rows = values.transpose(0, 1).flatten(1)  # (C, N H W)
        for channel, row in enumerate(rows.tolist()):
            mean = sum(row) / len(row)
            variance = sum((value - mean) ** 2 for value in row) / (len(row) - 1)
            assert float(norm.running_mean[channel]) == pytest.approx(mean, abs=1e-6, rel=1e-5)
            assert float(norm.running_var[channel]) == pytest.approx(variance, abs=1e-6, rel=1e-5)
        assert norm.momentum == 0.1 and not norm.training
    assert torch.equal(result.fc.weight, tiny_net.fc.weight)


def test_statistics_over_batches_are_torchs(tiny_data, tiny_net: ResNet, monkeypatch) -> None:
    monkeypatch.setattr("reswork.surgery.statistics.BATCH", 8)
    result = operated(tiny_net, [Reestimate(images=1000)], data=tiny_data)
    images = normalise(tiny_data.train.images, tiny_data.mean, tiny_data.std)
    chosen = torch.randperm(32, generator=torch.Generator().manual_seed(0))
    torch.optim.swa_utils.update_bn(images[chosen].split(8), tiny_net)
    for name, value in tiny_net.state_dict().items():
        torch.testing.assert_close(result.state_dict()[name], value)


def test_a_plain_block_is_passed_by(ours: ResNet) -> None:
    torch.manual_seed(0)
    plain = lively(resnet(ours.config, residual=False))
    x = plain.relu(plain.bn1(plain.conv1(IMAGES)))
    x = plain.layer2(plain.layer1[2](plain.layer1[0](x)))
    wanted = plain.fc(x.mean(dim=(2, 3))).detach()
    torch.testing.assert_close(answers(operated(plain, [Delete("layer1.1")])), wanted)
    with pytest.raises(InvalidSetting, match="nothing can pass it by"):
        operated(plain, [Delete("layer2.0")])
    with pytest.raises(InvalidSetting, match="has no shortcut"):
        operated(plain, [Delete("layer1.1", "shortcut")])


def test_probes_see_what_was_done(ours: ResNet) -> None:
    deleted = operated(ours, [Delete("layer1.0"), Delete("layer1.1", "shortcut")])
    assert not feature_maps(deleted, IMAGES, layer="layer1.0.bn2").maps.any()
    assert feature_maps(ours, IMAGES, layer="layer1.0.bn2").maps.any()
    same = cka(ours, torch.randn(8, 3, 16, 16), deleted, layers=["conv1"], other_layers=["layer1.0"])
    assert same.values.shape == (1, 1)
    again = operated(deleted, [])
    assert torch.equal(answers(again), answers(deleted))


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        (Delete("layer9.0"), "the nearest are"),
        (Delete("conv1"), r"Scale\('conv1', 0\)"),
        (Scale("conv1", 0, part="shortcut"), "no residual block"),
        (Scale("conv1", 0, channels=(4,)), "0 to 3"),
        (Freeze("layer1.0.relu1"), "has no weights"),
        (Freeze("conv1[4]"), "0 to 3"),
        (Copy("conv1[0]", "conv1[1, 2]"), "as many on both sides"),
        (Copy("conv1[0, 1]", "conv1[2, 2]"), "each of the second once"),
        (Copy("conv1[0]", "layer1.0.conv1[1]"), "the same inputs"),
        (Copy("layer1.0[0]", "layer1.1[0]"), "belong to its channels"),
        (Reset("layer1.0.relu1"), "has no weights"),
        (Reset("layer1.0", channels=(0,)), "belong to its channels"),
        (Reset("conv1", channels=(4,)), "0 to 3"),
        (Shuffle("conv1", channels=(0, 4)), "0 to 3"),
        (Reestimate(), "give data="),
    ],
)
def test_what_cannot_be_done_is_one_sentence(ours: ResNet, operation, words: str) -> None:
    with pytest.raises(InvalidSetting, match=words):
        operated(ours, [operation])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Scale("x", float("nan")), "no finite number"),
        (lambda: Scale("x", 1, part="head"), "'branch' or 'shortcut'"),
        (lambda: Scale("x", 1, channels=(-1,)), "numbers of channels"),
        (lambda: Shuffle("x", seed=-1), "no seed"),
        (lambda: Shuffle("x", channels=(2,)), "alone has no other order"),
        (lambda: Reestimate(images=1), "from 2"),
        (lambda: Freeze("conv1[a]"), "names no channels"),
        (lambda: Copy("conv1[1", "conv1[2]"), "names no channels"),
        (lambda: operation_from({"kind": "explode"}), "is one of delete, scale"),
        (lambda: operation_from({"kind": "delete", "block": "x"}), "no operation"),
        (lambda: operation_from("delete"), "no operation"),
    ],
)
def test_wrong_settings_are_one_sentence(make, words: str) -> None:
    with pytest.raises(InvalidSetting, match=words):
        make()


def test_operations_come_back_from_json_and_have_a_sentence() -> None:
    each = [
        Delete("layer1.0", "shortcut"), Scale("conv1", 0.5, channels=(1, 2)), Shuffle("layer1.0", 4, "shortcut"),
        Swap("layer1.0", "layer1.1"), Copy("layer1.0", "layer1.1"), Reset("layer1.0", 3), Freeze("layer1.0"),
        Reestimate(200, 1), Shuffle("conv1", channels=(1, 2)), Reset("conv1", channels=(0,)),
        Copy("conv1[1, 2]", "conv1[3, 0]"), Freeze("conv1[3]"),
    ]  # fmt: skip
    assert {type(one) for one in each} == set(KINDS.values())
    for one in each:
        assert operation_from(one.to_dict()) == one and one.sentence
    assert Scale("conv1", 0, channels=(2,)).sentence == "channel 2 of conv1 off"
    assert Shuffle("conv1", channels=(1, 2)).sentence == "channels 1 and 2 of conv1 swapped"
    assert Reset("conv1", channels=(0,)).sentence == "channel 0 of conv1 back to initial weights"
    assert Copy("conv1[1]", "conv1[3]").sentence == "channel 1 of conv1 copied onto channel 3 of conv1"
    assert Freeze("conv1[0, 3]").sentence == "channels 0, 3 of conv1 frozen"
