import numpy as np
import pytest

import reswork as rw
from reswork import debug
from reswork.diagnosis import Change, Diagnosis, Finding, Fix
from reswork.reporting.report import report
from reswork.results import Evidence
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
    view.begin.click()
    assert view.wait()
    assert list(view.sections) == [each.name for each in view.report.plan() if each.done]
    assert "took" in view.said.value and not view.begin.disabled and view.error.layout.display == "none"


def test_a_click_on_a_cell_shows_its_images(view: DebugView) -> None:
    view.begin.click()
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
    grid = view.sections["mistakes"].children[-1].children[-1].children[0]
    name = grid.frame["data"][1]["customdata"][0][1]
    for sent in (name, "train image 3", "", "cat"):
        grid._handle_custom_msg({"kind": "click", "name": sent}, [])
    assert clicked == [(int(view.report.mistakes().images[1]), "test"), (3, "train")]


def test_a_threshold_that_is_moved_shows_its_images_and_is_a_file(given) -> None:
    rng = np.random.default_rng(0)
    labels = np.where(np.arange(200) < 30, (given["labels"] + 1) % 3, given["labels"])  # some are wrong
    sure = rng.uniform(0.6, 0.95, (200, 1))
    table = (1 - sure) / 2 + np.eye(3)[given["labels"]] * (1.5 * sure - 0.5)
    view = debug(**{**given, "labels": labels, "probabilities": table})
    assert view.wait()
    list(view.report.fill(["label_issues"]))
    view._show("label_issues")
    _, row, body = view.sections["label_issues"].children
    count, old = len(view.report.label_issues()), body.children
    row.slider.value = float(np.median(view.report.label_issues().score))
    fewer = len(view.report.label_issues())
    assert 0 < fewer < count and f"{fewer} images" in body.children[0].value and old[0].comm is None
    sent = []
    row.download.send = lambda content, buffers: sent.append(buffers[0].decode())
    row.download._take(None, {"kind": "fetch", "ticket": "1"}, [])
    assert row.download.name == "label_issues.csv" and len(sent[0].splitlines()) == fewer + 1
    view.close()


def test_what_is_drawn_around_in_the_map_becomes_a_slice(given) -> None:
    rng = np.random.default_rng(1)
    view = debug(**given, embeddings={"a": rng.normal(size=(200, 4)), "b": rng.normal(size=(200, 4))})
    assert view.wait()
    list(view.report.fill(["embedding"]))
    view._show("embedding")
    shown, points = view.map, view.report.embedding().points
    assert len(shown.plot.thumbnails["place"]) == 200 and shown.layer.options == ("a", "b")
    shown.plot._handle_custom_msg({"kind": "select", "x": [0, 99, 99, 0], "y": [-99, -99, 99, 99]}, [])
    rows = np.flatnonzero(points[:, 0] > 0)
    right = view.report.predictions.right
    assert shown.drawn.images.tolist() == rows.tolist() and f"{len(rows)} images" in shown.told.value
    assert shown.drawn.rate == pytest.approx((~right[rows]).mean())
    assert shown._images.children[0].frame["data"][1]["customdata"][0][0] == (
        f"test image {rows[np.argsort(right[rows], kind='stable')][0]}"  # a wrong one
    )
    shown.keep.click()
    assert "has no name" in shown.error.value and not view.report.kept_slices
    shown.name.value = "<i>right</i>"
    shown.keep.click()
    assert "&lt;i&gt;right" in shown.kept.value and view.report.kept_slices[0].name == "<i>right</i>"
    shown.layer.value = "a"
    assert shown.wait() and shown._found.layer == "a"
    shown.colour.value = "Right and wrong"
    assert shown.wait() and {each["name"] for each in shown.plot.frame["data"]} == {"right", "wrong"}
    for bad in ({"x": [1, 2], "y": [1, 2]}, {"x": [1, 2, 3], "y": [1, 2, "a"]}, {"x": None, "y": []}):
        shown.plot._handle_custom_msg({"kind": "select", **bad}, [])
    assert shown.drawn.images.tolist() == rows.tolist()
    view.close()


def test_what_a_report_has_is_there_at_once_and_stop_ends_it(given) -> None:
    made = report(**given)
    list(made.fill(["scores"]))
    view = debug(report=made)
    assert view.wait() and list(view.sections) == ["scores"]
    view._give_up()
    view._worker.submit(view._filled)
    assert view.wait() and list(view.sections) == ["scores"]
    view.close()


def test_the_doctor_is_asked_about_a_network_that_is_not_a_run(monkeypatch, small_data) -> None:
    finding = Finding(
        "rate_too_high", "The <rate> is too high.", Evidence("loss", 2.0, 1.0),
        Fix("divide it", (Change("recipe", "learning_rate", 1.0, 0.1),)),
    )  # fmt: skip
    said = Diagnosis((finding,), ("rate",), {"x": "y"})
    monkeypatch.setattr("reswork.widgets.debug_view.diagnose", lambda model, data: said)
    view = debug(rw.resnet(depth=8, width=2, in_channels=1, num_classes=3), small_data)
    assert view.wait()
    doctor = view.children[4]
    doctor.ask.click()
    assert doctor.wait() and not doctor.ask.disabled
    row, rest = doctor.found.children
    assert "The &lt;rate&gt; is too high." in row.children[0].value
    assert row.children[1].children[1].layout.display == "none"  # there is no run whose fix could be taken
    assert "1 rules could not be asked" in rest.value
    view.close()
