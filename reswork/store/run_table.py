"""The table of runs: rows with words and numbers, searched, sorted, and read again only where files changed."""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from reswork.errors import InvalidSetting
from reswork.store.directory import RUN_FILE, runs_folder
from reswork.store.notes import NOTE_FILE
from reswork.store.saved_run import SavedRun, list_paths, read_listed

_NOTE_SHOWN = 80  # characters

Mark = tuple[int, int, int] | None  # time of change, size and number of a file; None: it is not there


@dataclass(frozen=True, eq=False)
class RunRow:
    """One run as a line of the table."""

    run: SavedRun
    note: str
    values: Mapping[str, Any]  # by column, to be sorted; None: unknown
    cells: Mapping[str, str]  # by column, as shown; not escaped
    text: str  # everything that a search looks through, in lower case


# column -> its value; the order is that of the table
_COLUMNS: dict[str, Callable[[SavedRun], Any]] = {
    "name": lambda run: run.name,
    "created": lambda run: run.created,
    "state": lambda run: run.state_word,
    "network": lambda run: run.model_label,
    "data": lambda run: run.dataset_name,
    "step": lambda run: int(run.progress.get("step", 0)),
    "score": lambda run: run.score,
    "loss": lambda run: run.progress.get("loss/test"),
    "seed": lambda run: run.recipe.seed if run.unreadable is None else None,
}
COLUMNS = (*_COLUMNS, "note")
FALLING = ("created", "step", "score")  # the largest first, unless somebody says otherwise


class RunTable:
    """The runs of a folder as rows; the second reading costs a look at each folder's file times.

    Args:
        root: the folder of all runs; None: ``runs``, or what ``RESWORK_RUNS`` says.
    """

    def __init__(self, root: str | Path | None = None) -> None:
        self._root = root
        self._known: dict[str, tuple[tuple[Mark, Mark], RunRow]] = {}

    def read(self) -> list[RunRow]:
        """All rows, the newest first.

        Raises:
            InvalidSetting: if the folder of runs cannot be read.
        """
        folder = runs_folder(self._root)
        known, self._known = self._known, {}
        for path in list_paths(folder):
            marks = _mark(f"{path}/{RUN_FILE}"), _mark(f"{path}/{NOTE_FILE}")
            seen, row = known.get(path.name, (None, None))
            same = row is not None and seen == marks and row.run.directory == path
            # one that goes on grows without a new run.json or note
            if row is not None and same and row.run.done and row.run.unreadable is None:
                self._known[path.name] = marks, row
            else:
                self._known[path.name] = marks, row_of(read_listed(path, folder))
        return ordered([row for _, row in self._known.values()])


def runs(
    root: str | Path | None = None, *, search: str = "", sort: str = "created", falling: bool | None = None
) -> list[SavedRun]:
    """All runs in a folder, the newest first, or as one wants them.

    What is no readable run is listed too, with one sentence in ``unreadable``.

    Args:
        root: the folder of all runs; None: ``runs``, or what ``RESWORK_RUNS`` says.
        search: words that must all stand somewhere in a run's row: its name, state, network, data, numbers, note.
        sort: ``"created"``, ``"name"``, ``"state"``, ``"network"``, ``"data"``, ``"step"``, ``"score"``,
            ``"loss"``, ``"seed"`` or ``"note"``; runs without such a value come last.
        falling: the largest first; None: as one mostly wants this column.

    Raises:
        InvalidSetting: for another column, or a folder that cannot be read.
    """
    return [row.run for row in ordered(matching(RunTable(root).read(), search), sort, falling=falling)]


def row_of(run: SavedRun) -> RunRow:
    """One run as a row."""
    try:
        note = run.note if run.unreadable is None else ""
    except InvalidSetting as error:
        note = error.message
    values = {name: value(run) for name, value in _COLUMNS.items()} | {"note": note or None}
    cells = {name: _words(name, value) for name, value in values.items()}
    if run.unreadable is None:
        cells["step"] = f"{values['step']:,} of {run.total_steps:,}"
    cells["score"] = run.told_score.partition(" ")[0]  # the number alone: its name would push out the notes
    problem = run.unreadable or run.error or ""
    begun = f"{run.created.astimezone():%Y-%m-%d %H:%M}"
    text = " ".join([*cells.values(), begun, note, problem]).casefold()
    if problem:
        cells["note"] = problem
    return RunRow(run, note, values, cells, text)


def matching(rows: Iterable[RunRow], search: str) -> list[RunRow]:
    """The rows in which every word of the search stands, in any column; no words: all of them."""
    words = search.casefold().split()
    return [row for row in rows if all(word in row.text for word in words)]


def ordered(rows: Iterable[RunRow], sort: str = "created", *, falling: bool | None = None) -> list[RunRow]:
    """The rows by one column; unknown values come last, equal ones with the newest first.

    Args:
        rows: what to sort.
        sort: one of `COLUMNS`.
        falling: the largest first; None: as one mostly wants this column.

    Raises:
        InvalidSetting: for another column.
    """
    if sort not in COLUMNS:
        raise InvalidSetting("sort", f"sort={sort!r} is no column; choose {', '.join(COLUMNS)}")
    falling = sort in FALLING if falling is None else falling
    newest = sorted(rows, key=lambda row: (row.run.created, row.run.name), reverse=True)
    known = [row for row in newest if row.values[sort] is not None]
    unknown = [row for row in newest if row.values[sort] is None]
    if sort == "created" and falling:
        return newest
    return sorted(known, key=lambda row: _key(row.values[sort]), reverse=falling) + unknown


def _key(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value


def _mark(path: str) -> Mark:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _words(column: str, value: Any) -> str:
    if value is None:
        return ""
    if column == "created":
        local = value.astimezone()
        return f"{local:%Y-%m-%d}" if local.year != datetime.now().year else f"{local:%d %b %H:%M}"
    if column == "loss":
        return f"{value:.3f}"
    if column == "note":
        line = " ".join(value.split())
        return line if len(line) <= _NOTE_SHOWN else line[: _NOTE_SHOWN - 1] + "…"
    return str(value)
