"""Texts as tokens, sign by sign: from CSV and folders; and names whose language is to be told."""

import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from reswork.datasets.conversion import held_out, to_labels
from reswork.datasets.dataset import Dataset
from reswork.datasets.numbers import data_from, is_missing, read_csv
from reswork.datasets.places import existing
from reswork.errors import InvalidSetting

MOST_SIGNS = 256  # of one text
MOST_DIFFERENT = 250
NOTHING, UNKNOWN = "", "?unknown"  # tokens 0 and 1
LANGUAGES = ("de", "en", "fr", "es", "it", "pt", "nl", "pl", "cs", "sv", "da", "fi", "hu", "tr", "id", "ro")


def text(
    path: str | os.PathLike[str],
    *,
    target: str | None = None,
    column: str | None = None,
    test_fraction: float = 0.2,
    seed: int = 0,
) -> Dataset:
    """Texts with a class each, read sign by sign.

    Args:
        path: of a CSV file with a column of texts and one of classes; or of a folder with one folder of ``.txt`` files
            for each class.
        target: column of the classes; None: ``label``, ``class``, ``target`` or ``y``, else the last one.
        column: of the texts; None: the one with the longest.
        test_fraction: part that is set aside for the test, of each class alike.
        seed: of that choice.

    Raises:
        InvalidSetting: in one sentence what cannot be used.
    """
    place = existing(path)
    if place.is_dir():
        texts, answers = _folder(place)
    else:
        texts, answers = _csv(place, target, column)
    kept = [row for row, each in enumerate(texts) if each.strip() and not is_missing(answers[row])]
    notes = (
        []
        if len(kept) == len(texts)
        else [f"{len(texts) - len(kept):,} rows without text or class were left out."]
    )
    return texts_of(
        [texts[row] for row in kept], [answers[row] for row in kept], place.stem, f"The texts of {place.name}",
        notes=notes, test_fraction=test_fraction, seed=seed,
    )  # fmt: skip


def languages(seed: int = 0) -> Dataset:
    """Names of languages, countries and currencies in 16 languages, from Babel: which language is a name of?"""
    from babel import Locale

    found: dict[str, set[str]] = {}
    for code in LANGUAGES:
        locale = Locale.parse(code)
        for names in (locale.languages, locale.territories, locale.currencies):
            for each in names.values():
                if len(each) > 3:
                    found.setdefault(each, set()).add(locale.english_name or code)
    sure = sorted((name, next(iter(of))) for name, of in found.items() if len(of) == 1)
    note = f"{len(found) - len(sure):,} names that several languages share were left out."
    return texts_of(
        [name for name, _ in sure], [of for _, of in sure], "languages",
        "Names from the Unicode CLDR (Unicode licence), as Babel has them", notes=[note], seed=seed,
    )  # fmt: skip


def texts_of(
    texts: list[str],
    answers: list[Any],
    name: str,
    source: str,
    *,
    notes: list[str] | None = None,
    test_fraction: float = 0.2,
    seed: int = 0,
) -> Dataset:
    """A data set of texts that somebody has already, see `text`; `words_of` gives them back."""
    if len(texts) != len(answers):
        raise InvalidSetting(
            "target", f"{len(answers):,} classes for {len(texts):,} texts: give one for each"
        )
    if len(texts) < 4:
        raise InvalidSetting("path", f"{len(texts)} text(s): give at least 4")
    labels, _ = to_labels(np.array([str(each) for each in answers]))
    is_test = held_out("labels", labels, test_fraction, seed)
    often = Counter(sign for row, each in enumerate(texts) if not is_test[row] for sign in each)
    signs = [NOTHING, UNKNOWN, *sorted(sign for sign, _ in often.most_common(MOST_DIFFERENT))]
    numbers = {sign: number for number, sign in enumerate(signs)}
    length = min(MOST_SIGNS, max(map(len, texts)))
    tokens = np.zeros((len(texts), max(length, 8)), np.int64)
    for row, each in enumerate(texts):
        tokens[row, : len(each[:length])] = [numbers.get(sign, 1) for sign in each[:length]]
    cut = sum(len(each) > length for each in texts)
    told = [*(notes or [])] + ([f"{cut:,} texts were cut to their first {length} signs."] if cut else [])
    return data_from(
        name, tokens, answers, source, is_test=is_test, as_values=False, notes=told, features=signs
    )


def words_of(data: Dataset, split: str = "test") -> list[str]:
    """The texts of a split as they are seen, an unknown sign as a question mark.

    Raises:
        InvalidSetting: the inputs are no tokens.
    """
    if data.input_kind != "tokens":
        raise InvalidSetting(
            "data", f"the inputs of {data.name} are {data.input_kind}: give data with tokens"
        )
    signs = ["?" if each == UNKNOWN else each for each in data.features]
    return ["".join(signs[number] for number in row) for row in getattr(data, split).inputs.tolist()]


def _csv(place: Path, target: str | None, column: str | None) -> tuple[list[str], list[Any]]:
    header, rows = read_csv(place)
    if len(header) < 2:
        raise InvalidSetting("path", f"{place.name} has one column: give one of texts and one of classes")
    chosen = target or next(
        (each for each in header if each.lower() in ("label", "class", "target", "y")), header[-1]
    )
    for setting, value in (("target", chosen), ("column", column)):
        if value is not None and value not in header:
            raise InvalidSetting(
                setting, f"{setting}={value!r} is no column of {place.name}; it has {header[:8]}"
            )
    others = [each for each in header if each != chosen]
    longest = column or max(others, key=lambda each: sum(len(row[header.index(each)]) for row in rows))
    return [row[header.index(longest)] for row in rows], [row[header.index(chosen)] for row in rows]


def _folder(place: Path) -> tuple[list[str], list[Any]]:
    files = sorted(place.glob("*/*.txt"))
    if not files:
        raise InvalidSetting(
            "path", f"{place.name} has no folders with .txt files in them: one folder for each class"
        )
    return [file.read_bytes().decode("utf-8", "replace") for file in files], [
        file.parent.name for file in files
    ]
