"""Every recorded number as lines of CSV: run, step, series, value."""

import csv
import io
from collections.abc import Iterator

from reswork.history import History
from reswork.store.saved_run import SavedRun

HEAD = ("run", "step", "series", "value")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would compute what begins with one of these


def csv_text(runs: list[SavedRun]) -> str:
    """All series of some runs in long form; a group such as ``grad_norm`` gives a series for each layer.

    Numbers have all their digits, NaN and infinities are ``nan``, ``inf`` and ``-inf``. A name that a
    spreadsheet would take for a formula gets an apostrophe in front.
    """
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")  # so that both are quoted in a name
    writer.writerow(HEAD)
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
        for place, label in enumerate(vectors.labels):
            column = vectors.values[:, place]
            for step, value in zip(vectors.steps.tolist(), column.tolist(), strict=True):
                yield f"{group}/{label}", step, value
