"""A table of costs written as CSV, from the page."""

from html import escape

import ipywidgets as w

from reswork.errors import InvalidSetting
from reswork.planning.plan import Plan
from reswork.planning.returns import Returns
from reswork.widgets.form import ErrorLine, button


class SheetSaver(w.VBox):
    """A box for a file's name and a button that writes the table there.

    Args:
        name: of the file, until somebody writes another one.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self._sheet: Plan | Returns | None = None
        self.path = w.Text(value=name, layout=w.Layout(width="190px"))
        self.path.tooltip = "A file ending with .csv"
        self.save = button("Save", "Write the table as CSV into this file", self._save)
        self.error, self.said = ErrorLine(), w.HTML()
        self.children = (w.HBox([self.path, self.save]), self.error, self.said)
        self.offer(None)

    def offer(self, sheet: Plan | Returns | None) -> None:
        """Let this table be saved; None: there is none."""
        self._sheet = sheet
        self.save.disabled = sheet is None
        self.said.value = ""
        self.error.tell("")

    def _save(self) -> None:
        assert self._sheet is not None
        self.said.value = ""
        try:
            path = self._sheet.save(self.path.value)
        except InvalidSetting as error:
            self.error.tell(error.message)
            return
        self.error.tell("")
        self.said.value = f'<span class="reswork-muted">Saved: {escape(str(path))}</span>'
