"""Buttons that save the ticked runs as a page or as CSV, say where, and offer the file for download."""

from collections.abc import Callable
from datetime import datetime
from html import escape
from pathlib import Path

import ipywidgets as w

from reswork.errors import InvalidSetting
from reswork.store import SavedRun
from reswork.widgets.download import Download
from reswork.widgets.form import button, error_html
from reswork.widgets.refresh import in_background
from reswork.widgets.runs_table import sendable


class RunsExport:
    """Saves runs beside their folders.

    Args:
        chosen: gives the runs to save.
    """

    def __init__(self, chosen: Callable[[], list[SavedRun]]) -> None:
        self._chosen = chosen
        self.page = button(
            "Save as page", "One HTML file with everything, to open or to hand on", lambda: self.save(".html")
        )
        self.csv = button(
            "Save as CSV", "Every recorded number of the ticked runs as a table", lambda: self.save(".csv")
        )
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
            shown = escape(sendable(str(path.resolve()))).replace(
                "$", "<span>$</span>"
            )  # a bare $ starts a formula
            self._words.value = f"Saved as <code>{shown}</code>"
            self._download.offer(path)
        finally:
            self._enable(True)

    def _enable(self, on: bool) -> None:
        self.page.disabled = self.csv.disabled = not on


def file_beside(runs: list[SavedRun], ending: str) -> Path:
    """Where runs are saved: beside the first one's folder, under its name or, for several, the time."""
    name = runs[0].name if len(runs) == 1 else f"{len(runs)} runs {datetime.now():%Y-%m-%d_%H-%M-%S}"
    return runs[0].directory.parent / f"{name}{ending}"
