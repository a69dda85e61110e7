"""The panels with identities and with anomalies."""

import time

import numpy as np
import pytest
import torch

import reswork as rw
from reswork.experiment.pinned_examples import PinnedExamples
from reswork.widgets.answers_panel import answers_drawn
from reswork.widgets.build_panel import BuildPanel
from reswork.widgets.data_panel import DataPanel
from reswork.widgets.film_panel import FilmPanel
from reswork.widgets.inspector import PAGES, InspectorPanel, as_pictures
from reswork.widgets.simple_methods import SimpleMethods
from reswork.widgets.tree import close_tree
from tests.datasets.image_files import write

Data = rw.datasets.Dataset


@pytest.fixture(scope="module")
def faces() -> Data:
    return rw.datasets.drawn_faces(identities=4, test_identities=3, images=4, size=24)


@pytest.fixture(scope="module")
def plates() -> Data:
    return rw.datasets.defects(train=16, test=12, size=24)


def net(data: Data) -> rw.ResNet:
    torch.manual_seed(0)
    return rw.resnet(rw.config_for(data, depth=8, width=2)).eval()


def settle(panel: InspectorPanel) -> None:
    assert panel._worker.wait(300)
    assert panel._error.layout.display == "none", panel._error.value


@pytest.mark.parametrize("kind", ["faces", "plates"])
def test_the_inspector_says_what_the_task_says_and_every_page_works(kind, request) -> None:
    data = request.getfixturevalue(kind)
    panel = InspectorPanel(data)
    panel.look_at(net(data), "")
    panel.view.show()
    settle(panel)
    if kind == "faces":
        assert "Most like these" in panel._answer.value and panel.masks.layout.display == "none"
    else:
        assert panel.masks.layout.display is None and "1 picture;" in panel.masks.summary
        assert "Score <b>" in panel._answer.value
    for page in PAGES:
        panel.pages.value = page
        settle(panel)
    assert len(panel._target.options) == (
        5 if kind == "faces" else 1
    )  # those that were learned, and its answer
    panel._explain.click()
    settle(panel)
    assert panel._maps and all(np.isfinite(one.maps).all() for one in panel._maps)
    panel.close()
    close_tree(panel.view)


def test_the_strip_shows_maps_of_bad_plates_and_where_faces_are_looked_at(faces, plates) -> None:
    film = PinnedExamples(plates)
    bad = (plates.test.masks[list(film.pictures)] != 0).flatten(1).any(1)
    assert bad.tolist() == [True, True, True, False]
    model = net(plates)
    for step in (0, 5):
        film.shoot(model, step)
    strip = rw.figures.film_strip(film.images.numpy(), film.frames, plates.classes, truth=film.truth.numpy())
    words = [each.text for each in strip.layout.annotations]
    assert (
        words[1] == "what is wrong"
        and words[2] == f"step 0<br>{film.frames[0].answers.scores[0]:.3g}"
        and "score" in strip.layout.meta["summary"]
    )
    panel = FilmPanel()
    panel.film = film
    panel.view.show()
    assert panel.strip.frame["layout"]["annotations"][4]["text"] == "given back"  # behind both moments
    panel.close()
    close_tree(panel.view)
    looked = PinnedExamples(faces)
    looked.shoot(net(faces), 3)
    assert looked.frames[0].maps.shape == (3, 24, 24)
    strip = rw.figures.film_strip(looked.images.numpy(), looked.frames, faces.classes)
    assert "like face" in strip.layout.meta["summary"]


def test_simple_methods_for_plates_can_be_tried_on_the_page(plates) -> None:
    simple = SimpleMethods(lambda: plates, lambda: None)
    simple.view.show()
    simple._try_now(plates)
    assert "principal components" in simple._table.value and not simple.button.disabled
    close_tree(simple.view)


def test_faces_are_shown_with_those_that_are_most_like_them(faces) -> None:
    model = net(faces)
    figure, words = answers_drawn(model, faces)
    unit = rw.embeddings(model, faces.test.images, faces)
    alike = unit @ unit.T
    alike.fill_diagonal_(-2)
    first = (faces.test.labels[alike.argmax(1)] == faces.test.labels).float().mean()
    assert f"{float(first):.1%}" in words and "shown are the same" in figure.layout.meta["summary"]


def test_the_form_builds_both_and_the_data_panel_shows_them(faces, plates) -> None:
    build = BuildPanel()
    for data, label, shape in ((faces, "Embedding on ", (68,)), (plates, "Autoencoder on ", (1, 24, 24))):
        build.set_input(data.input_shape, rw.tasks.task_for(data).head(data))
        assert build.config is not None and build.config.label.startswith(label)
        assert build.sheet is not None and build.sheet.output_shape == shape
        figure = rw.figures.network(build.sheet)
        assert "blocks" in figure.layout.meta["summary"]
        assert ("64 numbers" in str(figure)) == (data is faces), "what comes out is no class"
        assert build.form.fields["code"].fits == (data is plates)
        shown = DataPanel(data, lambda: None)
        shown.view.show()
        assert shown.examples.summary
        close_tree(shown.view)
    build.form.set(code=3)
    assert build.config.code == 3
    close_tree(build.view)


def test_the_page_takes_a_list_of_pairs(faces, tmp_path) -> None:
    for name in ("ann", "bob", "cy", "dan", "eve"):
        for number in (1, 2):
            write(tmp_path / "crew", f"{name}/{name}_{number:04}.png")
    (tmp_path / "pairs.txt").write_text("ann\t1\t2\nann\t1\tbob\t1\n")
    shown = DataPanel(faces)
    assert shown.source.fields["pairs"].fits and not shown.source.fields["by"].fits
    shown.source.set(name="own", path=str(tmp_path / "crew"), pairs=str(tmp_path / "pairs.txt"), size=16)
    shown.view.show()
    shown.load.click()
    end = time.monotonic() + 300
    while shown._is_reading and time.monotonic() < end:
        time.sleep(0.01)
    assert shown.data.input_shape[1:] == (16, 16), shown._told
    assert shown.data.name == "crew" and shown.data.extras["test_pairs"].shape == (2, 3), shown._told
    close_tree(shown.view)


def test_normalised_images_come_back_as_bytes(faces) -> None:
    inputs = rw.datasets.normalise(faces.test.images[:2], faces.mean, faces.std).numpy()
    assert (as_pictures(inputs, faces.mean, faces.std) == faces.test.images[:2].numpy()).all()
