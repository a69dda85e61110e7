import numpy as np
import pytest
import torch
from torch import nn

from reswork import figures
from reswork.history import History
from reswork.recorders import CATALOGUE, gradient_norms, timed, weight_norms
from reswork.training.events import GradientsReady, RunEnded, StepDone
from reswork.training.live_run import RunState
from reswork.training.loop import fit
from reswork.training.run import Run
from reswork.widgets.inside_panel import PLOTS


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


def test_the_norms_equal_a_slow_computation_after_the_update(net, data, make_recipe) -> None:
    history, expected = History(), {}
    recorder = weight_norms(history, every=3)
    for event in fit(net, data, make_recipe()):
        if type(event) in recorder.events:
            recorder(event)
        if isinstance(event, StepDone) and (event.step == 1 or event.step % 3 == 0):
            weights = [net.state_dict()[name].double() for name in ("0.weight", "5.weight")]
            expected[event.step] = [weight.square().sum().sqrt().item() for weight in weights]
    vectors = history.vectors("weight_norm")
    assert vectors.labels == ("0", "5") and len(vectors.steps) > 3
    assert dict(zip(vectors.steps.tolist(), vectors.values.tolist(), strict=True)) == {
        step: pytest.approx(norms, rel=1e-5) for step, norms in expected.items()
    }


def test_frozen_layers_are_there_and_stand_still(net, data, make_recipe) -> None:
    net[0].requires_grad_(False)
    history = History()
    run = Run(net, data, make_recipe(steps=12), history=history, recorders=[timed("weight_norms", history)])
    run.start()
    run.wait(300)
    frozen, trained = history.vectors("weight_norm").values.T
    assert len(set(frozen.tolist())) == 1 and len(set(trained.tolist())) > 1
    assert frozen[0] == pytest.approx(net[0].weight.double().norm().item(), rel=1e-5)


def test_nothing_of_the_graph_is_kept(net) -> None:
    recorder = weight_norms(History(), every=1)
    zero = torch.zeros(())
    recorder(StepDone(1, 1, zero, zero, "top1", 8, 0.1, net))
    recorder(StepDone(2, 1, zero, zero, "top1", 8, 0.1, net))
    assert [value.requires_grad for value in recorder._collector._values] == [False]


def test_the_figure_shows_first_middle_and_latest_and_is_on_the_page_inside() -> None:
    history = History()
    for step, norms in ((10, [1.0, 2.0]), (20, [1.5, 2.0]), (30, [2.0, 2.2])):
        history.record_vector("weight_norm", step, ["conv1", "fc"], norms)
    figure = figures.weight_norms(history)
    assert [line.name for line in figure.data] == ["step 10", "step 20", "step 30"]
    np.testing.assert_allclose(figure.data[2].y, [2.0, 2.2], rtol=1e-6)
    assert figure.layout.meta["summary"] == (
        "At step 30 the weights of conv1 are 2 times as long as at step 10: of all layers the largest change."
    )
    assert "weight_norms" in PLOTS


@pytest.mark.parametrize("norms", [[0.0, 0.0], [float("nan"), 1.0], [float("inf"), 0.0]])
def test_the_figure_lives_with_what_is_no_length(norms) -> None:
    history = History()
    history.record_vector("weight_norm", 1, ["a", "b"], norms)
    assert "At step 1" in figures.weight_norms(history).layout.meta["summary"]


def test_a_run_has_it_unless_told_otherwise() -> None:
    assert [each.by_default for each in CATALOGUE if each.name == "weight_norms"] == [True]
    assert figures.weight_norms(History()).layout.meta["summary"].startswith("No ")
