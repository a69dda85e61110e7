import pytest

import reswork as rw
from reswork.errors import InvalidSetting


@pytest.fixture
def view():
    made = rw.microscope(depth=8, width=2)
    yield made
    made.close()


def test_a_slider_looks_anew_and_the_forecast_turns(view):
    assert view.wait(300) and view.found.stream.shape == (3,)
    assert "This should train" in view.told.value and "right for" in view.told.value
    view.keep.click()
    view.form.set(block="plain", depth=56, norm="none")
    assert view.wait(300) and view.found.stream.shape == (27,)
    assert "This will not train" in view.told.value
    signal = view.figures["Signal by block"]
    assert [trace["name"] for trace in signal.frame["data"]] == [
        "stream", "branch F(x)", "stream, before", "branch F(x), before"
    ]  # fmt: skip


def test_what_makes_no_network_is_said_under_its_control(view):
    view.wait(300)
    view.form.set(norm="batch", residual_scaling="Fixup")
    assert "replaces norms" in view.form.fields["residual_scaling"].error
    view.form.set(norm="none")
    assert not view.form.fields["residual_scaling"].error and view.wait(300)


@pytest.mark.parametrize("settings", [{"colour": 1}, {"depth": 21}, {"norm": "layer"}])
def test_a_control_that_there_is_not_is_named(settings):
    with pytest.raises(InvalidSetting, match="choose"):
        rw.microscope(**settings)
