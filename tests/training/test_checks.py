import numpy as np
import pytest
import torch
from torch import Tensor, nn

import reswork as rw
from reswork.tasks import task_for
from reswork.training.checks import check_before_training


class Deep(nn.Module):
    """Gives a second answer only while it trains, and counts and draws meanwhile."""

    def __init__(self, several: bool) -> None:
        super().__init__()
        self.body, self.norm, self.fc = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2)
        self.several = several

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        x = torch.dropout(self.norm(self.body(x)).mean((2, 3)), 0.5, self.training)
        return (self.fc(x), self.fc(x)) if self.several and self.training else self.fc(x)


def data() -> rw.datasets.Dataset:
    pixels = np.random.default_rng(0).integers(0, 255, (8, 3, 8, 8)).astype(np.uint8)
    return rw.datasets.arrays(pixels, [0, 1] * 4)


def test_more_answers_while_training_are_told_before_the_first_step() -> None:
    given = data()
    with pytest.raises(rw.InvalidSetting, match="a tuple of 2 while it trains"):
        check_before_training(Deep(True), given, rw.Recipe(steps=1, batch_size=2), task_for(given))


def test_the_look_at_training_mode_leaves_no_trace() -> None:
    given, net = data(), Deep(False)
    before, drawn = {name: value.clone() for name, value in net.state_dict().items()}, torch.get_rng_state()
    check_before_training(net, given, rw.Recipe(steps=1, batch_size=2), task_for(given))
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert torch.equal(torch.get_rng_state(), drawn) and net.training


def test_weights_without_numbers_are_refused(tmp_path) -> None:
    with torch.device("meta"):
        net = rw.resnet(depth=8, num_classes=2)
    with pytest.raises(rw.InvalidSetting, match="shapes without numbers"):
        rw.train(net, data(), rw.Recipe(steps=1, batch_size=2), directory=tmp_path).wait()
