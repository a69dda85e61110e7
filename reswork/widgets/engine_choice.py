"""Where a training computes: in this kernel, in a process of its own, or in several."""

import os
from typing import Any

import ipywidgets as w
import torch

from reswork.datasets import Dataset
from reswork.errors import InvalidSetting
from reswork.experiment.processes import check_engine, resume_in_process
from reswork.store import SavedRun
from reswork.training.live_run import LiveRun
from reswork.widgets.form import Field, Form, menu_field
from reswork.widgets.parts import Part

WORDS: dict[str, dict[str, Any]] = {
    "this kernel": {"engine": "thread"},
    "a process of its own, which stops with the kernel": {"engine": "process", "when_kernel_ends": "stop"},
    "a process of its own, which goes on without the kernel": {
        "engine": "process",
        "when_kernel_ends": "go_on",
    },
    "several processes, which stop with the kernel": {"engine": "torchrun", "when_kernel_ends": "stop"},
}
EXPLANATIONS = (
    "Starts at once. When the kernel is restarted, the training ends.",
    "Starts after some seconds, and has its own memory. When the kernel ends, it saves what it learned and stops.",
    "Starts after some seconds, and has its own memory. When the kernel is restarted, it trains on; a workbench that "
    "is opened then takes it up.",
    "Starts after ten seconds or so. Each process computes its part of every batch: worth it with several GPUs, or "
    "many cores and a large network. When the kernel ends, they save what they learned and stop.",
)


class EngineChoice:
    """A menu of what works on this machine, a number of processes, and a line about what is chosen.

    Attributes:
        view: the widget.
        form: its fields, ``engine`` and ``ranks``.
    """

    def __init__(self) -> None:
        wide = {"width": "100%", "max_width": "560px"}
        self.menu = menu_field(
            "Trains in", "Where the next training computes; plots and buttons stay",
            *(words for words, settings in WORDS.items() if _works_here(settings["engine"])), layout=wide,
        )  # fmt: skip
        self.ranks = Field(
            "Processes", w.BoundedIntText, "How many share every batch: one for each GPU, or for some cores each",
            value=max(2, torch.cuda.device_count()), min=2, max=64, layout=wide,
        )  # fmt: skip
        self.form = Form({"engine": self.menu, "ranks": self.ranks}, self._explain)
        self.view = Part(self._made, self._explain)
        self.view.add_class("reswork-note")

    @property
    def settings(self) -> dict[str, Any]:
        """Arguments for `train`."""
        chosen = WORDS[self.menu.value]
        return {**chosen, "ranks": self.ranks.value} if chosen["engine"] == "torchrun" else chosen

    def resume(self, saved: SavedRun, data: Dataset | None) -> LiveRun:
        """Go on with a run from disk where it is chosen; a network that was not built here goes on in this kernel."""
        if self.settings["engine"] == "thread" or saved.config is None:
            return saved.resume(data=data)
        return resume_in_process(saved, data=data, **self.settings)

    def _made(self) -> list[w.Widget]:
        self._line = w.HTML()
        return [*self.form.views("engine", "ranks"), self._line]

    def _explain(self) -> None:
        if self.view.is_shown:
            self.form.clear_errors()
            self.ranks.view.layout.display = None if "ranks" in self.settings else "none"
            line = EXPLANATIONS[list(WORDS).index(self.menu.value)]
            self._line.value = f'<span class="reswork-muted">{line}</span>'


def _works_here(engine: str) -> bool:
    if engine == "torchrun" and max(os.cpu_count() or 1, torch.cuda.device_count()) < 2:
        return False  # two processes would only share one core
    try:
        check_engine(engine)
    except InvalidSetting:
        return False
    return True
