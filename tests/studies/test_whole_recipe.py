"""What a recipe cannot say: layers that stand still late, and a first layer that begins whitened."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import reswork as rw
from reswork.studies.findings import fewer_operations
from reswork.studies.findings.fewer_operations import EARLY, FewerSettings, Way
from reswork.studies.whitened_stem import whiten_stem, whitening_filters
from reswork.studies.whole_recipe import WholeRecipe

RECIPE = rw.Recipe(steps=8, batch_size=16, nesterov=True, ema=0.9, precision="fp32", compile="off", seed=3)


@pytest.fixture(scope="module")
def data():
    return rw.datasets.digits().subset(train=64, test=40)


def made(data, start=None, stop_at=0.5):
    torch.manual_seed(0)
    net = rw.resnet(depth=8, width=2, in_channels=1)
    return WholeRecipe(net, data, RECIPE, start, stops=dict.fromkeys(EARLY, stop_at))


def values(training, early):
    return {
        name: value.clone()
        for name, value in training.net.state_dict().items()
        if (name.partition(".")[0] in EARLY) is early
    }


def changed(before, after):
    return {name for name in before if not torch.equal(before[name], after[name])}


def test_early_layers_stand_still_from_their_step_on_and_others_learn(data):
    training = made(data)
    for _ in range(4):
        training.make_step()
    early, late = values(training, early=True), values(training, early=False)
    training.make_step()
    assert training.test_error() <= 1  # looks at it in evaluation form, and gives each layer its own back
    for _ in range(3):
        training.make_step()
    assert training.done and not changed(early, values(training, early=True)), "weights and statistics"
    assert {name for name in late if "fc" in name or "running" in name} <= changed(
        late, values(training, early=False)
    )
    whole = made(data, stop_at=1.0)
    for _ in range(8):
        whole.make_step()
    assert "conv1.weight" in changed(early, values(whole, early=True))


@pytest.mark.parametrize("steps", [3, 4, 6])
def test_it_goes_on_before_and_behind_that_step_as_if_it_had_not_stopped(data, steps):
    through = made(data)
    for _ in range(8):
        through.make_step()
    first = made(data)
    for _ in range(steps):
        first.make_step()
    kept = {name: value.clone() for name, value in first.state().items()}
    further = made(data, kept)
    while not further.done:
        further.make_step()
    for early in (True, False):
        assert not changed(values(through, early), values(further, early))


def test_whitened_answers_are_uncorrelated_as_numpy_counts_them():
    generator = torch.Generator().manual_seed(0)
    rough = torch.randn(20, 2, 8, 8, generator=generator)
    images = rough + 2 * rough.roll(1, 3) + rough.flip(1)  # neighbours and channels go together
    filters = whitening_filters(images, (3, 3))
    answers = torch.nn.functional.conv2d(images, filters).transpose(0, 1).flatten(1).numpy()
    found = np.cov(answers)
    assert np.abs(found - np.diag(np.diag(found))).max() < 1e-3
    assert found[0, 0] == pytest.approx(1, abs=0.01)
    patches = np.lib.stride_tricks.sliding_window_view(images.numpy(), (3, 3), axis=(2, 3))
    patches = np.moveaxis(patches, 1, 3).reshape(-1, 18)
    most = np.linalg.eigvalsh(np.cov(patches.T))[-1]
    assert np.sqrt(1 / most) == pytest.approx(float(filters[0].norm()), rel=1e-3), "the first varies most"


def test_a_whitened_first_layer_has_each_filter_and_its_negative(data):
    torch.manual_seed(0)
    net = rw.resnet(depth=8, width=20, in_channels=1)  # 18 filters are known, two stay random
    before = net.conv1.weight.detach().clone()
    whiten_stem(net, data)
    after = net.conv1.weight.detach()
    torch.testing.assert_close(after[:9], -after[9:18])
    assert torch.equal(after[18:], before[18:]) and not torch.equal(after[:18], before[:18])
    table = rw.resnet(rw.ResNetConfig(depth=8, dims=0, in_channels=3))
    whiten_stem(table, data)  # has no convolution


def test_operations_are_those_of_the_layers_and_less_where_some_stand_still():
    settings = FewerSettings(width=16)
    network, shape = settings.network(), (1, 28, 28)
    recipe = replace(RECIPE, steps=10)
    layers = rw.spec_sheet(network, shape).layers
    early = sum(layer.macs for layer in layers if layer.name.partition(".")[0] in EARLY)
    a_step = 6 * sum(layer.macs for layer in layers) * 16 / 1e9
    whole = fewer_operations.operations(network, Way(recipe), 64, shape)
    np.testing.assert_allclose(whole, a_step * np.arange(1, 11))
    less = fewer_operations.operations(network, Way(recipe, stop_at=0.7), 64, shape)
    np.testing.assert_allclose(whole - less, 4 * early * 16 / 1e9 * np.array([0] * 7 + [1, 2, 3]))
    assert 0.2 < early / sum(layer.macs for layer in layers) < 0.5
