import numpy as np
import pytest

from reswork import debug
from reswork.reporting.report import report
from reswork.widgets.debug_view import DebugView
from reswork.widgets.live_figure import LiveFigure


@pytest.fixture
def given():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 200)
    exp = np.exp(rng.normal(size=(200, 3)) + 2 * np.eye(3)[labels])
    images = rng.integers(0, 256, (200, 1, 8, 8)).astype(np.uint8)
    table = (exp / exp.sum(axis=1, keepdims=True)).astype(np.float32)
    return {"probabilities": table, "labels": labels, "images": images, "classes": ["<b>cat", "dog", "cow"]}


@pytest.fixture
def view(given):
    made = debug(**given)
    assert made.wait()
    yield made
    made.close()


def test_costs_are_told_before_and_sections_appear_in_order(view: DebugView) -> None:
    assert "about 0 s" in view.said.value and "needs the model and its data" in view.said.value
    assert not view.sections and view.stop.disabled
    view.fill.click()
    assert view.wait()
    assert list(view.sections) == [each.name for each in view.report.plan() if each.done]
    assert "took" in view.said.value and not view.fill.disabled and view.error.layout.display == "none"


def test_a_click_on_a_cell_shows_its_images(view: DebugView) -> None:
    view.fill.click()
    assert view.wait()
    view._cell("0/2")
    given = view.report.predictions
    count = int(((given.labels == 0) & (given.predicted == 2)).sum())
    assert count and f"{count} images of &lt;b&gt;cat are called cow" in view.clicked.children[0].value
    assert isinstance(view.clicked.children[1], LiveFigure)
    old = view.clicked.children[1]
    view._cell("1/1")
    assert old.comm is None and len(view.clicked.children) == 2
    view._cell("x")
    assert len(view.clicked.children) == 2


def test_a_click_on_an_image_says_which(view: DebugView) -> None:
    clicked = []
    view.on_image = lambda index, split: clicked.append((index, split))
    list(view.report.fill(["mistakes"]))
    view._show("mistakes")
    grid = view.sections["mistakes"].children[-1].children[0]
    name = grid.frame["data"][1]["customdata"][0][1]
    for sent in (name, "train image 3", "", "cat"):
        grid._handle_custom_msg({"kind": "click", "name": sent}, [])
    assert clicked == [(int(view.report.mistakes().images[1]), "test"), (3, "train")]


def test_what_a_report_has_is_there_at_once_and_stop_ends_it(given) -> None:
    made = report(**given)
    list(made.fill(["scores"]))
    view = debug(report=made)
    assert view.wait() and list(view.sections) == ["scores"]
    view._stop()
    view._worker.submit(view._filled)
    assert view.wait() and list(view.sections) == ["scores"]
    view.close()
