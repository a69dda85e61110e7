"""The table of runs: search, sort, tick to draw over each other, notes, saving and deleting."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from html import escape

import ipywidgets as w

from reswork.errors import InvalidSetting
from reswork.experiment.seed_comparison import compare_seeds
from reswork.history import History
from reswork.store import SavedRun
from reswork.store.differences import compare_settings
from reswork.store.directory import RUN_FILE
from reswork.store.run_table import FALLING, RunRow, RunTable, matching, ordered
from reswork.store.seed_groups import seed_groups
from reswork.widgets.form import button, error_html
from reswork.widgets.parts import Part
from reswork.widgets.run_questions import DeleteQuestion, NoteEditor
from reswork.widgets.runs_export import RunsExport
from reswork.widgets.runs_table import RunsTable, sendable

SHOWN = 12  # rows on a page
HEADS = {
    "name": "run",
    "state": "state",
    "network": "network",
    "data": "data",
    "step": "step",
    "score": "score",
    "loss": "loss",
    "seed": "seed",
    "created": "begun",
    "note": "note",
}
Drawn = History | Sequence[History]


class RunsPanel:
    """The runs on disk, a page of rows at a time.

    Args:
        compare: called with name -> history of the ticked runs, whenever the ticks change; with the seeds taken
            together, name -> histories of a group.
        open_run: called with a saved run whose Show button was pressed.
    """

    def __init__(
        self,
        compare: Callable[[Mapping[str, Drawn]], None],
        open_run: Callable[[SavedRun], None],
    ) -> None:
        self._compare, self._open = compare, open_run
        self._lock = threading.RLock()
        self._source = RunTable()
        self._rows: list[RunRow] = []
        self._page = 0
        self._sort, self._falling = "created", True
        self._ticked: dict[str, SavedRun] = {}  # with their histories; in the order of ticking
        self._told = ""  # what went wrong
        self.view = Part(self._made, self.renew)
        self.view.add_class("reswork-note")

    def _made(self) -> list[w.Widget]:
        self.table = RunsTable(HEADS, self._act)
        self.note = NoteEditor(self.renew)
        self.delete = DeleteQuestion(self._deleted)
        self.export = RunsExport(lambda: list(self._ticked.values()))
        self._make_controls()
        actions = w.Box([self.seeds, self.untick, *self.export.buttons])
        actions.add_class("reswork-bar")
        return [
            w.HTML(
                "<b>Runs</b>: tick some to draw their curves over the present one and to see in which settings "
                "they differ. Score and loss are those on the test split; press a head to sort by it."
            ),
            w.HBox([self.search, self._found], layout=w.Layout(align_items="center")),
            *(self.table, self._pager, self._message, self.note.view, self.delete.view),
            *(actions, self.export.told, self._differences),
        ]

    @property
    def ticked(self) -> tuple[str, ...]:
        """Names of the ticked runs."""
        return tuple(self._ticked)

    @property
    def newest(self) -> SavedRun | None:
        """The newest run on disk."""
        self.renew()
        return self._rows[0].run if self._rows else None

    def renew(self) -> None:
        """Read what has changed on disk; search, order, page and ticks stay."""
        with self._lock:  # a person may press the button while a run's end brings the table up to date
            try:
                self._rows = self._source.read()
            except InvalidSetting as error:
                self._tell(error.message)
            gone = self._ticked.keys() - {sendable(row.run.name) for row in self._rows}
            for name in gone:
                del self._ticked[name]
            self._show_rows()
        if gone:
            self._ticks_changed()

    def sort_by(self, column: str) -> None:
        """Order the rows by a column; the same one again: the other way round."""
        with self._lock:
            again = column == self._sort
            self._falling = not self._falling if again else column in FALLING
            self._sort, self._page = column, 0
            self._show_rows()

    def tick(self, name: str, on: bool = True) -> None:
        """Tick a run, or take its tick away."""
        with self._lock:
            run = self._run(name)
            if on and run is not None:
                self._ticked[name] = replace(run)  # a copy, so that its history is freed with the tick
            else:
                self._ticked.pop(name, None)
            self._show_rows()
        self._ticks_changed()

    def show(self, name: str) -> None:
        """What the Show button of a row does."""
        run = self._run(name)
        if run is None or (run.unreadable is None and not (run.directory / RUN_FILE).is_file()):
            self.renew()
            self._tell(f"Run {name!r} is gone; it was deleted or moved.")
            return
        self._tell("")
        self._open(replace(run))

    def turn(self, pages: int) -> None:
        """Go to a later page of rows, or with a negative number to an earlier one."""
        with self._lock:
            self._page += pages
            self._show_rows()

    def _make_controls(self) -> None:
        self.search = w.Text(
            description="Search", placeholder="name, state, network, data, note ...", layout=w.Layout(width="340px"),
            style={"description_width": "48px"}, tooltip="Only rows in which all these words stand",
        )  # fmt: skip
        self.search.observe(lambda _change: self.turn(-self._page), names="value")  # to the first page
        self._found = w.HTML()
        self.before = button("Previous page", "Rows before these", lambda: self.turn(-1))
        self.after = button("Next page", "Rows after these", lambda: self.turn(1))
        self.again = button("Look again", "Read the folder of runs again", self.renew)
        self._pager = w.HBox([self.before, self.after, self.again])
        self.seeds = w.Checkbox(
            description="mean and band over seeds", indent=False, layout=w.Layout(width="auto"),
            tooltip="Draw ticked runs that differ only in their seed as one mean with a band",
        )  # fmt: skip
        self.seeds.observe(lambda _change: self._ticks_changed(), names="value")
        self.untick = button("Untick all", "Take all ticks away", self._untick)
        self._message, self._differences = w.HTML(self._told), w.HTML()

    def _show_rows(self) -> None:
        if not self.view.is_shown:
            return
        found = ordered(matching(self._rows, self.search.value), self._sort, falling=self._falling)
        pages = max(1, -(-len(found) // SHOWN))
        self._page = min(max(self._page, 0), pages - 1)
        first = self._page * SHOWN
        self.table.sort = [self._sort, self._falling]
        rows = []
        for row in found[first : first + SHOWN]:
            cells = {key: sendable(row.cells[key]) for key in HEADS}
            ticked = sendable(row.run.name) in self._ticked
            rows.append({"name": cells["name"], "ticked": ticked, "cells": cells})
        self.table.rows = rows
        self.before.disabled, self.after.disabled = self._page == 0, self._page == pages - 1
        self._found.value = f'<span class="reswork-muted">{_count(len(found), len(self._rows), first)}</span>'

    def _act(self, kind: str, name: str) -> None:
        """What a click in the table asks for."""
        if kind == "sort" and name in HEADS:
            self.sort_by(name)
        elif kind in ("tick", "untick"):
            self.tick(name, kind == "tick")
        elif kind == "show":
            self.show(name)
        elif (run := self._run(name)) is not None:
            self.note.close()
            self.delete.close()
            (self.note if kind == "note" else self.delete).ask(run)

    def _run(self, name: str) -> SavedRun | None:
        """The run that the page knows by this name."""
        return next((row.run for row in self._rows if sendable(row.run.name) == name), None)

    def _untick(self) -> None:
        with self._lock:
            self._ticked = {}
            self._show_rows()
        self._ticks_changed()

    def _deleted(self, name: str) -> None:
        self.renew()
        self._tell("")

    def _ticks_changed(self) -> None:
        ticked = list(self._ticked.values())
        groups = seed_groups(ticked) if self.view.is_made and self.seeds.value else {}
        drawn: dict[str, Drawn] = {}
        for name, runs in groups.items() if groups else ((run.name, [run]) for run in ticked):
            drawn[name] = [run.history for run in runs] if len(runs) > 1 else runs[0].history
        if self.view.is_made:
            self._differences.value = _differences(ticked) + _weighed(groups)
        self._compare(drawn)

    def _tell(self, message: str) -> None:
        self._told = error_html(sendable(message)) if message else ""
        if self.view.is_made:
            self._message.value = self._told


def _differences(runs: Sequence[SavedRun]) -> str:
    readable = [run for run in runs if run.unreadable is None]
    if len(readable) < 2:
        return ""
    table = sendable(compare_settings(readable)._repr_html_())
    return f'<b>Settings that differ</b><div class="reswork-wide">{table}</div>'


def _weighed(groups: Mapping[str, Sequence[SavedRun]]) -> str:
    """Whether two groups of seeds differ by more than their spread, in a sentence."""
    if len(groups) != 2:
        return ""
    (first, second), (one, other) = groups.keys(), groups.values()
    try:
        sentence = compare_seeds(one, other, names=(first, second)).sentence
    except InvalidSetting as error:
        sentence = error.message
    return f"<p>{escape(sendable(sentence))}</p>"


def _count(found: int, every: int, first: int) -> str:
    if not every:
        return "No runs yet."
    runs = "run" if every == 1 else "runs"
    which = f"{every:,} {runs}" if found == every else f"{found:,} of {every:,} {runs} found"
    return which if found <= SHOWN else f"{which}, {first + 1:,} to {min(first + SHOWN, found):,} shown"
