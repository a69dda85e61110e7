"""The initialisation microscope: its numbers against slow computations, and what its forecasts are worth."""

import math

import numpy as np
import pytest
import torch

import reswork as rw
from reswork.errors import InvalidSetting
from reswork.probes.forecast import RULES, calibration, judge
from reswork.probes.initialisation import fresh, initialisation, signal_sizes
from reswork.results.initialisation import autocorrelation

CONFIG = rw.ResNetConfig(depth=14, width=4, in_channels=1)
DATA = rw.datasets.digits()


def test_autocorrelation_is_that_of_a_slow_computation():
    rows = np.random.default_rng(0).normal(size=(3, 40)).cumsum(axis=1)
    found = autocorrelation(rows, 6)
    for row, values in zip(rows, found, strict=True):
        centred = row - row.mean()
        slow = np.correlate(centred, centred, "full")[39:46] / (centred**2).sum()
        np.testing.assert_allclose(values, slow)


def test_sizes_of_a_signal_are_those_of_a_slow_computation():
    torch.manual_seed(0)
    model = rw.resnet(depth=8, width=4, order="pre", shortcut="B")
    images = torch.randn(6, 3, 8, 8)
    found = signal_sizes(model, images)
    with torch.no_grad():
        out = model.layer1(model.maxpool(model.relu(model.bn1(model.conv1(images)))))
    channels = out.numpy().swapaxes(0, 1).reshape(4, -1)
    assert found["stream"][0] == pytest.approx(channels.var(axis=1).mean(), rel=1e-4)
    assert found["mean"][0] == pytest.approx((channels.mean(axis=1) ** 2).mean(), rel=1e-4)


def test_gradients_and_first_updates_are_those_of_one_backward_pass():
    found = initialisation(CONFIG, DATA, gain=1.5, learning_rate=0.2, seed=3)
    model = fresh(CONFIG, DATA, gain=1.5, seed=3).train()
    chosen = torch.randperm(len(DATA.train), generator=torch.Generator().manual_seed(3))[:48]
    images = rw.datasets.normalise(DATA.train.images[chosen], DATA.mean, DATA.std)
    loss = torch.nn.functional.cross_entropy(model(images), DATA.train.labels[chosen])
    loss.backward()
    assert found.loss == pytest.approx(float(loss.detach()), rel=1e-5)
    for name, gradient, update in zip(found.layers, found.gradients, found.updates, strict=True):
        weight = model.get_submodule(name).weight
        assert gradient == pytest.approx(float(weight.grad.norm()), rel=1e-3)
        assert update == pytest.approx(0.2 * float(weight.grad.norm() / weight.detach().norm()), rel=1e-3)


def test_likeness_is_the_mean_cosine_of_pairs_and_the_jacobian_that_of_torch():
    found = initialisation(CONFIG, DATA, seed=1)
    model = fresh(CONFIG, DATA, seed=1).train()
    chosen = torch.randperm(len(DATA.train), generator=torch.Generator().manual_seed(1))[:48]
    images = rw.datasets.normalise(DATA.train.images[chosen], DATA.mean, DATA.std)
    for norm in model.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            norm.momentum = None
    with torch.no_grad():
        x = model.layer1[0](model.maxpool(model.relu(model.bn1(model.conv1(images))))).flatten(1).numpy()
        model(images)
    rows = x / np.linalg.norm(x, axis=1, keepdims=True)
    assert found.likeness[0] == pytest.approx((rows @ rows.T)[~np.eye(48, dtype=bool)].mean(), rel=1e-4)
    # the statistics of the second call are averaged with those of the first, which were the same
    slow = torch.autograd.functional.jacobian(model.eval(), images[:1]).reshape(10, 64)
    np.testing.assert_allclose(found.jacobian[0], np.linalg.svd(slow.numpy())[1], rtol=2e-3)
    assert found.condition > 1 and found.autocorrelation[0] == pytest.approx(1)


@pytest.mark.parametrize(
    ("settings", "gain", "rate", "outcome"),
    [
        ({"depth": 8}, 1.0, 0.1, "trains"),
        ({"depth": 56, "residual": False, "norm": "none"}, 1.0, 0.1, "does not train"),
        ({"depth": 56, "norm": "none"}, 2.0, 0.1, "diverges"),
        ({"depth": 80, "norm": "none", "order": "pre"}, 100.0, 0.1, "diverges"),  # not finite any more
        ({"depth": 20, "norm": "none", "residual_scaling": "fixup"}, 1.0, 0.1, "trains"),
    ],
)
def test_plain_cases_are_told(settings, gain, rate, outcome):
    config = rw.ResNetConfig(width=4, in_channels=1, **settings)
    found = initialisation(config, DATA, gain=gain, learning_rate=rate)
    told = rw.probes.forecast(found)
    assert told.outcome == outcome and told.because and f"{told.right} of {told.judged}" in str(told)
    figures = rw.figures.initialisation(found)
    assert len(figures) == 5 and all(figure.layout.meta["summary"] for figure in figures.values())


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_tells_beyond_its_limit_and_for_its_networks(rule):
    fine = dict.fromkeys([each.sign for each in RULES], 1.0)
    fine |= {"normed": float(rule.holds == "normed"), "asleep": float(rule.holds == "asleep")}
    limits = {rule.name: 2.0 if rule.above else 0.5}
    beyond = {**fine, rule.sign: 3.0 if rule.above else 0.1}
    assert judge(fine, limits)[0] == "trains"
    assert judge(beyond, limits)[0] == rule.outcome and "limit" in judge(beyond, limits)[1]
    if rule.holds != "all":
        others = {**beyond, "normed": float(rule.holds == "unnormed"), "asleep": 0.0}
        assert judge(others, limits)[0] == "trains"
    unknown = judge({**fine, rule.sign: math.nan}, limits)[0]
    assert unknown == ("diverges" if rule.sign in ("loss", "update") else "trains")


def test_the_kept_test_is_that_of_its_trainings():
    """Limits and hits in the file are those that its own list of trainings gives."""
    kept = calibration()
    judged = [row for row in kept["trainings"] if not row["chooses"]]
    right = [judge(_numbers(row["signs"]), kept["limits"])[0] == row["outcome"] for row in judged]
    assert (sum(right), len(right)) == (kept["right"], kept["judged"])
    assert len(kept["trainings"]) >= 60 and kept["judged"] >= 30 and kept["right"] > kept["usual"]


def _numbers(signs):
    return {name: math.nan if value is None else float(value) for name, value in signs.items()}


def test_what_it_cannot_look_at_is_named():
    with pytest.raises(InvalidSetting, match="classifier"):
        initialisation(rw.ResNetConfig(head="unet", in_channels=1), DATA)
    with pytest.raises(InvalidSetting, match="above 0"):
        initialisation(CONFIG, DATA, gain=0)
