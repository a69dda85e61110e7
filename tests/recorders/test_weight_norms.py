import numpy as np
import pytest
import torch

from reswork import figures
from reswork.history import History
from reswork.recorders import CATALOGUE, timed, weight_norms
from reswork.training.events import StepDone
from reswork.training.loop import fit
from reswork.training.run import Run
from reswork.widgets.inside_panel import PLOTS


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
    run.wait(60)
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
