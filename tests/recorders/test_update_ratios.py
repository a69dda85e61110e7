import copy

import pytest
import torch

from reswork.history import History
from reswork.recorders import update_ratios
from reswork.training.events import GradientsReady, StepDone
from reswork.training.loop import fit


@pytest.mark.parametrize(
    "settings", [{}, {"optimizer": "adamw", "learning_rate": 1e-3}, {"clip_norm": 0.1}, {"ema": 0.9}]
)
def test_the_ratios_equal_a_slow_computation(net, data, make_recipe, settings):
    history = History()
    recorder = update_ratios(history, every=3)
    before, expected = {}, {}
    for event in fit(net, data, make_recipe(**settings)):
        if type(event) in recorder.events:
            recorder(event)
        if isinstance(event, GradientsReady):
            before = copy.deepcopy(net.state_dict())
        if isinstance(event, StepDone) and (event.step == 1 or event.step % 3 == 0):
            now = net.state_dict()
            pairs = [(before[name].double(), now[name].double()) for name in ("0.weight", "5.weight")]
            expected[event.step] = [((new - old).norm() / old.norm()).item() for old, new in pairs]
    vectors = history.vectors("update_ratio")
    assert vectors.labels == ("0", "5")
    assert vectors.steps.tolist() == list(expected) == [1, 3, 6, 9, 12, 15, 18, 21, 24]
    for got, wanted in zip(vectors.values.tolist(), expected.values(), strict=True):
        assert got == pytest.approx(wanted, rel=1e-4)


def test_a_step_that_began_without_it_is_not_measured(net, data, make_recipe):
    history = History()
    recorder = update_ratios(history, every=1)
    for event in fit(net, data, make_recipe(steps=4)):
        joined = event.step > 2 or (event.step == 2 and isinstance(event, StepDone))
        if joined and type(event) in recorder.events:
            recorder(event)
    assert history.vectors("update_ratio").steps.tolist() == [3, 4]


def test_a_weight_of_zero_has_no_ratio(net, data, make_recipe):
    torch.nn.init.zeros_(net[5].weight)
    history = History()
    recorder = update_ratios(history, every=1)
    for event in fit(net, data, make_recipe(steps=2)):
        if type(event) in recorder.events:
            recorder(event)
    values = history.vectors("update_ratio").values
    assert not torch.isfinite(torch.tensor(values[0, 1])) and 0 < values[1, 1] < 10
