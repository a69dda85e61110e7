"""Rows of a table: numbers, words, dates and gaps become columns of numbers, and what was done to each is said."""

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np

from reswork.datasets.conversion import check_fraction, held_out, to_labels
from reswork.datasets.dataset import Dataset
from reswork.datasets.numbers import as_numbers, data_from, is_missing, read_csv
from reswork.datasets.places import existing
from reswork.errors import InvalidSetting

MOST_WORDS = 30  # different words of a column; the others become one more
_DATES = (
    "%Y-%m-%d",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%d %H:%M",
    "%d.%m.%Y",
    "%d/%m/%Y",
    "%m/%d/%Y",
)


def table(
    source: Any,
    target: str | Sequence[Any] | np.ndarray,
    *,
    name: str | None = None,
    as_values: bool | None = None,
    ignore: Sequence[str] = (),
    test_fraction: float = 0.2,
    seed: int = 0,
) -> Dataset:
    """Rows of a table with a class or a value each.

    Numbers stay; words become a column of zeros and ones for each (the 30 most frequent); dates become days, weekday
    and month; a number that is missing becomes the median of the training rows, with a column that says so; a column
    that is all the same, or different words in each row, is left out. ``notes`` say it of each column.

    Args:
        source: path of a CSV file; a pandas DataFrame; a dictionary of columns; or an array (N, F).
        target: name of the column to be told; of an array the answers, (N,).
        name: of the set.
        as_values: whether the answers are values; None: where they are numbers with more than 20 different ones.
        ignore: columns that the network shall not see.
        test_fraction: part that is set aside for the test.
        seed: of that choice.

    Raises:
        InvalidSetting: in one sentence what cannot be used.

    Example:
        >>> data = table({"size": [1, 2, 3, 4, 5, 6] * 2, "kind": list("abcabc") * 2, "y": [0, 1] * 6}, "y")
        >>> data.features
        ('size', 'kind=a', 'kind=b', 'kind=c')
    """
    columns, answers, told, origin, notes = _columns(source, target)
    rows = len(answers)
    if rows < 4:
        raise InvalidSetting("source", f"the table has {rows} row(s): give at least 4")
    unknown = [each for each in ignore if each not in columns]
    if unknown:
        raise InvalidSetting(
            "ignore", f"ignore={unknown[0]!r} is no column; there are {', '.join(list(columns)[:8])}"
        )
    kept_rows = [row for row, answer in enumerate(answers) if not is_missing(answer)]
    if len(kept_rows) < rows:
        notes.append(f"{rows - len(kept_rows):,} rows without an answer were left out.")
    random = np.random.RandomState(seed)
    answers = [answers[row] for row in kept_rows]
    is_test = _split(answers, as_values, test_fraction, random)
    found: list[tuple[str, np.ndarray]] = []
    for column, cells in columns.items():
        if column in ignore:
            notes.append(f"{column}: not used, as asked.")
            continue
        made, note = _encoded(column, [cells[row] for row in kept_rows], ~is_test)
        found += made
        notes += [f"{column}: {note}"] if note else []
    if not found:
        raise InvalidSetting("source", "no column is left that tells anything: " + " ".join(notes))
    return data_from(
        name or origin, np.stack([numbers for _, numbers in found], axis=1), answers,
        f"The table {origin}", is_test=is_test, as_values=as_values, value_name=told, notes=notes,
        features=[each for each, _ in found],
    )  # fmt: skip


def csv_table(path: str | os.PathLike[str], *, target: str | None = None) -> Dataset:
    """A CSV file as `table` takes it, whose last column is told unless another one is named.

    Raises:
        InvalidSetting: in one sentence what cannot be used.
    """
    place = existing(path)
    if place.is_dir() or target is not None:
        return table(place, target or "")
    return table(place, read_csv(place)[0][-1])


def cancer(seed: int = 0) -> Dataset:
    """Cells of 569 tumours, 30 numbers each, as scikit-learn has them: malignant or benign."""
    from sklearn.datasets import load_breast_cancer

    found = load_breast_cancer()
    columns = {str(each): found.data[:, at].tolist() for at, each in enumerate(found.feature_names)}
    columns["diagnosis"] = found.target_names[found.target].tolist()
    data = table(columns, "diagnosis", name="cancer", seed=seed)
    return data._with(
        source="Breast cancer of the UCI repository (Wolberg et al. 1995), as scikit-learn has it"
    )


def fraud(rows: int = 6_000, seed: int = 0) -> Dataset:
    """Simulated card payments of which about one in thirty is a fraud; no payment of anybody is in it.

    A fraud is an unusual amount for its shop at night and far from home, or several payments within minutes; part of
    the frauds look like any payment, so that nobody finds all.

    Args:
        rows: payments.
        seed: equal seeds simulate equal payments.
    """
    random = np.random.RandomState(seed)
    shops = np.array(["food", "fuel", "travel", "electronics", "online", "cash"])
    shop = random.choice(6, rows, p=[0.35, 0.15, 0.1, 0.1, 0.2, 0.1])
    usual = np.array([30.0, 60.0, 300.0, 250.0, 50.0, 120.0])[shop]
    amount = usual * np.exp(random.normal(scale=0.6, size=rows))
    hour = (random.normal(14, 4.5, rows) % 24).round(1)
    distance = random.exponential(8, rows)
    since = random.exponential(600, rows)
    age = random.uniform(18, 90, rows).round()
    score = (
        -7.2 + 1.1 * np.log(amount / usual) * (shop != 2) + 2.2 * (np.abs(hour - 3) < 3)
        + 1.8 * (distance > 25) + 2.6 * (since < 30) + 1.6 * ((shop == 3) | (shop == 4)) * (amount > 1.5 * usual)
        + 1.3 * (distance > 15) * (since < 90)
    )  # fmt: skip
    is_fraud = random.uniform(size=rows) < 1 / (1 + np.exp(-score * 1.4 - 4.2))
    words: list[Any] = shops[shop].tolist()
    known: list[Any] = [None if random.uniform() < 0.05 else float(each) for each in age]
    columns: dict[str, list[Any]] = {
        "amount": amount.round(2).tolist(), "shop": words, "hour": hour.tolist(),
        "kilometres": distance.round(1).tolist(),
        "minutes since last": since.round().tolist(), "age": known,
        "answer": ["fraud" if each else "honest" for each in is_fraud],
    }  # fmt: skip
    data = table(columns, "answer", name="fraud", seed=seed)
    return data._with(source="Simulated by reswork: nobody paid anything")


def _columns(source: Any, target: Any) -> tuple[dict[str, list[Any]], list[Any], str, str, list[str]]:
    """Columns, answers, what an answer is called, where they are from, and what is to be told of that."""
    notes: list[str] = []
    if isinstance(source, str | os.PathLike):
        place = existing(source)
        if place.is_dir():
            raise InvalidSetting("source", f"{place.name} is a folder: give a CSV file")
        header, rows, notes = read_csv(place)
        twice = sorted({each for each in header if header.count(each) > 1})
        if twice:
            raise InvalidSetting("source", f"{place.name} has the column {twice[0]!r} twice: rename one")
        columns = {each: [row[at] for row in rows] for at, each in enumerate(header)}
        origin = place.stem
    elif isinstance(source, Mapping):
        columns, origin = {str(key): list(cells) for key, cells in source.items()}, "given by hand"
    elif hasattr(source, "columns") and hasattr(source, "to_dict"):  # a DataFrame
        columns = {str(key): list(cells) for key, cells in source.to_dict("list").items()}
        origin = "a DataFrame"
    else:
        array = np.asarray(source)
        if array.ndim != 2:
            raise InvalidSetting(
                "source", f"an array of shape {array.shape}: give (N, F), a DataFrame or a CSV file"
            )
        columns, origin = {f"column {at}": array[:, at].tolist() for at in range(array.shape[1])}, "an array"
    lengths = {len(cells) for cells in columns.values()}
    if len(lengths) > 1:
        raise InvalidSetting(
            "source", f"columns of {min(lengths):,} to {max(lengths):,} rows: give all the same"
        )
    if isinstance(target, str):
        if target not in columns:
            raise InvalidSetting(
                "target", f"target={target!r} is no column; there are {', '.join(list(columns)[:8])}"
            )
        return columns, columns.pop(target), target, origin, notes
    answers = list(np.asarray(target).tolist())
    if len(answers) not in lengths:
        raise InvalidSetting(
            "target", f"{len(answers):,} answers for {max(lengths, default=0):,} rows: give one each"
        )
    return columns, answers, "value", origin, notes


def _split(
    answers: list[Any], as_values: bool | None, part: float, random: np.random.RandomState
) -> np.ndarray:
    """Which rows are the test, bool, (N,); of each class alike where there are few."""
    check_fraction(part)
    if not as_values and len(set(map(str, answers))) <= max(20, len(answers) // 20):
        labels, _ = to_labels(np.array([str(each) for each in answers]))
        return held_out("labels", labels, part, int(random.randint(2**31)))
    chosen = np.zeros(len(answers), bool)
    chosen[random.permutation(len(answers))[: max(1, round(len(answers) * part))]] = True
    return chosen


def _encoded(column: str, cells: list[Any], train: np.ndarray) -> tuple[list[tuple[str, np.ndarray]], str]:
    """Columns of numbers for one column, and what was done; empty where nothing had to be."""
    numbers = as_numbers(cells)
    if numbers is None:
        dates = _dates(cells)
        if dates is not None:
            gaps = np.array([each is None for each in dates])
            known = [each for each, row in zip(dates, train, strict=True) if each is not None and row]
            if not known:
                return [], "left out, as no training row has a date."
            usual = sorted(known)[len(known) // 2]
            whole = [usual if each is None else each for each in dates]
            parts = [
                (f"{column} (day)", np.array([each.timestamp() / 86_400 for each in whole])),
                (f"{column} (weekday)", np.array([float(each.weekday()) for each in whole])),
                (f"{column} (month)", np.array([float(each.month) for each in whole])),
            ]
            told = "a date; became days, weekday and month"
            if not gaps.any():
                return parts, f"{told}."
            parts.append((f"{column} is missing", gaps.astype(np.float64)))
            return (
                parts,
                f"{told}; {int(gaps.sum()):,} missing, filled with {usual:%Y-%m-%d}; one more column says where.",
            )
        return _words(column, cells, train)
    numbers[~np.isfinite(numbers)] = np.nan
    gaps = np.isnan(numbers)
    known = numbers[train & ~gaps]
    if not len(known) or (not gaps.any() and known.min() == known.max()):
        return [], "left out, as it is the same in all rows."
    if not gaps.any():
        return [(column, numbers)], ""
    median = float(np.median(known))
    found = [(column, np.where(gaps, median, numbers)), (f"{column} is missing", gaps.astype(np.float64))]
    return (
        found,
        f"{int(gaps.sum()):,} missing, filled with the median {median:g}; one more column says where.",
    )


def _words(column: str, cells: list[Any], train: np.ndarray) -> tuple[list[tuple[str, np.ndarray]], str]:
    words = np.array(["missing" if is_missing(each) else str(each).strip() for each in cells])
    names, counts = np.unique(words[train], return_counts=True)
    if len(names) < 2:
        return [], "left out, as it is the same in all rows."
    if len(names) > 0.5 * train.sum() and len(names) > MOST_WORDS:
        return (
            [],
            f"left out, as it has {len(names):,} different words and tells one row from another, no more.",
        )
    often = names[np.argsort(-counts, kind="stable")][:MOST_WORDS]
    kept = sorted(often.tolist())
    found = [(f"{column}={word}", (words == word).astype(np.float64)) for word in kept]
    note = f"words; a column of zeros and ones for each of {len(kept)}"
    if len(names) > len(kept):
        return [
            *found,
            (f"{column}=other", (~np.isin(words, kept)).astype(np.float64)),
        ], f"{note}, one for the others."
    return found, f"{note}."


def _dates(cells: list[Any]) -> list[datetime | None] | None:
    """Dates in one of the usual forms, None where one is missing; None where they are no dates."""
    words = [None if is_missing(each) else str(each).strip() for each in cells]
    if not any(words):
        return None
    for form in _DATES:
        try:
            return [
                None if word is None else datetime.strptime(word, form) for word in words
            ]  # without a place
        except ValueError:
            continue
    return None
