"""The panels with photographs: what goes in, what comes out, what was added."""

import numpy as np
import pytest
import torch

import reswork as rw
from reswork.experiment.pinned_examples import PinnedExamples
from reswork.widgets.build_panel import BuildPanel
from reswork.widgets.data_panel import DataPanel
from reswork.widgets.inspector import PAGES, InspectorPanel
from reswork.widgets.tree import close_tree


@pytest.fixture(scope="module")
def data() -> rw.datasets.Dataset:
    return rw.datasets.photographs(scale=2, patches=12, patch=16).subset(test=8)


@pytest.fixture(scope="module")
def model() -> rw.ResNet:
    torch.manual_seed(0)
    return rw.edsr(scale=2, depth=8, width=6).eval()


def settle(panel: InspectorPanel) -> None:
    assert panel._worker.wait(300)
    assert panel._error.layout.display == "none", panel._error.value


def test_the_strip_shows_what_goes_in_what_comes_out_what_was_added_and_the_truth(data, model) -> None:
    film = PinnedExamples(data)
    film.shoot(model, 0)
    with torch.no_grad():
        model.decoder.last.bias.add_(0.1)
    film.shoot(model, 5)
    with torch.no_grad():
        model.decoder.last.bias.sub_(0.1)
    strip = rw.figures.film_strip(film.images.numpy(), film.frames, truth=film.truth.numpy())
    words = strip.layout.meta["summary"] if "summary" in (strip.layout.meta or {}) else str(strip.layout)
    assert "2 moments up to step 5" in words and "255 is added" in words
    from reswork.figures.restored import added_pictures, enlarged_pictures

    given = enlarged_pictures(film.images.numpy(), (32, 32))
    brighter = np.clip(given.astype(int) + 10, 0, 255).astype(np.uint8)
    assert (added_pictures(given, brighter)[given < 245] == 168).all() and (
        added_pictures(given, given) == 128
    ).all()


def test_the_inspector_shows_both_pictures_and_every_page_works(data, model) -> None:
    panel = InspectorPanel(data)
    panel.look_at(model, "")
    panel.view.show()
    settle(panel)
    assert panel.masks.layout.display is None and "what was added is" in panel.masks.summary
    with torch.no_grad():
        score = rw.tasks.Restoration().score(model(data.test.images[:1] / 255), data.test.targets[:1])
    assert f"PSNR of this picture: <b>{float(score):.2f} dB" in panel._answer.value
    for page in PAGES:
        panel.pages.value = page
        settle(panel)
    panel._explain.click()
    settle(panel)
    assert "for the detail" in panel.attributions.summary
    assert panel._maps and all(np.isfinite(one.maps).all() for one in panel._maps)
    panel.close()
    close_tree(panel.view)


def test_the_form_builds_a_net_for_pictures_and_the_data_panel_shows_pairs(data) -> None:
    build = BuildPanel()
    head = rw.tasks.task_for(data).head(data)
    build.set_input(data.input_shape, head, begin=rw.worlds()["restoration"].config(data))
    assert build.config is not None and build.config.label.startswith("EDSR x2 on ")
    assert build.config.norm == "none" and build.sheet is not None and build.sheet.output_shape == (3, 32, 32)
    build.set_input((1, 8, 8), {"in_channels": 1, "num_classes": 10, "head": "classifier"})
    assert build.config.head == "classifier"
    shown = DataPanel(data, lambda: None)
    shown.view.show()
    assert "what was added is" in shown.examples.summary
    assert [name for name, field in shown.form.fields.items() if field.fits] == ["flip"], (
        "all that is accepted"
    )
    close_tree(build.view)
    close_tree(shown.view)
