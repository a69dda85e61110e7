"""The panels with a data set of masks: what makes sense is shown, what does not is hidden."""

import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import reswork as rw
from reswork.training.controls import snapshot_of
from reswork.widgets.answers_panel import answers_drawn
from reswork.widgets.build_panel import BuildPanel
from reswork.widgets.data_panel import DataPanel
from reswork.widgets.inspector import PAGES, InspectorPanel
from reswork.widgets.run_view import RunView
from reswork.widgets.tree import close_tree


@pytest.fixture(scope="module")
def data() -> rw.datasets.Dataset:
    return rw.datasets.scenes(train=48, test=12, size=16)


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    torch.manual_seed(0)
    recipe = rw.Recipe(
        epochs=2, batch_size=8, optimizer="adamw", learning_rate=0.01, device="cpu", compile="off"
    )
    run = rw.train(
        rw.unet(depth=8, width=8, num_classes=7),
        data,
        recipe,
        directory=tmp_path_factory.mktemp("runs") / "seg",
    )
    run.wait(300)
    return run


def settle(panel: InspectorPanel, seconds: float = 300.0) -> None:
    assert panel._worker.wait(seconds)
    assert panel._error.layout.display == "none", panel._error.value


@pytest.fixture
def panel(run, data):
    panel = InspectorPanel(data)
    panel.look_at(snapshot_of(run.model), "")
    panel.view.show()
    settle(panel)
    yield panel
    panel.close()
    close_tree(panel.view)


def test_the_inspector_has_the_answer_beside_the_true_mask(panel, run, data) -> None:
    assert panel.masks.layout.display is None
    assert "masks over each: 2" in panel.masks.summary  # the answer and the truth
    output = run.model.eval()(rw.datasets.normalise(data.test.images[:1], data.mean, data.std))
    score = float(run.task.score(output, data.test.masks[:1]))
    assert f"Mean IoU of this picture: <b>{score:.1%}</b>" in panel._answer.value
    assert "ring" in panel._answer.value and "right" not in panel._answer.value


def test_attributions_explain_the_mean_logit_of_a_class_and_every_page_works(panel) -> None:
    for page in PAGES:
        panel.pages.value = page
        settle(panel)
    panel._target.value = 2
    panel._explain.click()
    settle(panel, 120)
    assert len(panel._maps) == 8 and all(np.isfinite(one.maps).all() for one in panel._maps)
    for quantity in ("size", "zeros", "branch", "share"):
        panel._quantity.value = quantity
        settle(panel)


def test_with_other_data_the_masks_are_gone(data) -> None:
    panel = InspectorPanel(data)
    panel.view.show()
    assert panel.masks.layout.display is None
    panel.set_data(rw.datasets.digits())
    assert panel.masks.layout.display == "none"
    panel.close()
    close_tree(panel.view)


def test_the_form_builds_a_u_net_for_masks_and_the_data_panel_shows_them(data) -> None:
    build = BuildPanel()
    head = rw.tasks.task_for(data).head(data)
    build.set_input(data.input_shape, head)
    assert build.config is not None and build.config.head == "unet" and build.config.num_classes == 7
    build.view.show()
    build.form.set(decoder="fcn")
    build.form.renew()
    assert build.config.head == "fcn" and build.config.label.startswith("FCN on ")
    build.set_config(rw.ResNetConfig(depth=14, head="unet"))
    assert build.form.values["decoder"] == "unet" and build.config.label == "U-Net on ResNet-14"
    build.set_input((1, 8, 8), {"in_channels": 1, "num_classes": 10, "head": "classifier"})
    assert not build.form.fields["decoder"].fits and build.config.head == "classifier"
    shown = DataPanel(data, lambda: None)
    shown.view.show()
    assert "picture (10 times), mask (10 times)" in shown.examples.summary
    assert "pixels" in shown.counts.summary and "star" in shown.legend.value
    close_tree(build.view)
    close_tree(shown.view)


def test_the_run_has_curves_and_tables_of_masks(run) -> None:
    view = RunView(run)
    view.plots.show()
    assert "mean IoU" in view.score.summary and "accuracy" not in view.score.summary
    assert list(view.tables) == ["IoU of each class", "Confusion of pixels"]
    assert "pixels are named right" in view.tables["Confusion of pixels"].summary
    assert "test mean IoU" in view.status.value
    begin = time.monotonic()
    while view.refresh() and time.monotonic() - begin < 10:
        time.sleep(0.1)
    close_tree(view.bar)
    close_tree(view.plots)


def test_class_weights_are_told_above_the_loss_only_where_they_are_in_use(run, data) -> None:
    recipe = rw.Recipe(steps=2, batch_size=2, device="cpu", precision="fp32", compile="off")
    weighted = rw.train(
        rw.unet(depth=8, width=2, num_classes=7), data, replace(recipe, class_weights="balanced")
    )
    weighted.wait(60)
    inputs = rw.datasets.normalise(data.test.images, data.mean, data.std)
    with torch.no_grad():
        alike = F.cross_entropy(weighted.snapshot().eval()(inputs), data.test.masks.long()).item()
    assert weighted.history.last("loss/test") == pytest.approx(alike, rel=1e-4)
    view = RunView(run)
    view.plots.show()
    assert view.weighted is None and view.plots.children[0] is view.loss
    view.watch(weighted)
    assert view.plots.children[:2] == (view.weighted, view.loss)
    told = view.weighted
    assert "the test loss counts all alike" in told.value
    count = len(view.plots.children)
    view.refresh()
    view.watch(run)
    assert view.plots.children[0] is view.loss and len(view.plots.children) == count - 1 and told.comm is None
    close_tree(view.bar)
    close_tree(view.plots)


def test_volumes_are_shown_as_slices_with_answer_and_truth() -> None:
    data = rw.datasets.solids(train=4, test=3, size=12)
    model = rw.resnet(rw.config_for(data, width=2))
    figure, legend = answers_drawn(model, data)
    assert "Images: 3, masks over each: 2" in figure.layout.meta["summary"] and "rod" in legend
    assert "where it looked" in str(figure.layout)
    shown = DataPanel(data, lambda: None)
    shown.view.show()
    assert "picture (4 times), mask (4 times)" in shown.examples.summary
    assert [name for name, field in shown.form.fields.items() if field.fits] == ["flip"]
    close_tree(shown.view)
