import ipywidgets as w
import pytest

from reswork.widgets.form import Field, Form, error_html, number_or_none, text_of


@pytest.fixture
def changes() -> list[dict]:
    return []


@pytest.fixture
def form(changes):
    form = Form(
        {
            "depth": Field("Depth", w.IntSlider(value=20, max=100)),
            "steps": Field("Steps", w.Text(), read=number_or_none, write=text_of),
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
    form.show_error("steps", "steps=0 is too small", otherwise="depth")
    assert form.fields["steps"].error == "steps=0 is too small"
    assert form.fields["steps"].view.children[1].layout.display is None
    form.show_error("unknown", "something else", otherwise="depth")
    assert (form.fields["depth"].error, form.fields["steps"].error) == ("something else", "")
    form.clear_errors()
    assert form.fields["depth"].view.children[1].layout.display == "none"


def test_error_text_is_escaped() -> None:
    assert "<img" not in error_html("<img src=x onerror=alert(1)>")


@pytest.mark.parametrize(
    ("text", "value"), [("", None), (" 20 ", 20), ("0.5", 0.5), ("1e-4", 1e-4), ("twenty", "twenty")]
)
def test_numbers_are_read_and_anything_else_is_kept_for_the_error(text: str, value: object) -> None:
    assert number_or_none(text) == value
    assert number_or_none(text_of(value)) == value
