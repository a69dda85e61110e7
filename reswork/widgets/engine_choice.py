"""Where a training computes: in this kernel, or in a process of its own."""

from typing import Any

import ipywidgets as w

from reswork.datasets import Dataset
from reswork.experiment.processes import resume_in_process
from reswork.store import SavedRun
from reswork.training.live_run import LiveRun
from reswork.widgets.form import menu_field
from reswork.widgets.parts import Part

WORDS: dict[str, dict[str, Any]] = {
    "this kernel": {"engine": "thread"},
    "a process of its own, which stops with the kernel": {"engine": "process", "when_kernel_ends": "stop"},
    "a process of its own, which goes on without the kernel": {
        "engine": "process",
        "when_kernel_ends": "go_on",
    },
}
EXPLANATIONS = (
    "Starts at once. When the kernel is restarted, the training ends.",
    "Starts after some seconds, and has its own memory. When the kernel ends, it saves what it learned and stops.",
    "Starts after some seconds, and has its own memory. When the kernel is restarted, it trains on; a workbench that "
    "is opened then takes it up.",
)


class EngineChoice:
    """A menu, and a line about what is chosen.

    Attributes:
        view: the widget.
    """

    def __init__(self) -> None:
        self.menu = menu_field(
            "Trains in", "Where the next training computes; plots and buttons stay", *WORDS,
            layout={"width": "100%", "max_width": "560px"},
        )  # fmt: skip
        self.menu.changed = self._explain
        self.view = Part(self._made, self._explain)
        self.view.add_class("reswork-note")

    @property
    def settings(self) -> dict[str, Any]:
        """Arguments for `train`."""
        return WORDS[self.menu.value]

    def resume(self, saved: SavedRun, data: Dataset | None) -> LiveRun:
        """Go on with a run from disk where it is chosen; a network that was not built here goes on in this kernel."""
        if self.settings["engine"] == "thread" or saved.config is None:
            return saved.resume(data=data)
        return resume_in_process(saved, data=data, when_kernel_ends=self.settings["when_kernel_ends"])

    def _made(self) -> list[w.Widget]:
        self._line = w.HTML()
        return [self.menu.view, self._line]

    def _explain(self) -> None:
        if self.view.is_shown:
            line = EXPLANATIONS[list(WORDS).index(self.menu.value)]
            self._line.value = f'<span class="reswork-muted">{line}</span>'
