"""Trained weights on the page Recipe: taken, frozen by clicks, trained, and compared."""

import pytest
import torch

import reswork as rw
from reswork.transfer import adopt
from reswork.widgets.steps_view import StepsView
from tests.waiting import wait_for

RECIPE = rw.Recipe(steps=4, batch_size=16, learning_rate=0.05, device="cpu", compile="off", precision="fp32")


@pytest.fixture
def trained(small_data) -> str:
    torch.manual_seed(0)
    run = rw.train(
        rw.resnet(depth=8, width=4, in_channels=1, num_classes=3), small_data, RECIPE, name="trained"
    )
    run.wait(300)
    return run.name


@pytest.fixture
def bench(trained: str, small_data):
    data = small_data.of_classes((0, 2))
    made = rw.Workbench(rw.ResNetConfig(depth=14, width=8), data, RECIPE, first_steps=False)
    made.pages.value = "Recipe"
    made.transfer.show()
    yield made
    made.close()


def test_weights_are_taken_frozen_by_clicks_trained_and_looked_back_at(bench, trained: str) -> None:
    panel = bench.transfer
    fields = panel.form.fields
    assert panel.wait(300) and trained in fields["source"].options
    fields["source"].control.value = trained
    panel.take.click()
    assert panel.wait(300) and panel.error.value == "" and fields["source"].error == ""
    assert bench.config.depth == 8 and bench.config.width == 4
    assert "a new head for 2 answers" in panel._said.value
    assert f"beginning with the weights of {trained}" in bench._plan.value
    panel._freeze_to("layer2.0")
    fields["rate_decay"].control.value = "0.5"
    fields["norms"].control.value = "measured anew, then kept"
    assert bench.recipe.frozen == ("conv1", "bn1", "layer1", "layer2.0")
    assert bench.recipe.layer_rates["layer3"] == 0.5 and bench.recipe.norm_statistics == "kept"
    before = panel.drawing.frame
    bench.start()
    run = bench.run
    run.wait(300)
    kept = rw.load_run(run.name).transfer
    assert (kept["source"]["name"], kept["frozen_to"], kept["rate_decay"], kept["norms"]) == (
        trained, "layer2.0", 0.5, "reestimated",
    )  # fmt: skip
    began = adopt(trained, bench.data, norms="reestimated", seed=bench.recipe.seed).model
    assert torch.equal(run.model.layer2[0].conv1.weight.detach(), began.layer2[0].conv1.weight)
    panel.compare.click()
    assert panel.wait(300) and panel.error.value == ""
    moved = panel.compared.comparison.weights
    assert moved.values[moved.names.index("layer2.0")] == 0 < moved.values[moved.names.index("layer3.0")]
    bench.pages.value = "Recipe"
    panel._freeze_to("layer2.0")  # clicked once more
    assert bench.recipe.frozen == () and panel.drawing.frame != before
    panel.leave.click()
    assert bench.recipe.layer_rates == {} and panel.source is None and "beginning" not in bench._plan.value


def test_what_is_forgotten_is_offered_where_the_old_data_are_known() -> None:
    old, new = (rw.datasets.load(f"digits-{classes}") for classes in ("0-1", "2-3-4"))
    torch.manual_seed(0)
    model = rw.resnet(depth=8, width=4, in_channels=1, num_classes=2)
    rw.train(model, old, RECIPE, name="known").wait(300)
    bench = rw.Workbench(data=new, recipe=RECIPE, first_steps=False)
    bench.pages.value = "Recipe"
    bench.transfer.show()
    bench.transfer.form.fields["source"].control.value = "known"
    bench.transfer.take.click()
    assert bench.transfer.wait(300) and bench.transfer.forgetting is not None
    bench.transfer.leave.click()
    assert bench.transfer.forgetting is None and bench.transfer.worth is None
    bench.close()


def test_what_does_not_fit_is_told_under_its_field(bench, trained: str) -> None:
    panel = bench.transfer
    fields = panel.form.fields
    panel.take.click()
    assert "Name a run" in fields["source"].error
    for wrong, field, words in (
        ("nowhere", "source", "no file, no run"),
        ("torchvision/alexnet", "source", "no residual network"),
    ):
        fields["source"].control.value = wrong
        panel.take.click()
        assert panel.wait(300) and words in fields[field].error and panel.source is None
    fields["source"].control.value = trained
    panel.take.click()
    assert panel.wait(300)
    fields["head"].control.value = "kept: as many answers"
    assert "does not fit" in fields["head"].error
    fields["head"].control.value = "new"
    fields["frozen_to"].control.value = "layer9"
    assert "is no stage or block" in fields["frozen_to"].error and bench.recipe.frozen == ()
    fields["frozen_to"].control.value = ""
    bench.build.form.set(width=8)
    with pytest.raises(rw.InvalidSetting, match="width is 4 there and 8 here"):
        bench.start()
    assert "width is 4 there" in fields["source"].error and bench.pages.value == "Recipe"


def test_a_comparison_fills_as_it_is_computed_and_can_be_stopped(trained: str, small_data) -> None:
    data = small_data.of_classes((0, 2))
    whole = rw.worth_view(trained, data, images=(4,), seeds=1)
    whole.begin.click()
    wait_for(lambda: whole.found is not None)
    whole.stop.click()
    assert whole.wait(300) and not whole.begin.disabled and whole.error.value == ""
    whole.close()
    found = rw.transfer.worth(trained, data, rw.Recipe(steps=2, batch_size=8), images=(4,), seeds=1)
    part = rw.transfer.worth_steps(trained, data, rw.Recipe(steps=2, batch_size=8), images=(4,), seeds=1)
    view = StepsView(lambda: part, rw.figures.transfer_worth, "")
    view.begin.click()
    assert view.wait(300) and view.found.sentence == found.sentence
    assert found.sentence in view.said.value and len(view.figure.children) == 1
    view.close()
    lost = rw.forgetting_view(trained, small_data, data, seeds=1)
    assert lost.found is None
    lost.close()
