"""Runs to hand on: one HTML page, CSV, or PNG files."""

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from reswork.errors import InvalidSetting
from reswork.figures.embedding import write_pngs
from reswork.history import History
from reswork.store.atomic_files import write_text
from reswork.store.page import page_text
from reswork.store.run_figures import curves, figures_of
from reswork.store.saved_run import SavedRun

MOST_RUNS = 100
_HEAD = ("run", "step", "series", "value")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would compute what begins with one of these


def export(runs: SavedRun | Sequence[SavedRun], path: str | Path) -> Path:
    """Write runs into one file; its ending says as what: ``.html`` or ``.csv``.

    Raises:
        InvalidSetting: for another ending, or as `export_page` and `export_csv`.
    """
    kinds = {".html": export_page, ".csv": export_csv}
    ending = Path(path).suffix.lower()
    if ending not in kinds:
        raise InvalidSetting("path", f"{str(path)!r} ends with {ending!r}; choose .html or .csv")
    return kinds[ending](runs, path)


def export_page(runs: SavedRun | Sequence[SavedRun], path: str | Path) -> Path:
    """Write runs as one HTML page with everything in it: it opens without a kernel and without a network.

    It holds the curves over each other, the settings that differ, and for each run its numbers, note, settings
    and figures, each with a button that saves it as PNG. About 5 MB, most of it plotly.js.

    Args:
        runs: one or up to 100, from `runs` or `load_run`.
        path: the file; one that exists is replaced.

    Returns:
        The path.

    Raises:
        InvalidSetting: for no run, too many, one that cannot be read, or a file that cannot be written.
    """
    return _written(Path(path), lambda: page_text(_checked(runs)))


def export_csv(runs: SavedRun | Sequence[SavedRun], path: str | Path) -> Path:
    """Write every recorded number of some runs as CSV with the columns run, step, series and value.

    Args:
        runs: one or up to 100, from `runs` or `load_run`.
        path: the file; one that exists is replaced.

    Returns:
        The path.

    Raises:
        InvalidSetting: as `export_page`.
    """
    return _written(Path(path), lambda: csv_text(_checked(runs)))


def export_pictures(run: SavedRun, folder: str | Path) -> list[Path]:
    """Write every figure of a run as PNG into a folder.

    It needs the package kaleido (``pip install 'reswork[pictures]'``) and a Chrome or Chromium on this machine.
    Without them the page of `export_page` has a button under each figure that does the same.

    Args:
        run: from `runs` or `load_run`.
        folder: made if it is missing; files of the same name are replaced.

    Returns:
        The files.

    Raises:
        InvalidSetting: if the run cannot be read, kaleido or the browser is missing, or nothing can be written.
    """
    (run,) = _checked(run)
    drawn = {**curves({run.name: run.history}, run.metrics), **figures_of(run)}
    names = {title: re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_") for title in drawn}
    paths = {title: Path(folder) / f"{name}.png" for title, name in names.items()}
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        write_pngs({str(paths[title]): figure for title, figure in drawn.items()})
    except ImportError as error:
        raise InvalidSetting(
            "folder",
            "PNG files need the package kaleido: pip install 'reswork[pictures]'; or write a page with export_page "
            "and press 'Save as PNG' under a figure",
        ) from error
    except OSError as error:
        raise InvalidSetting(
            "folder", f"{str(folder)!r} cannot be written: {error.strerror or error}"
        ) from error
    except Exception as error:  # whatever kaleido and the browser come up with
        reason = (str(error).strip().partition("\n")[0] or type(error).__name__)[:200]
        raise InvalidSetting(
            "folder",
            f"no picture could be drawn ({reason}); kaleido needs Chrome or Chromium. A page from "
            "export_page has a button under each figure that saves it as PNG",
        ) from error
    return list(paths.values())


def _checked(runs: SavedRun | Sequence[SavedRun]) -> list[SavedRun]:
    found = [runs] if isinstance(runs, SavedRun) else list(runs)
    if not 1 <= len(found) <= MOST_RUNS:
        raise InvalidSetting("runs", f"{len(found)} runs cannot be written together; give 1 to {MOST_RUNS}")
    for run in found:
        if run.unreadable is not None:
            raise InvalidSetting("runs", f"run {run.name!r} cannot be read: {run.unreadable}")
    return found


def _written(path: Path, text: Callable[[], str]) -> Path:
    content = text().encode("utf-8", "replace").decode()  # a folder's name may hold bytes that are no text
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, content)
    except OSError as error:
        raise InvalidSetting("path", f"{str(path)!r} cannot be written: {error.strerror or error}") from error
    return path


def csv_text(runs: list[SavedRun]) -> str:
    """All series of some runs in long form; a group such as ``grad_norm`` gives a series for each layer.

    Numbers have all their digits, NaN and infinities are ``nan``, ``inf`` and ``-inf``. A name that a
    spreadsheet would take for a formula gets an apostrophe in front.
    """
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")  # so that both are quoted in a name
    writer.writerow(_HEAD)
    for run in runs:
        name = plain_cell(run.name)
        for series, step, value in _points(run.history):
            writer.writerow((name, step, plain_cell(series), repr(value)))
    return out.getvalue()


def plain_cell(text: str) -> str:
    """A text that no spreadsheet computes.

    Example:
        >>> plain_cell("=1+1"), plain_cell("loss/train")
        ("'=1+1", 'loss/train')
    """
    return f"'{text}" if text.startswith((*_FORMULA, "'")) else text


def _points(history: History) -> Iterator[tuple[str, int, float]]:
    for name in history.names:
        series = history.series(name)
        for step, value in zip(series.steps.tolist(), series.values.tolist(), strict=True):
            yield name, step, value
    for group in history.groups:
        vectors = history.vectors(group)
        for index, label in enumerate(vectors.labels):
            column = vectors.values[:, index]
            for step, value in zip(vectors.steps.tolist(), column.tolist(), strict=True):
                yield f"{group}/{label}", step, value
