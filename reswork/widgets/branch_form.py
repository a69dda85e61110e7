"""The form for a branch: what shall be different from here on."""

from collections.abc import Callable
from html import escape
from typing import Any

import ipywidgets as w

from reswork.models.config import ResNetConfig
from reswork.widgets.form import Field, Form, button, number_or_none, text_of
from reswork.widgets.parts import Part

_NONE = "none"


class BranchForm:
    """Learning rate, epochs, a shortcut or a block's branch to switch off, and the button.

    Args:
        branch: called when the button is pressed.

    Attributes:
        view: the widget.
    """

    def __init__(self, branch: Callable[[], None]) -> None:
        self.form = Form(
            {
                "learning_rate": _number("Learning rate", "The peak of the schedule from here on."),
                "epochs": _number(
                    "Epochs in all", "Passes over the data, those before the branch among them."
                ),
                "weight_decay": _number("Weight decay", "Pull of the weights towards zero."),
                "shortcuts_off": _block("Shortcut off", "This block loses its shortcut."),
                "branches_off": _block("Branch off", "Of this block only the shortcut is left."),
            },
            lambda: None,
        )
        self._place = ""
        self._branch = branch
        self.view = Part(self._made, self._draw)
        self.view.layout.align_items = "flex-start"
        self.show_place("", None)

    def _made(self) -> list[w.Widget]:
        self._told = w.HTML()
        self.button = button(
            "Branch here", "Train a new run from the weights of the moment that the slider shows",
            self._branch, "primary",
        )  # fmt: skip
        fields = w.VBox(self.form.views(*self.form.fields), layout=w.Layout(width="420px", max_width="100%"))
        return [self._told, fields, self.button]

    def show_place(self, name: str, step: int | None) -> None:
        """Say from which run and step the new run would begin; None: no moment is chosen yet."""
        if step is None:
            self._place = "Move the slider <i>Look back</i> to the moment from which the new run shall begin."
        else:
            self._place = (
                f"The new run begins with the weights of <b>{escape(name)}</b> at <b>step {step:,}</b>. What you leave "
                "empty stays as it was there."
            )
        if self.view.is_shown:
            self._draw()

    def _draw(self) -> None:
        self._told.value = self._place

    def offer(self, config: ResNetConfig | None) -> None:
        """The blocks of a network to choose from; none where it was not built here."""
        names = () if config is None else config.block_names
        for field in ("shortcuts_off", "branches_off"):
            self.form.offer(field, (_NONE, *names), _NONE)

    def clear(self) -> None:
        """Everything as in the run that it branches off."""
        self.form.set(
            learning_rate=None, epochs=None, weight_decay=None, shortcuts_off=_NONE, branches_off=_NONE
        )

    def changes(self, config: ResNetConfig | None) -> tuple[dict[str, Any], dict[str, Any]]:
        """Settings of the recipe and of the network that a person wants changed."""
        values = self.form.values
        recipe = {
            name: values[name]
            for name in ("learning_rate", "epochs", "weight_decay")
            if values[name] is not None
        }
        network = {}
        for name in ("shortcuts_off", "branches_off"):
            if values[name] != _NONE:
                before = () if config is None else getattr(config, name)
                network[name] = (*before, *(each for each in (values[name],) if each not in before))
        return recipe, network


def _number(label: str, tip: str) -> Field:
    how = {"read": number_or_none, "write": text_of}
    return Field(label, w.Text, tip, placeholder="as before", continuous_update=False, **how)


def _block(label: str, tip: str) -> Field:
    return Field(label, w.Dropdown, tip, options=(_NONE,), value=_NONE)
