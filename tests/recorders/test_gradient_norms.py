import pytest
import torch
from torch import nn

from reswork.history import History
from reswork.recorders import gradient_norms
from reswork.training.events import GradientsReady, RunEnded
from reswork.training.live_run import RunState
from reswork.training.loop import fit


def test_the_norms_equal_a_slow_computation(net, data, make_recipe):
    history, recorder = History(), None
    recorder = gradient_norms(history, every=3)
    expected = {}
    for event in fit(net, data, make_recipe()):
        if type(event) in recorder.events:
            recorder(event)
        if isinstance(event, GradientsReady) and (event.step == 1 or event.step % 3 == 0):
            layers = {name: module for name, module in net.named_modules() if name in ("0", "5")}
            expected[event.step] = [
                layer.weight.grad.double().square().sum().sqrt().item() for layer in layers.values()
            ]
    vectors = history.vectors("grad_norm")
    assert vectors.labels == ("0", "5")
    assert dict(zip(vectors.steps.tolist(), vectors.values.tolist(), strict=True)) == {
        step: pytest.approx(norms, rel=1e-5) for step, norms in expected.items()
    }


def test_frozen_and_idle_layers_are_zero_so_that_the_layers_stay_the_same():
    model = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Linear(2, 2), "frozen": nn.Linear(2, 2)})
    model["frozen"].requires_grad_(False)
    history = History()
    recorder = gradient_norms(history, every=1)
    model["b"](model["a"](torch.ones(1, 2))).sum().backward()
    recorder(GradientsReady(1, 1, model))
    model["a"].weight.grad = None
    recorder(GradientsReady(2, 1, model))
    recorder(RunEnded(2, RunState.FINISHED, None))
    vectors = history.vectors("grad_norm")
    assert vectors.labels == ("a", "b", "frozen")
    assert vectors.values[1, 0] == 0 and (vectors.values[:, 2] == 0).all()
    assert (vectors.values[:, 1] > 0).all()


def test_a_model_without_such_layers_records_nothing_and_says_so():
    model = nn.LayerNorm(4)
    model(torch.ones(1, 4)).sum().backward()
    history = History()
    recorder = gradient_norms(history, every=1)
    recorder(GradientsReady(1, 1, model))
    recorder(GradientsReady(2, 1, model))
    recorder(RunEnded(2, RunState.FINISHED, None))
    assert history.groups == ()
    (note,) = history.notes
    assert (note.kind, note.details["recorder"]) == ("nothing to record", "gradient_norms")
    assert "LayerNorm has no convolutions or linear layers" in note.details["reason"]
