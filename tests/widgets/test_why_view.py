import threading

import numpy as np
import pytest
import torch

import reswork as rw
from reswork.widgets.debug_view import DebugView
from reswork.widgets.form import ErrorLine
from reswork.widgets.inspector import InspectorPanel
from reswork.widgets.why_view import WhyPlace, WhyView


@pytest.fixture(scope="module")
def data():
    return rw.datasets.digits().subset(60, 20)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return rw.resnet(depth=8, width=4, in_channels=1).eval()


def quick(model, data, index=3):
    return rw.why(model, data, index, methods=("grad_cam",), training_images=30)


def test_looks_appear_with_words_and_cost(model, data):
    view = rw.debug(quick(model, data))
    assert isinstance(view, WhyView) and view.wait()
    assert list(view.sections) == ["answer"] and "about 1 s" in view.said.value and not view.words.value
    assert view.stop.disabled
    view.why._lacks["maps"] = "it is not wanted here"
    view.begin.click()
    assert view.wait() and view.error.layout.display == "none"
    assert (
        list(view.sections)[:4] == ["answer", "flips", "neighbours", "turning"]
        and "carriers" in view.sections
    )
    assert "The answer" in view.words.value and "took" in view.said.value and not view.begin.disabled
    below = view.below
    view._click("train image 2")
    (inner,) = below.children
    assert isinstance(inner, WhyView) and inner.why.case.split == "train" and inner.why.case.index == 2
    inner._click("cell")
    inner._click("test image 5")
    (other,) = below.children
    assert other.why.case.index == 5
    assert inner.wait(300) and inner.comm is None
    view.close()
    assert view.comm is None and other.comm is None


def test_stop_ends_what_goes_on(model, data):
    view = WhyView(quick(model, data))
    assert view.wait()
    view.begin.click()
    view.stop.click()
    assert view.wait() and "maps" not in view.sections and view.stop.disabled
    view.close()


def test_a_click_on_an_image_of_a_report_opens_it(model, data):
    view = rw.debug(model, data)
    assert isinstance(view, DebugView) and view.wait()
    view._image("test image 4")
    (opened,) = view.why.children
    assert opened.why.case.index == 4
    view._image("something else")
    assert view.why.children == (opened,)
    view.close()
    assert opened.comm is None


def test_without_a_model_one_sentence_says_so(model, data):
    table = np.full((20, 10), 0.1, np.float32)
    view = rw.debug(probabilities=table, labels=data.test.labels.numpy(), images=data.test.images.numpy())
    view._image("test image 4")
    (line,) = view.why.children
    assert isinstance(line, ErrorLine) and "can only be asked of a model" in line.value
    view.close()


def test_the_inspector_asks_why_of_what_it_shows(model, data):
    panel = InspectorPanel(data)
    panel.look_at(model, "")
    panel.view.show()
    panel._index.value = 7
    panel._ask_why.click()
    (opened,) = panel.why.children
    assert opened.why.case.index == 7 and opened.why.answer().label is not None
    panel._sketch.show(np.zeros((1, 8, 8), np.uint8))
    panel._ask_why.click()
    assert panel.why.children[0].why.case.index is None and panel.why.children[0].why.answer().label is None
    panel.close()


def test_another_image_is_shown_at_once_however_long_the_first_one_computes(model, data):
    ends, begun = threading.Event(), threading.Event()

    class Slow(rw.Why):
        def fill(self, names=None):
            begun.set()
            assert ends.wait(300)
            yield from ()

    def made(index, split):
        case = quick(model, data, index).case
        return (Slow if index == 3 else rw.Why)(case, "net", ())

    place = WhyPlace(made)
    place.show(3, "test")
    (first,) = place.children
    assert begun.wait(300)
    place.show(4, "test")
    (second,) = place.children
    assert second.why.case.index == 4 and not first.wait(0) and first.comm is not None
    ends.set()
    assert first.wait(300) and first.comm is None
    place.close()
    assert second.comm is None
