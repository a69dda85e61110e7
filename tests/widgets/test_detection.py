"""The panels with boxes: true ones and those that a network gives."""

import numpy as np
import pytest
import torch

import reswork as rw
from reswork.datasets import Augmentation
from reswork.experiment.pinned_examples import PinnedExamples
from reswork.widgets.build_panel import BuildPanel
from reswork.widgets.data_panel import DataPanel, _augmented
from reswork.widgets.inspector import PAGES, InspectorPanel
from reswork.widgets.legend import legend_of
from reswork.widgets.tree import close_tree


@pytest.fixture(scope="module")
def data() -> rw.datasets.Dataset:
    return rw.datasets.scattered(train=24, test=8, size=24)


@pytest.fixture(scope="module")
def model() -> rw.ResNet:
    torch.manual_seed(0)
    found = rw.detector(depth=8, width=4, num_classes=6).eval()
    with torch.no_grad():  # sure of something everywhere
        found.decoder.last.bias[4:6] += 6
    return found


def settle(panel: InspectorPanel) -> None:
    assert panel._worker.wait(300)
    assert panel._error.layout.display == "none", panel._error.value


def test_the_inspector_shows_boxes_and_every_page_works(data, model) -> None:
    film = PinnedExamples(data)
    film.shoot(model, 3)
    strip = rw.figures.film_strip(film.images.numpy(), film.frames, data.classes, truth=film.truth.numpy())
    assert "up to step 3; now it finds" in str(strip.layout)
    panel = InspectorPanel(data)
    panel.look_at(model, "")
    panel.view.show()
    settle(panel)
    assert panel.masks.layout.display is None and "true boxes:" in panel.masks.summary
    assert "It is sure of <b>" in panel._answer.value and "circle" in panel._answer.value
    assert "circle" in legend_of(data) and legend_of(rw.datasets.digits()) == ""
    for page in PAGES:
        panel.pages.value = page
        settle(panel)
    panel._explain.click()
    settle(panel)
    assert panel._maps and all(np.isfinite(one.maps).all() for one in panel._maps)
    panel.close()
    close_tree(panel.view)


def test_the_inspector_opens_the_body_of_a_retinanet(data) -> None:
    torch.manual_seed(0)
    model = rw.retinanet(depth=8, width=4, num_classes=6).eval()
    with torch.no_grad():
        model.last_layer.bias += 4.7
    panel = InspectorPanel(data)
    panel.look_at(model, "")
    panel.view.show()
    settle(panel)
    assert "It is sure of <b>" in panel._answer.value and "true boxes:" in panel.masks.summary
    panel._where.value = "layer3.0"
    settle(panel)
    maps = rw.probes.attribution(panel._explained(), panel._input(), method="grad_cam", target=2)
    assert np.isfinite(maps.maps).all()
    panel.close()
    close_tree(panel.view)


def test_the_form_builds_a_detector_and_the_data_panel_shows_true_boxes(data) -> None:
    build = BuildPanel()
    build.set_input(data.input_shape, rw.tasks.task_for(data).head(data))
    assert build.config is not None and build.config.label.startswith("Detector on ")
    assert build.sheet is not None and build.sheet.output_shape == (11, 6, 6)
    assert build.form.fields["detector"].fits and not build.form.fields["decoder"].fits
    build.form.set(detector="retinanet")
    assert build.config.label == "RetinaNet on ResNet-20" and build.sheet.output_shape == (9 * 49, 18)
    drawn = str(rw.figures.network(build.sheet))
    assert "levels" in drawn and "441 anchors" in drawn
    build.set_config(rw.ResNetConfig(depth=14, head="retinanet"))
    assert build.form.values["detector"] == "retinanet"
    shown = DataPanel(data, lambda: None)
    shown.view.show()
    assert shown.examples.summary
    grid = _augmented(data, Augmentation(flip=True, crop_padding=4), 0)
    assert "9 pictures" in str(grid.layout) or "Augmentation" in str(grid.layout)
    close_tree(build.view)
    close_tree(shown.view)
