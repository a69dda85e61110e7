import ipywidgets as w
import pytest
from ipywidgets.widgets.widget import _instances

from reswork.widgets.form import Field, Form, error_html, number_or_none, text_of


@pytest.fixture
def changes() -> list[dict]:
    return []


@pytest.fixture
def form(changes):
    form = Form(
        {
            "depth": Field("Depth", w.IntSlider, value=20, max=100),
            "steps": Field("Steps", w.Text, read=number_or_none, write=text_of),
        },
        lambda: changes.append(form.values),
    )
    return form


def test_a_change_by_hand_is_announced_with_all_values(form, changes) -> None:
    form.fields["depth"].control.value = 32
    assert changes == [{"depth": 32, "steps": None}]


def test_setting_several_announces_once(form, changes) -> None:
    form.set(depth=44, steps=100)
    assert changes == [{"depth": 44, "steps": 100}]


def test_the_error_stands_under_its_field_and_goes_away(form) -> None:
    form.views("depth", "steps")
    form.show_error("steps", "steps=0 is too small", otherwise="depth")
    assert form.fields["steps"].error == "steps=0 is too small"
    assert form.fields["steps"].view.children[1].layout.display is None
    form.show_error("unknown", "something else", otherwise="depth")
    assert (form.fields["depth"].error, form.fields["steps"].error) == ("something else", "")
    form.clear_errors()
    assert form.fields["depth"].view.children[1].layout.display == "none"


def test_a_field_keeps_value_choices_and_error_before_anybody_looks_at_it(changes) -> None:
    field = Field("Depth", w.SelectionSlider, "How deep", value=20, options=(8, 20))
    field.changed = lambda: changes.append({"depth": field.value})
    before = len(_instances)
    field.value = 20
    field.offer((29, 38), 29)
    field.value = 38
    field.error = "too deep"
    assert (field.value, field.options, field.error, changes) == (38, (29, 38), "too deep", [{"depth": 38}])
    assert len(_instances) == before
    assert "too deep" in field.view.children[1].value
    assert (field.control.value, field.control.options, field.control.description) == (38, (29, 38), "Depth")
    field.control.value = 29
    assert field.value == 29 and changes[-1] == {"depth": 29}


def test_a_slider_has_room_for_a_value_that_code_gave() -> None:
    field = Field("Cutout", w.IntSlider, value=0, min=0, max=24)
    field.value = 40
    assert field.control.value == field.value == 40


def test_error_text_is_escaped() -> None:
    assert "<img" not in error_html("<img src=x onerror=alert(1)>")


@pytest.mark.parametrize(
    ("text", "value"), [("", None), (" 20 ", 20), ("0.5", 0.5), ("1e-4", 1e-4), ("twenty", "twenty")]
)
def test_numbers_are_read_and_anything_else_is_kept_for_the_error(text: str, value: object) -> None:
    assert number_or_none(text) == value
    assert number_or_none(text_of(value)) == value
