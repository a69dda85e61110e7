import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from reswork.errors import InvalidSetting
from reswork.probes.private_copy import private_copy


def test_weights_share_memory_and_buffers_do_not(reused) -> None:
    copied, notes = private_copy(reused)
    assert not notes
    for mine, given in zip(copied.parameters(), reused.parameters(), strict=True):
        assert mine is not given and mine.data_ptr() == given.data_ptr() and not mine.requires_grad
    copied.bn.running_mean.zero_()
    assert reused.bn.running_mean.abs().sum() > 0


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
