import threading

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


def test_what_a_person_changes_while_a_thread_offers_a_menu_is_announced(changes) -> None:
    form = Form(
        {
            "depth": Field("Depth", w.SelectionSlider, value=20, options=(8, 20)),
            "steps": Field("Steps", w.Text, read=number_or_none, write=text_of),
        },
        lambda: changes.append(form.values),
    )
    form.views("depth", "steps")
    steps = form.fields["steps"]
    announce, arrived = steps.changed, threading.Event()

    def announced() -> None:
        arrived.set()
        announce()

    def typed() -> None:
        steps.control.value = "7"

    steps.changed = announced
    person = threading.Thread(target=typed)

    def meanwhile(_change: object) -> None:
        person.start()
        assert arrived.wait(300)
        person.join(0.1)  # it may have to wait for the menu

    form.fields["depth"].control.observe(meanwhile, names="options")
    form.offer("depth", (29, 38), 29)
    person.join(300)
    assert changes == [{"depth": 29, "steps": 7}]


def test_who_goes_through_the_form_last_sees_all_of_it() -> None:
    seen: list[str] = []
    begun, goes_on = threading.Event(), threading.Event()

    def changed() -> None:
        name = form.values["name"]
        if not begun.is_set():  # the first one is slow
            begun.set()
            assert goes_on.wait(300)
        seen.append(name)

    form = Form({"name": Field("Name", w.Text, value="old")}, changed)
    control = form.fields["name"].control
    reader = threading.Thread(target=form.renew)
    reader.start()
    assert begun.wait(300)
    person = threading.Thread(target=lambda: setattr(control, "value", "new"))
    person.start()
    person.join(0.1)  # it may have to wait for the reader
    goes_on.set()
    reader.join(300)
    person.join(300)
    assert seen == ["old", "new"]


def test_what_a_thread_brings_while_the_control_is_made_is_kept() -> None:
    def made_slowly(**settings):
        thread.start()
        thread.join(0.3)  # it waits for the control; one that did not would be done by now
        return w.Combobox(**settings)

    def bring() -> None:
        field.offer(("a", "b"), "b")
        field.error = "no such run"

    field = Field("Run", made_slowly, options=(), ensure_option=False)
    thread = threading.Thread(target=bring)
    view = field.view
    thread.join(300)
    assert field.control.options == ("a", "b") and field.value == "b"
    assert "no such run" in view.children[1].value
