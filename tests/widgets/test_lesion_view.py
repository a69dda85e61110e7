import pytest
import torch

import reswork as rw
from reswork.surgery import Delete, operated
from reswork.widgets.lesion_view import LesionView


@pytest.fixture
def view():
    torch.manual_seed(0)
    model = rw.resnet(depth=14, width=4, in_channels=1).eval()
    made = LesionView(model, rw.datasets.digits().subset(test=60))
    yield made
    made.close()


def error_by_hand(view, *names):
    data = view._data
    images = rw.datasets.normalise(data.test.images, data.mean, data.std)
    model = operated(view._model, [Delete(name) for name in names])
    with torch.no_grad():
        return float((model(images).argmax(1) != data.test.labels).double().mean())


def test_a_click_deletes_a_block_and_another_puts_it_back(view):
    assert view.wait(300) and view.errors == pytest.approx((error_by_hand(view),) * 2)
    whole = view.drawing.frame
    view.click("layer1.0")
    view.click("layer3.1")
    assert view.wait(300) and view.deleted == ("layer1.0", "layer3.1")
    assert view.errors == pytest.approx((error_by_hand(view), error_by_hand(view, "layer1.0", "layer3.1")))
    assert "layer3.1" in view.told.value and view.drawing.frame != whole
    view.click("layer1.0")
    view.click("conv1")  # no block
    assert view.wait(300) and view.deleted == ("layer3.1",)
    view.back.click()
    assert view.wait(300) and view.deleted == () and view.errors[0] == view.errors[1]
