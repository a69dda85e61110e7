"""Runs to hand on: one HTML page, CSV, or PNG files."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from reswork.errors import InvalidSetting
from reswork.figures.embedding import write_pngs
from reswork.store.atomic_files import write_text
from reswork.store.page import page_text
from reswork.store.run_figures import curves, figures_of
from reswork.store.saved_run import SavedRun
from reswork.store.series_csv import csv_text

MOST_RUNS = 100


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
    paths = {title: Path(folder) / f"{_file_name(title)}.png" for title in drawn}
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
        raise InvalidSetting(
            "folder",
            f"no picture could be drawn ({_first_line(error)}); kaleido needs Chrome or Chromium. A page from "
            "export_page has a button under each figure that saves it as PNG",
        ) from error
    return list(paths.values())


def _file_name(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_")


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


def _first_line(error: Exception) -> str:
    return (str(error).strip().partition("\n")[0] or type(error).__name__)[:200]
