"""A table as CSV that a spreadsheet opens as what it is."""

import csv
import io
from collections.abc import Iterable
from pathlib import Path

from reswork.errors import InvalidSetting
from reswork.store.atomic_files import write_text

Cell = str | float
_FORMULA = (
    "=",
    "+",
    "-",
    "@",
    "\t",
    "\r",
)  # a spreadsheet would compute a text that begins with one of these


def save_sheet(path: str | Path, rows: Iterable[tuple[Cell, ...]]) -> Path:
    """Write rows as CSV.

    Raises:
        InvalidSetting: another ending than .csv, or a file that cannot be written.
    """
    place = Path(path)
    if place.suffix.lower() != ".csv":
        raise InvalidSetting("path", f"{str(path)!r} does not end with .csv; name the file so")
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([_plain(cell) for cell in row] for row in rows)
    try:
        write_text(place, out.getvalue())
    except OSError as error:
        raise InvalidSetting("path", f"{str(path)!r} cannot be written: {error.strerror or error}") from error
    return place


def _plain(cell: Cell) -> Cell:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
