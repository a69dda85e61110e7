"""Labelled controls with the error sentence under the control that caused it."""

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from html import escape
from typing import Any

import ipywidgets as w

from reswork.errors import InvalidSetting

LABEL_WIDTH = "128px"


class Field:
    """One setting: a label, its control, and room for one error sentence beneath.

    The value is here from the beginning, the control from when somebody first looks at the field: while it is made, a
    thread that brings other options or an error waits, for they would be lost.

    Args:
        label: what a person reads.
        kind: class of the control, an ipywidget with a ``value``.
        tip: one sentence that says what the setting does; shown on hovering, and read aloud.
        value: what the control shows at first.
        read: turns the control's value into the setting's value.
        write: the other way round.
        settings: for the control, such as ``options`` or ``placeholder``.
    """

    def __init__(
        self,
        label: str,
        kind: Callable[..., Any],
        tip: str = "",
        *,
        value: Any = "",
        read: Callable[[Any], Any] = lambda value: value,
        write: Callable[[Any], Any] = lambda value: value,
        **settings: Any,
    ) -> None:
        self.changed: Callable[[], None] = lambda: (
            None
        )  # called after a person or a program changed the value
        self._kind, self._raw = kind, value
        self._read, self._write = read, write
        self._settings: dict[str, Any] = {
            "description": label,
            "tooltip": tip,
            "style": {"description_width": LABEL_WIDTH},
            "layout": {"width": "100%"},
        } | settings
        self._message = ""
        self._fits = True
        self._error: ErrorLine | None = None  # made with the first error: most fields never have one
        self._control: Any = None
        self._view: w.VBox | None = None
        self._making = threading.RLock()

    @property
    def label(self) -> str:
        """What a person reads."""
        return str(self._settings["description"])

    @property
    def control(self) -> Any:
        """The widget that a person changes."""
        with self._making:
            if self._control is None:
                if "max" in self._settings:  # a value that code gave is not cut
                    self._settings["max"] = max(self._settings["max"], self._raw)
                self._control = self._kind(value=self._raw, **self._settings)
                self._control.observe(lambda _change: self.changed(), names="value")
            return self._control

    @property
    def view(self) -> w.VBox:
        """Control and error sentence."""
        with self._making:
            if self._view is None:
                self._view = w.VBox([self.control], layout=w.Layout(width="100%", overflow="hidden"))
                self._show_error(self._view)
                self._view.layout.display = None if self._fits else "none"
            return self._view

    @property
    def fits(self) -> bool:
        """Whether the setting means anything for the present data; where not, the field is not on the page."""
        return self._fits

    @fits.setter
    def fits(self, fits: bool) -> None:
        with self._making:
            self._fits = fits
            if self._view is not None:
                self._view.layout.display = None if fits else "none"

    @property
    def value(self) -> Any:
        """The setting's value as code spells it."""
        control = self._control
        return self._read(self._raw if control is None else control.value)

    @value.setter
    def value(self, value: Any) -> None:
        raw = self._write(value)
        with self._making:
            control, other = self._control, raw != self._raw
            if control is None:
                self._raw = raw
        if control is not None:
            control.value = raw
        elif other:
            self.changed()

    @property
    def options(self) -> tuple[Any, ...]:
        """What a menu or slider has to choose from."""
        control = self._control
        return tuple(self._settings["options"] if control is None else control.options)

    def offer(self, options: tuple[Any, ...], value: Any) -> None:
        """Give a menu or slider other options."""
        with self._making:
            control = self._control
            if control is None:
                self._settings["options"], self._raw = options, value
                return
        with control.hold_sync():
            if self.options != options:
                control.options = options  # this chooses the first one
            control.value = value

    @property
    def error(self) -> str:
        """The sentence that stands under the control; empty when all is well."""
        return self._message

    @error.setter
    def error(self, message: str) -> None:
        with self._making:
            self._message = message
            if self._view is not None:
                self._show_error(self._view)

    def _show_error(self, view: w.VBox) -> None:
        if self._error is None:
            if not self._message:
                return
            self._error = ErrorLine()
            self._error.layout.margin = f"0 0 4px {LABEL_WIDTH}"
            view.children = (self.control, self._error)
        self._error.tell(self._message)


def menu_field(label: str, tip: str, *options: Any, **settings: Any) -> Field:
    """A menu; an option is a value, or ``(words, value)``, whose value may be None.

    ipywidgets takes the value None for "nothing chosen" and shows an empty menu; so the menu holds the words
    alone, and the values stand beside it.
    """
    pairs = [option if isinstance(option, tuple) else (str(option), option) for option in options]
    values: dict[str, Any] = dict(pairs)
    words = {value: word for word, value in pairs}
    menu = {"kind": w.Dropdown, "options": tuple(values), "value": pairs[0][0]}
    return Field(label, tip=tip, read=values.__getitem__, write=words.__getitem__, **(menu | settings))


class Form:
    """Fields by the name of their setting.

    ``changed`` reads the whole form. So a person's change waits while a thread sets other fields or goes through the
    form, as after a data set was read in the background: the last one sees all of them.

    Args:
        fields: setting name -> field, in the order in which they are shown.
        changed: called with no argument after a person or a program changed any field.
    """

    def __init__(self, fields: Mapping[str, Field], changed: Callable[[], None]) -> None:
        self.fields = dict(fields)
        self._changed = changed
        self._lock = threading.RLock()
        self._is_setting = False  # whether who holds the lock sets fields
        for field in self.fields.values():
            field.changed = self._on_change

    def _on_change(self) -> None:
        with self._lock:
            if not self._is_setting:
                self._changed()

    def renew(self) -> None:
        """Go through the form once more, after something else has changed than a field."""
        self._on_change()

    @contextmanager
    def _setting(self) -> Iterator[None]:
        with self._lock:
            self._is_setting = True
            try:
                yield
            finally:
                self._is_setting = False

    @property
    def values(self) -> dict[str, Any]:
        """Every setting's value."""
        return {name: field.value for name, field in self.fields.items()}

    def set(self, **values: Any) -> None:
        """Set several at once; ``changed`` is called a single time."""
        with self._setting():
            for name, value in values.items():
                self.fields[name].value = value
        self.renew()

    def offer(self, name: str, options: tuple[Any, ...], value: Any) -> None:
        """Give a menu or slider other options without calling ``changed``."""
        with self._setting():
            self.fields[name].offer(options, value)

    def show_error(self, field: str | None, message: str, otherwise: str) -> None:
        """Put ``message`` under ``field``, or under the field ``otherwise`` when the form has no such field."""
        self.clear_errors()
        self.fields[field if field and field in self.fields else otherwise].error = message

    def clear_errors(self) -> None:
        """Take all error sentences away."""
        for field in self.fields.values():
            if field.error:
                field.error = ""

    def views(self, *names: str) -> list[w.VBox]:
        """The widgets of some fields, to be laid out."""
        return [self.fields[name].view for name in names]


def button(label: str, tip: str, act: Callable[[], object], style: str = "") -> w.Button:
    """A button as wide as its words; ``act`` is called without arguments when it is pressed."""
    made = w.Button(description=label, tooltip=tip, button_style=style, layout=w.Layout(width="auto"))
    made.on_click(lambda _button: act())
    return made


class ErrorLine(w.HTML):
    """A line that is there only while something went wrong."""

    def __init__(self) -> None:
        super().__init__(layout=w.Layout(display="none"))

    def tell(self, message: str) -> None:
        """Show one error sentence; ``""`` takes it away."""
        self.value = error_html(message) if message else ""
        self.layout.display = None if message else "none"


def error_html(message: str) -> str:
    """One error sentence as it is shown everywhere; the message is escaped."""
    return f'<div class="reswork-error" role="alert">{escape(message)}</div>'


def number_or_none(text: str) -> Any:
    """Read a text box in which nothing means automatic: ``""`` -> None, ``"20"`` -> 20, anything else as it is."""
    text = text.strip()
    if not text:
        return None
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def text_of(value: Any) -> str:
    """The other way round: None -> ``""``."""
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def listed(text: str) -> tuple[str, ...]:
    """Read what stands between commas: ``"layer1, fc[2, 3]"`` -> ``("layer1", "fc[2, 3]")``."""
    return tuple(part.strip() for part in re.split(r",(?![^\[]*\])", text) if part.strip())


def listed_numbers(text: str) -> tuple[Any, ...]:
    """The same for numbers; what is none stays a text, for the setting's own check to name."""
    return tuple(number_or_none(part) for part in listed(text))


def picture_numbers(text: str) -> tuple[int, ...]:
    """Read the numbers of one to six pictures.

    Raises:
        InvalidSetting: if they are fewer, more, or no whole numbers.
    """
    numbers = listed_numbers(text)
    if not 1 <= len(numbers) <= 6 or not all(isinstance(number, int) for number in numbers):
        raise InvalidSetting("pictures", f"{text!r} are no pictures; give one to six whole numbers")
    return numbers


def layer_numbers(text: str) -> Any:
    """Read numbers by layer name: ``"layer1: 0.1, fc: 10"`` -> ``{"layer1": 0.1, "fc": 10}``."""
    pairs = [part.partition(":") for part in listed(text)]
    return {name.strip(): number_or_none(value) for name, _, value in pairs}


def text_of_layer_numbers(values: Mapping[str, float]) -> str:
    """The other way round."""
    return ", ".join(f"{name}: {value:g}" for name, value in values.items())
