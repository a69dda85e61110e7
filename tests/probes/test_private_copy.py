import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune
from torch.utils._pytree import tree_leaves

import reswork as rw
from reswork.errors import InvalidSetting
from reswork.probes.private_copy import private_copy


def test_weights_share_memory_and_buffers_do_not(reused) -> None:
    copied, notes = private_copy(reused)
    assert not notes
    for mine, given in zip(copied.parameters(), reused.parameters(), strict=True):
        assert mine is not given and mine.data_ptr() == given.data_ptr() and not mine.requires_grad
    copied.bn.running_mean.zero_()
    assert reused.bn.running_mean.abs().sum() > 0


class Knotted(nn.Module):
    """Modules beside the tree, things that parts share, and a part with a way of its own to be copied."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: dict[str, Any] = {}
        self.parts = nn.ModuleList([Noting(self.notes), Noting(self.notes), OwnWay()])
        self.order = (self.parts[1], self.parts[0], self.parts[2])  # in a tuple: no children
        self.register_buffer("nothing", None)

    def forward(self, x: Tensor) -> Tensor:
        for part in self.order:
            x = part(x)
        return x + self.notes["sum"]


class Noting(nn.Module):
    def __init__(self, notes: dict[str, Any]) -> None:
        super().__init__()
        self.notes, self.conv = notes, nn.Conv2d(3, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        self.notes["sum"] = self.notes.get("sum", 0) + x.mean()
        return self.conv(x)


class OwnWay(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.copies = nn.Conv2d(3, 3, 1), 0

    def __deepcopy__(self, memo: dict[int, Any]) -> "OwnWay":
        twin = OwnWay.__new__(OwnWay)
        nn.Module.__init__(twin)
        twin.conv, twin.copies = copy.deepcopy(self.conv, memo), self.copies + 1
        return twin

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


def flat(*parts: nn.Module) -> nn.Module:
    return nn.Sequential(*parts, nn.Flatten(), nn.LazyLinear(3))


NETS: dict[str, Callable[[], nn.Module]] = {
    "resnet": lambda: rw.resnet(depth=14, norm="group", squeeze_excitation=True),
    "torchvision": lambda: torchvision.models.mobilenet_v3_small(weights=None),
    "recurrent": lambda: nn.Sequential(nn.Flatten(2), nn.LSTM(256, 5, batch_first=True)),
    "attention": lambda: nn.Sequential(nn.Flatten(2), nn.TransformerEncoderLayer(256, 4, 8, batch_first=True)),
    "parametrised": lambda: flat(parametrizations.weight_norm(nn.Conv2d(3, 4, 3))),
    "knotted": Knotted,
}  # fmt: skip


@pytest.mark.parametrize("name", NETS)
@pytest.mark.filterwarnings("ignore:Lazy modules")
def test_it_is_what_deepcopy_makes(name, images, state_of) -> None:
    torch.manual_seed(0)
    net = NETS[name]()
    net(images)  # lazy layers get their shapes
    net.eval()
    if name == "knotted":
        net.notes.clear()
    before = state_of(net)
    slow, (quick, _) = copy.deepcopy(net), private_copy(net)
    assert [(n, type(m)) for n, m in quick.named_modules()] == [(n, type(m)) for n, m in slow.named_modules()]
    for mine, theirs, given in zip(quick.modules(), slow.modules(), net.modules(), strict=True):
        assert vars(mine).keys() == vars(theirs).keys() and mine is not given
        for key, value in vars(mine).items():
            assert type(value) is type(vars(theirs)[key]), key
            if isinstance(value, dict | list | set):
                assert value is not vars(given)[key], key  # what the copy changes is its own
    got, wanted = tree_leaves(quick(images)), tree_leaves(slow(images))
    for one, other in zip(got, wanted, strict=True):
        torch.testing.assert_close(one, other)  # frozen weights may take another way through an encoder
    for one, other in zip(before[1], state_of(net)[1], strict=True):
        assert one[0] == other[0] and torch.equal(one[1], other[1])


def test_what_parts_share_stays_shared(images) -> None:
    net = Knotted()
    quick, _ = private_copy(net)
    assert quick.notes is quick.parts[0].notes is quick.parts[1].notes is not net.notes
    assert quick.order[0] is quick.parts[1] is not net.parts[1]
    assert quick.parts[2].copies == 1 and quick.order[2] is quick.parts[2]
    assert quick.parts[2].conv.weight.data_ptr() == net.parts[2].conv.weight.data_ptr()
    quick(images)
    assert not net.notes


def test_compiled_and_parallel_parts_are_taken_bare(images) -> None:
    net = rw.resnet(depth=14).eval()
    wanted = net(images)
    net.layer2 = torch.compile(net.layer2)
    net.layer3[0] = nn.DataParallel(net.layer3[0])
    net.layer1[0].compile()
    quick, _ = private_copy(net)
    assert torch.equal(quick(images), wanted)
    assert "layer2.0.conv1" in dict(quick.named_modules()) and quick.layer1[0]._compiled_call_impl is None
    assert isinstance(net.layer3[0], nn.DataParallel)


def test_tied_weights_stay_tied() -> None:
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    net[1].weight = net[0].weight
    copied, _ = private_copy(net)
    assert copied[0].weight is copied[1].weight


def test_hooks_are_left_out_but_not_those_that_compute(images) -> None:
    conv = nn.Conv2d(3, 4, 3)
    prune.l1_unstructured(conv, "weight", 0.5)
    calls = []
    conv.register_forward_hook(lambda *_: calls.append(1))
    wanted = conv(images)
    calls.clear()
    copied, _ = private_copy(conv)
    assert torch.equal(copied(images), wanted) and not calls
    old = nn.utils.spectral_norm(nn.Conv2d(3, 4, 3)).eval()
    assert torch.equal(private_copy(old)[0](images), old(images))


def test_an_untrained_batch_norm_is_said() -> None:
    _, notes = private_copy(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)))
    assert "untrained" in " ".join(notes)


def test_what_cannot_be_copied_is_one_sentence() -> None:
    with pytest.raises(InvalidSetting, match=r"give a torch\.nn\.Module"):
        private_copy(lambda x: x)  # type: ignore[arg-type]
    net = nn.Linear(2, 2)
    net.lock = (value for value in ())  # type: ignore[assignment]
    with pytest.raises(InvalidSetting, match="cannot be copied"):
        private_copy(net)
