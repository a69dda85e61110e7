import numpy as np
import pytest
import torch
from torch import nn

from reswork.datasets.dataset import Dataset, Split
from reswork.errors import InvalidSetting
from reswork.history import History
from reswork.recorders import noise_scale
from reswork.training.events import GradientsReady, RunEnded, StepDone
from reswork.training.interval import Interval
from reswork.training.live_run import RunState
from reswork.training.loop import fit


def test_it_finds_the_noise_of_a_problem_that_knows_it():
    """Each image's gradient is G plus normal noise of a known variance; a batch of B averages B of them."""
    generator = torch.Generator().manual_seed(0)
    model = nn.Linear(50, 1, bias=False)
    true, deviation, batch = torch.full((1, 50), 0.1), 0.7, 16  # |G|^2 = 0.5, tr(S) = 50 * 0.49 = 24.5
    history = History()
    recorder = noise_scale(history, every=2)
    for step in range(1, 2001):
        noise = torch.randn(1, 50, generator=generator) * deviation / batch**0.5
        model.weight.grad = true + noise
        recorder(GradientsReady(step, 1, model))
        recorder(StepDone(step, 1, torch.zeros(()), torch.zeros(()), "top1", batch, 0.1, model))
    recorder(RunEnded(2000, RunState.FINISHED, None))
    assert history.series("noise_scale/noise").values.mean() == pytest.approx(24.5, rel=0.03)
    assert history.series("noise_scale/signal").values.mean() == pytest.approx(0.5, rel=0.03)
    assert np.nanmedian(history.series("noise_scale").values[50:]) == pytest.approx(49, rel=0.1)
    assert history.series("noise_scale").steps[:3].tolist() == [2, 5, 7]


def test_in_a_training_it_is_the_noise_over_the_whole_data_set(make_recipe):
    """Against the gradients of all images one by one, at weights that hardly move."""
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(4000) % 4
    images = torch.rand(4000, 3, 4, 4, generator=generator) * 200 + labels[:, None, None, None] * 10
    split = Split(images.to(torch.uint8), labels)
    data = Dataset(
        "toy", split, Split(split.images[:4], labels[:4]), tuple("abcd"), (0.5,) * 3, (0.3,) * 3, ""
    )
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(48, 4))
    history = History()
    recorder = noise_scale(history, every=2)
    recipe = make_recipe(steps=600, batch_size=20, learning_rate=1e-9, weight_decay=0.0, schedule="constant")
    for event in fit(net, data, recipe):
        if type(event) in recorder.events:
            recorder(event)
    recorder(RunEnded(600, RunState.FINISHED, None))

    pixels = ((split.images / 255 - 0.5) / 0.3).flatten(1).double()
    wrong = net.double()(pixels.reshape(-1, 3, 4, 4)).softmax(1) - nn.functional.one_hot(labels, 4)
    each = torch.cat(
        [(wrong[:, :, None] * pixels[:, None]).flatten(1), wrong], dim=1
    ).detach()  # (N, weights)
    noise, signal = each.var(0).sum().item(), each.mean(0).square().sum().item()
    assert history.series("noise_scale/noise").values.mean() == pytest.approx(noise, rel=0.05)
    assert history.series("noise_scale/signal").values.mean() == pytest.approx(signal, rel=0.15)


def test_a_gap_between_the_steps_makes_no_pair():
    model = nn.Linear(2, 1)
    history = History()
    recorder = noise_scale(history, every=2)
    for step in (1, 4, 6):
        model.weight.grad = torch.ones(1, 2)
        recorder(GradientsReady(step, 1, model))
        recorder(StepDone(step, 1, torch.zeros(()), torch.zeros(()), "top1", 8, 0.1, model))
    recorder(RunEnded(6, RunState.FINISHED, None))
    assert history.names == ()


@pytest.mark.parametrize("every", [0, -1, 2.5, True])
def test_an_interval_is_a_whole_number(every):
    with pytest.raises(InvalidSetting, match="whole number of steps"):
        Interval(every)
