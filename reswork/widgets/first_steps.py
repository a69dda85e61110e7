"""What a person who sees the workbench for the first time is told, until one click takes it away for good."""

import contextlib
from collections.abc import Callable

import ipywidgets as w

from reswork.places import config_root

_WORDS = (
    "<b>First steps.</b> Press <b>Start</b>: the network below trains on small pictures, and its curves appear within "
    "seconds; everything else can be looked at meanwhile, and <b>Stop</b> keeps what it learned. Then change the "
    "depth, press Start again, and tick both runs in the table under the curves to see them over each other."
)


class FirstSteps(w.HBox):
    """Three sentences and the button that takes them away; a small file remembers that.

    Args:
        dismissed: called when it shall leave the page.
    """

    def __init__(self, dismissed: Callable[[], None]) -> None:
        self._dismissed = dismissed
        self.button = w.Button(
            description="Got it",
            tooltip="Never show this again; rw.Workbench(first_steps=True) brings it back",
            layout=w.Layout(width="auto", flex="0 0 auto"),
        )
        self.button.on_click(lambda _button: self._dismiss())
        super().__init__([w.HTML(_WORDS, layout=w.Layout(flex="1 1 auto")), self.button])
        self.add_class("reswork-first-steps")

    def _dismiss(self) -> None:
        note = config_root() / "first_steps_seen"
        with contextlib.suppress(OSError):  # a home that cannot be written: it is shown again next time
            note.parent.mkdir(parents=True, exist_ok=True)
            note.touch()
        self._dismissed()


def first_steps_seen() -> bool:
    """Whether somebody has taken the first steps away on this machine."""
    return (config_root() / "first_steps_seen").exists()
