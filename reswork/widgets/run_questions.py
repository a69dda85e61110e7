"""What is asked under the table of runs: a note's text, and whether a run shall really be deleted."""

from collections.abc import Callable
from html import escape

import ipywidgets as w

from reswork.errors import InvalidSetting
from reswork.figures.text import shortened
from reswork.store import SavedRun
from reswork.store.notes import LONGEST_NOTE
from reswork.widgets.form import button, error_html
from reswork.widgets.parts import Part
from reswork.widgets.runs_table import sendable


class NoteEditor:
    """A box for the note on one run; hidden while nobody writes.

    Args:
        kept: called after a note was written.
    """

    def __init__(self, kept: Callable[[], None]) -> None:
        self._kept = kept
        self.run: SavedRun | None = None
        self.view = Part(self._made, self._draw)

    def _made(self) -> list[w.Widget]:
        self.text = w.Textarea(
            rows=4, layout=w.Layout(width="100%"), tooltip="Your own words; kept in the run's folder",
            placeholder="What you tried, what you saw, what comes next",
        )  # fmt: skip
        self._title, self._error = w.HTML(), w.HTML()
        self.keep = button("Keep note", "Write it into the run's folder", self._keep, "primary")
        self.leave = button("Cancel", "The note stays as it was", self.close)
        return [self._title, self.text, self._error, w.HBox([self.keep, self.leave])]

    def ask(self, run: SavedRun) -> None:
        """Show the note on this run, to be changed."""
        self.run = run
        self.view.show()

    def _draw(self) -> None:
        run = self.run
        if run is None:
            return
        self._title.value = f"<b>Note on {_name(run)}</b>"
        self._error.value = ""
        try:
            self.text.value = run.note
        except InvalidSetting as error:
            self.text.value = ""
            self._error.value = error_html(sendable(error.message))

    def close(self) -> None:
        """Hide the box; what was not kept is forgotten."""
        self.run = None
        self.view.hide()

    def _keep(self) -> None:
        if self.run is None:
            return
        try:
            self.run.write_note(self.text.value[: LONGEST_NOTE + 1])
        except InvalidSetting as error:
            self._error.value = error_html(sendable(error.message))
            return
        self.close()
        self._kept()


class DeleteQuestion:
    """The second question before a run is deleted; hidden while nothing is asked.

    Args:
        deleted: called with the run's name after it was deleted.
    """

    def __init__(self, deleted: Callable[[str], None]) -> None:
        self._deleted = deleted
        self.run: SavedRun | None = None
        self._told = w.HTML()
        self._question = Part(self._made, self._draw)
        self.view = w.VBox([self._question, self._told])

    def _made(self) -> list[w.Widget]:
        self._words = w.HTML()
        self.sure = button("", "The run's folder is removed", self._delete, "danger")
        self.leave = button("Cancel", "The run stays", self.close)
        return [self._words, w.HBox([self.sure, self.leave])]

    def ask(self, run: SavedRun) -> None:
        """Ask about this run."""
        self.run = run
        self._told.value = ""
        self._question.show()

    def _draw(self) -> None:
        if self.run is not None:
            told = f"Delete <b>{_name(self.run)}</b> from disk, with its curves, weights and note?"
            self._words.value = f"{told} It cannot be undone."
            self.sure.description = f"Really delete {shortened(sendable(self.run.name), 60)}"

    def close(self) -> None:
        """Ask no more."""
        self.run = None
        self._question.hide()

    def _delete(self) -> None:
        run = self.run
        self.close()
        if run is None:
            return
        try:
            left = run.delete()
        except InvalidSetting as error:
            self._told.value = error_html(sendable(error.message))
            return
        stays = (
            f" Its folder stays, with what is no part of a run: {escape(sendable(', '.join(left[:5])))}."
            if left
            else ""
        )
        self._told.value = f'<span class="reswork-muted">{_name(run)} was deleted.{stays}</span>'
        self._deleted(run.name)


def _name(run: SavedRun) -> str:
    """Escaped; a dollar in an element of its own starts no formula."""
    return escape(sendable(run.name)).replace("$", "<span>$</span>")
