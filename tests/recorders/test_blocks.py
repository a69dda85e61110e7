"""What is measured of blocks, against slow computations that use neither hooks nor the blocks' anatomy."""

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F

from reswork.history import History
from reswork.models.network import resnet
from reswork.recorders import activations, shortcut_and_branch, signal_variance
from reswork.tasks import Classification
from reswork.training.events import BatchReady, RunEnded
from reswork.training.live_run import RunState

LABELS = torch.arange(8) % 4
TASK = Classification()


def measured(make, model: nn.Module, images: Tensor) -> History:
    history = History()
    recorder = make(history)
    recorder(BatchReady(1, 1, model.train(), images, LABELS[: len(images)], TASK))
    recorder(RunEnded(1, RunState.FINISHED, None))
    return history


def row(history: History, group: str) -> list[float]:
    return history.vectors(group).values[0].tolist()


@pytest.fixture
def images() -> Tensor:
    return torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def by_hand(model: nn.Module, images: Tensor) -> list[dict[str, Tensor]]:
    """torchvision's basic blocks written out; every tensor keeps its place in the graph."""
    x = model.maxpool(model.relu(model.bn1(model.conv1(images))).clone())
    found = []
    for stage in (model.layer1, model.layer2, model.layer3, model.layer4):
        for block in stage:
            parts = {"over": x * 1, "through": x * 1}  # two ways out of x, to tell their gradients apart
            inner = torch.relu(block.bn1(block.conv1(parts["through"])))
            parts["branch"] = block.bn2(block.conv2(inner))
            parts["shortcut"] = parts["over"] if block.downsample is None else block.downsample(parts["over"])
            x = parts["output"] = torch.relu(parts["branch"] + parts["shortcut"])
            found.append({**parts, "inner": inner})
    loss = F.cross_entropy(model.fc(model.avgpool(x).flatten(1)), LABELS[: len(images)])
    ends = [parts[name] for parts in found for name in ("over", "through")]
    for parts, over, through in zip(found, *(iter(torch.autograd.grad(loss, ends)),) * 2, strict=True):
        parts["over_gradient"], parts["through_gradient"] = over, through
    return found


@pytest.fixture
def net() -> nn.Module:
    torch.manual_seed(0)
    model = torchvision.models.resnet18(num_classes=4)
    for name, value in model.named_parameters():  # not at its start, where the branches are all alike
        if "bn" in name:
            nn.init.uniform_(value, -0.5, 1.5)
    return model.train()


def test_shortcut_and_branch_of_torchvisions_net(net, images):
    history = measured(shortcut_and_branch, net, images)
    blocks = by_hand(net, images)
    sizes = {"shortcut_size": "shortcut", "branch_size": "branch"}
    for group, name in sizes.items():
        expected = [parts[name].double().square().mean().sqrt().item() for parts in blocks]
        assert row(history, group) == pytest.approx(expected, rel=1e-4)
    cosines = [
        F.cosine_similarity(p["shortcut"].flatten(), p["branch"].flatten(), dim=0).item() for p in blocks
    ]
    assert row(history, "shortcut_branch_cosine") == pytest.approx(cosines, abs=1e-4)
    for group, name in {"shortcut_gradient": "over", "branch_gradient": "through"}.items():
        expected = [parts[f"{name}_gradient"].double().norm().item() for parts in blocks]
        assert row(history, group) == pytest.approx(expected, rel=1e-3)


def test_activations_of_torchvisions_net(net, images):
    history = measured(activations, net, images)
    blocks = by_hand(net, images)
    outputs = [parts["output"].detach().double() for parts in blocks]
    assert row(history, "activation_mean") == pytest.approx([o.mean().item() for o in outputs], rel=1e-4)
    assert row(history, "activation_std") == pytest.approx(
        [o.std(correction=0).item() for o in outputs], rel=1e-4
    )
    shares = []
    for parts in blocks:
        units = [(parts[name] > 0).any(dim=3).any(dim=2).any(dim=0) for name in ("inner", "output")]
        shares.append(1 - torch.cat(units).double().mean().item())
    assert row(history, "dead_share") == pytest.approx(shares)
    assert max(shares) > 0, "this net has dead units, or the test would not see them"


def test_signal_variance_of_torchvisions_net(net, images):
    history = measured(signal_variance, net, images)
    for group, value in {
        "branch_variance": lambda parts: parts["branch"],
        "stream_variance": lambda parts: parts["branch"] + parts["shortcut"],
    }.items():
        expected = [
            value(p).detach().double().transpose(0, 1).flatten(1).var(1, correction=0).mean().item()
            for p in by_hand(net, images)
        ]
        assert row(history, group) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    "settings",
    [
        {"order": "pre", "shortcut": "B"},
        {"shortcut": "A"},
        {"order": "relu_before_addition", "shortcut": "C"},
    ],
)
def test_the_gradient_parts_of_own_nets_add_up_to_what_x_gets(settings, images):
    """Against a net in which the shortcuts, then the branches, are cut off behind x of one block."""
    model = resnet(depth=14, width=8, num_classes=4, **settings).train()
    history = measured(shortcut_and_branch, model, images)
    for place, name in enumerate(["layer1.0", "layer1.1", "layer2.0", "layer2.1", "layer3.0", "layer3.1"]):
        block = model.get_submodule(name)
        kept: dict[str, Tensor] = {}

        def cut(x: Tensor, block=block, kept=kept, *, over: bool, through: bool) -> Tensor:
            kept["x"] = x
            plan, stopped = block.plan, x.detach()
            shared = lambda t: block._run(plan.shared, t)  # noqa: E731
            branch = block._run(plan.branch, shared(x if through else stopped))
            shortcut = block._shortcut(shared(x if over else stopped))
            return block._run(plan.after, branch + shortcut)

        norms = []
        for over in (True, False):
            block.forward = lambda x, over=over: cut(x, over=over, through=not over)
            loss = F.cross_entropy(model(images), LABELS)
            norms.append(torch.autograd.grad(loss, kept["x"])[0].norm().item())
            del block.forward
        got = [row(history, group)[place] for group in ("shortcut_gradient", "branch_gradient")]
        assert got == pytest.approx(norms, rel=1e-3), name


def test_a_block_without_shortcut_or_branch_has_holes(images):
    model = resnet(depth=14, width=8, num_classes=4, shortcuts_off=("layer1.1",), branches_off=("layer2.1",))
    sizes = row(measured(shortcut_and_branch, model, images), "branch_size")
    assert [value != value for value in sizes] == [False, True, False, True, False, False]
    variance = measured(signal_variance, model, images)
    assert row(variance, "stream_variance")[1] == row(variance, "branch_variance")[1]


class InPlace(nn.Module):
    """A pre-activation in place changes x itself: the shortcut carries relu(x)."""

    def __init__(self) -> None:
        super().__init__()
        self.relu, self.conv = nn.ReLU(inplace=True), nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(self.relu(x))


def test_a_block_that_changes_its_input_in_place_is_measured_as_it_computes(images):
    model = nn.Sequential(nn.Conv2d(3, 4, 1), InPlace(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    history = measured(shortcut_and_branch, model, images)
    x = model[0](images)
    over, through = x * 1, x * 1
    y = over.relu() + model[1].conv(through.relu())
    loss = F.cross_entropy(y.mean((2, 3)), LABELS)
    gradients = torch.autograd.grad(loss, [over, through])
    assert row(history, "shortcut_size") == pytest.approx([x.relu().square().mean().sqrt().item()], rel=1e-4)
    got = row(history, "shortcut_gradient") + row(history, "branch_gradient")
    assert got == pytest.approx([gradient.norm().item() for gradient in gradients], rel=1e-3)


def test_at_the_start_the_stream_grows_linearly_and_starts_anew_at_each_stage():
    """Brock 2021, figure 1, for batch norm: branch 1, stream 1 + 1 + 1 ..., reset by the normed projection."""
    images = torch.randn(32, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    torch.manual_seed(0)
    history = measured(signal_variance, torchvision.models.resnet34(num_classes=4), images[:8])
    assert row(history, "branch_variance") == pytest.approx([1.0] * 16, abs=0.01)

    torch.manual_seed(0)
    model = resnet(depth=32, order="pre", shortcut="B", num_classes=4)
    history = History()
    recorder = signal_variance(history)
    recorder(BatchReady(1, 1, model.train(), images, torch.arange(32) % 4, TASK))
    recorder(RunEnded(1, RunState.FINISHED, None))
    streams = torch.tensor(row(history, "stream_variance")).reshape(3, 5)
    branches = torch.tensor(row(history, "branch_variance")).reshape(3, 5)
    growth = streams.diff(dim=1)
    torch.testing.assert_close(growth, branches[:, 1:], rtol=0.15, atol=0)  # each block adds its branch's
    assert (growth / growth.mean(dim=1, keepdim=True) - 1).abs().max() < 0.25  # by a constant: linear
    assert (streams[1:, 0] < 0.45 * streams[:-1, -1]).all()  # and a stage starts anew
    assert (streams[:, 0] < 2 * streams[0, 0]).all()
