"""Buttons that save the ticked runs as a page or as CSV, say where, and offer the file for download."""

from collections.abc import Callable
from datetime import datetime
from html import escape
from pathlib import Path

import ipywidgets as w

from reswork.errors import InvalidSetting
from reswork.store import SavedRun
from reswork.widgets.download import Download
from reswork.widgets.form import error_html
from reswork.widgets.refresh import in_background
from reswork.widgets.runs_table import sendable


class RunsExport:
    """Saves runs beside their folders.

    Args:
        chosen: gives the runs to save.
    """

    def __init__(self, chosen: Callable[[], list[SavedRun]]) -> None:
        self._chosen = chosen
        self.page = self._button(
            "Save as page", ".html", "One HTML file with everything, to open or to hand on"
        )
        self.csv = self._button("Save as CSV", ".csv", "Every recorded number of the ticked runs as a table")
        self._words, self._download = w.HTML(), Download()
        self.buttons = (self.page, self.csv)
        self.told = w.VBox([self._words, self._download])

    def save(self, ending: str) -> None:
        """Write the file; returns at once, and says when it is done."""
        runs = self._chosen()
        if not runs:
            self._words.value = error_html("Tick the runs that shall be saved, then press again.")
            return
        self._enable(False)
        self._words.value = '<span class="reswork-muted">Saving ...</span>'
        in_background(lambda: self._save(runs, ending))

    def _save(self, runs: list[SavedRun], ending: str) -> None:
        from reswork.store.export import export

        try:
            path = export(runs, file_beside(runs, ending))
        except InvalidSetting as error:
            self._words.value = error_html(sendable(error.message))
        else:
            self._words.value = f"Saved as <code>{_shown(path)}</code>"
            self._download.offer(path)
        finally:
            self._enable(True)

    def _enable(self, on: bool) -> None:
        self.page.disabled = self.csv.disabled = not on

    def _button(self, label: str, ending: str, tip: str) -> w.Button:
        made = w.Button(description=label, tooltip=tip, layout=w.Layout(width="auto"))
        made.on_click(lambda _button: self.save(ending))
        return made


def file_beside(runs: list[SavedRun], ending: str) -> Path:
    """Where runs are saved: beside the first one's folder, under its name or, for several, the time."""
    name = runs[0].name if len(runs) == 1 else f"{len(runs)} runs {datetime.now():%Y-%m-%d_%H-%M-%S}"
    return runs[0].directory.parent / f"{name}{ending}"


def _shown(path: Path) -> str:
    """The whole path, escaped; a dollar in an element of its own starts no formula."""
    return escape(sendable(str(path.resolve()))).replace("$", "<span>$</span>")
