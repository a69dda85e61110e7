"""From words and numbers in files to arrays: CSV in any usual form, gaps, values, a split."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reswork.datasets.conversion import assembled, check_fraction, held_out, to_labels
from reswork.datasets.dataset import Dataset, Split
from reswork.errors import InvalidSetting

MOST_BYTES = 2 * 1024**3
AS_WINDOWS = (
    "no UTF-8 and read as Windows-1252, which western languages use; save as UTF-8 if signs look wrong."
)
MISSING = frozenset(("", "na", "n/a", "nan", "null", "none", "?", "-", ".", "missing", "nat", "<na>"))


def read_csv(place: Path) -> tuple[list[str], list[list[str]], list[str]]:
    """Header and rows of a CSV file, and what is to be told of it.

    Columns may be parted by ``, ; tab |``; where it is ``;``, decimal commas become points.

    Raises:
        InvalidSetting: it is empty, no text, too large, or a row has another number of columns.
    """
    if place.stat().st_size > MOST_BYTES:
        raise InvalidSetting("path", f"{place.name} is larger than 2 GiB: give a part of it")
    raw = place.read_bytes()
    text, is_told = decoded_text(raw, place.name, "give a CSV file")
    notes = [] if is_told else [f"{place.name} is {AS_WINDOWS}"]
    first = next((line for line in text.splitlines() if line.strip()), "")
    sign = max(",;\t|", key=first.count)
    try:
        rows = [row for row in csv.reader(io.StringIO(text), delimiter=sign) if any(map(str.strip, row))]
    except csv.Error as error:  # such as a quote that never ends
        raise InvalidSetting(
            "path", f"{place.name} cannot be read as CSV ({error}): mend its quotes"
        ) from error
    if len(rows) < 2:
        raise InvalidSetting("path", f"{place.name} has {len(rows)} line(s): give a header and rows below it")
    header, body = [name.strip() for name in rows[0]], rows[1:]
    for number, row in enumerate(body, start=2):
        if len(row) != len(header):
            raise InvalidSetting(
                "path",
                f"line {number} of {place.name} has {len(row)} columns and the header {len(header)}: mend that line",
            )
    if sign == ";":
        body = [[_with_point(word) for word in row] for row in body]
    return header, body, notes


def decoded_text(raw: bytes, name: str, remedy: str) -> tuple[str, bool]:
    """Bytes as text, and whether they said how: UTF-8, or UTF-16 with its mark; else as Windows wrote it in the west.

    Raises:
        InvalidSetting: it is no text.
    """
    is_wide = raw.startswith((b"\xff\xfe", b"\xfe\xff"))
    if b"\0" in raw[:4096] and not is_wide:
        raise InvalidSetting("path", f"{name} is no text: {remedy}")
    try:
        return raw.decode("utf-16" if is_wide else "utf-8-sig"), True
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace"), False


def _with_point(word: str) -> str:
    return (
        word.replace(",", ".")
        if word.count(",") == 1 and word.replace(",", "").strip("+-").isdigit()
        else word
    )


def is_missing(word: object) -> bool:
    """Whether a cell says that nothing is known."""
    return (
        word is None or (isinstance(word, float) and np.isnan(word)) or str(word).strip().lower() in MISSING
    )


def as_numbers(words: Sequence[Any]) -> np.ndarray | None:
    """float64, NaN where a cell is missing; None where a cell is a word."""
    try:
        return np.array([np.nan if is_missing(word) else float(word) for word in words])
    except (TypeError, ValueError):
        return None


def filled(series: np.ndarray) -> tuple[np.ndarray, int]:
    """Series (..., L) with its gaps filled on a line between their neighbours, and how many numbers that were."""
    gaps = ~np.isfinite(series)
    count = int(gaps.sum())
    if not count:
        return series, 0
    flat = series.reshape(-1, series.shape[-1]).astype(np.float64).copy()
    for row, gap in zip(flat, gaps.reshape(flat.shape), strict=True):
        if gap.all():
            row[:] = 0.0
        elif gap.any():
            places = np.arange(len(row))
            row[gap] = np.interp(places[gap], places[~gap], row[~gap])
    return flat.reshape(series.shape), count


def data_from(
    name: str,
    inputs: np.ndarray,
    answers: Sequence[Any] | np.ndarray,
    source: str,
    *,
    is_test: np.ndarray | None = None,
    as_values: bool | None = None,
    value_name: str = "value",
    notes: Sequence[str] = (),
    features: Sequence[str] = (),
    test_fraction: float = 0.2,
    seed: int = 0,
) -> Dataset:
    """A data set of numbers with classes or values to be told.

    Args:
        name: of the set.
        inputs: (N, ...) numbers without gaps; int64 for tokens.
        answers: (N,) words or numbers.
        source: a sentence.
        is_test: (N,) bool, which are kept for the test; None: a part is drawn, of each class alike.
        as_values: whether the answers are values; None: where they are numbers with more than 20 different ones, or
            that are not whole.
        value_name: what a value is called.
        notes: what was done.
        features: names of channels, columns or tokens.
        test_fraction: part that is drawn.
        seed: of that.

    Raises:
        InvalidSetting: answers are missing, or there is only one class.
    """
    words = list(answers)
    if lost := sum(map(is_missing, words)):
        raise InvalidSetting("target", f"{lost:,} answers are missing: leave those rows out")
    numbers = as_numbers(words)
    if as_values and numbers is None:
        raise InvalidSetting(
            "target", "answers are words, such as " + repr(str(words[0])) + ": they are no values"
        )
    if as_values is None:
        as_values = numbers is not None and (
            bool((numbers != np.round(numbers)).any()) or len(np.unique(numbers)) > 20
        )
    tensor = torch.from_numpy(
        np.ascontiguousarray(inputs if inputs.dtype == np.int64 else inputs.astype(np.float32))
    )
    if as_values:
        assert numbers is not None
        targets, classes, scale = torch.from_numpy(numbers), [value_name], None
    else:
        whole = numbers is not None and bool((numbers == np.round(numbers)).all())
        told = (
            [str(int(each)) for each in numbers]
            if whole and numbers is not None
            else [str(each).strip() for each in words]
        )
        targets, found = to_labels(np.array(told), "target")
        classes = list(found or ())
        if len(classes) < 2:
            raise InvalidSetting(
                "target", f"all answers are {classes[0]!r}: telling classes apart needs at least two"
            )
    chosen = is_test
    if chosen is None:
        check_fraction(test_fraction)
        if as_values:
            order = np.random.RandomState(seed).permutation(len(targets))
            chosen = np.zeros(len(targets), bool)
            chosen[order[: max(1, round(len(order) * test_fraction))]] = True
        else:
            chosen = held_out("labels", targets, test_fraction, seed)
        notes = [*notes, f"{int(chosen.sum()):,} were set aside for the test, chosen at random."]
    test = torch.from_numpy(chosen)
    if as_values:
        values, scale = standardised_values(targets.numpy(), ~chosen)
        targets = values
    both = Split(tensor, targets)
    return assembled(
        name,
        both.take(~test),
        both.take(test),
        classes,
        source,
        notes=notes,
        features=features,
        target_scale=scale if as_values else None,
    )


def standardised_values(
    values: np.ndarray, train: np.ndarray
) -> tuple[Tensor, tuple[tuple[float, ...], tuple[float, ...]]]:
    """Values (N,) or (N, T) as targets, float32, by mean and deviation of the training rows, and both of them."""
    rows = values[train] if values.ndim == 2 else values[train, None]
    mean, std = rows.mean(0), rows.std(0)
    std = np.where(std > 1e-12, std, 1.0)
    found = (values - (mean if values.ndim == 2 else mean[0])) / (std if values.ndim == 2 else std[0])
    return torch.from_numpy(found.astype(np.float32)), (tuple(mean.tolist()), tuple(std.tolist()))
