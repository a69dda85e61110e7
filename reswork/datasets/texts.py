"""Texts as tokens, signs or words: from CSV and folders; and names whose language is to be told."""

import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from reswork.datasets.conversion import held_out, to_labels
from reswork.datasets.dataset import Dataset
from reswork.datasets.numbers import AS_WINDOWS, data_from, decoded_text, is_missing, read_csv
from reswork.datasets.places import existing
from reswork.errors import InvalidSetting

MOST_SIGNS = 256  # of one text, or words
MOST_DIFFERENT = {"signs": 250, "words": 5_000}
By = Literal["signs", "words"]
_WORD = re.compile(r"\w+|[^\w\s]")
NOTHING, UNKNOWN = "", "?unknown"  # tokens 0 and 1
LANGUAGES = ("de", "en", "fr", "es", "it", "pt", "nl", "pl", "cs", "sv", "da", "fi", "hu", "tr", "id", "ro")


def text(
    path: str | os.PathLike[str],
    *,
    target: str | None = None,
    column: str | None = None,
    by: By = "signs",
    test_fraction: float = 0.2,
    seed: int = 0,
) -> Dataset:
    """Texts with a class each, read sign by sign or word by word.

    Args:
        path: of a CSV file with a column of texts and one of classes; or of a folder with one folder of ``.txt`` files
            for each class.
        target: column of the classes; None: ``label``, ``class``, ``target`` or ``y``, else the last one.
        column: of the texts; None: the one with the longest.
        by: ``"signs"``: the 250 most frequent ones of the training, up to 256 of a text; ``"words"``: the 5,000 most
            frequent words and punctuation marks, in small letters, up to 256 of a text.
        test_fraction: part that is set aside for the test, of each class alike.
        seed: of that choice.

    Raises:
        InvalidSetting: in one sentence what cannot be used.
    """
    if by not in get_args(By):
        raise InvalidSetting("by", f"by={by!r}: choose 'signs' or 'words'")
    place = existing(path)
    if place.is_dir():
        texts, answers, notes = _folder(place)
    else:
        texts, answers, notes = _csv(place, target, column)
    kept = [row for row, each in enumerate(texts) if each.strip() and not is_missing(answers[row])]
    if len(kept) < len(texts):
        notes.append(f"{len(texts) - len(kept):,} rows without text or class were left out.")
    return texts_of(
        [texts[row] for row in kept], [answers[row] for row in kept], place.stem, f"The texts of {place.name}",
        notes=notes, by=by, test_fraction=test_fraction, seed=seed,
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
    by: By = "signs",
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
    pieces = [_pieces(each, by) for each in texts]
    often = Counter(piece for row, each in enumerate(pieces) if not is_test[row] for piece in each)
    known = [NOTHING, UNKNOWN, *sorted(piece for piece, _ in often.most_common(MOST_DIFFERENT[by]))]
    length = min(MOST_SIGNS, max(map(len, pieces)))
    tokens = _numbered(pieces, known, max(length, 8))
    cut = sum(len(each) > length for each in pieces)
    told = [*(notes or [])] + ([f"{cut:,} texts were cut to their first {length} {by}."] if cut else [])
    return data_from(
        name, tokens, answers, source, is_test=is_test, as_values=False, notes=told, features=known
    )


def _pieces(text: str, by: By) -> Sequence[str]:
    return _WORD.findall(text.lower()) if by == "words" else text


def _numbered(pieces: list[Sequence[str]], known: Sequence[str], length: int) -> np.ndarray:
    numbers = {piece: number for number, piece in enumerate(known)}
    tokens = np.zeros((len(pieces), length), np.int64)
    for row, each in enumerate(pieces):
        tokens[row, : len(each[:length])] = [numbers.get(piece, 1) for piece in each[:length]]
    return tokens


def tokens_of(texts: list[str], known: Sequence[str], length: int) -> np.ndarray:
    """Other texts as a network of a data set takes them in, (N, length) int64.

    Args:
        texts: any.
        known: `Dataset.features` of the data set.
        length: of its inputs.
    """
    by: By = "words" if any(len(each) > 1 for each in known[2:]) else "signs"
    return _numbered([_pieces(each, by) for each in texts], known, length)


def words_of(data: Dataset, split: str = "test") -> list[str]:
    """The texts of a split as they are seen, an unknown sign or word as a question mark.

    Raises:
        InvalidSetting: the inputs are no tokens.
    """
    if data.input_kind != "tokens":
        raise InvalidSetting(
            "data", f"the inputs of {data.name} are {data.input_kind}: give data with tokens"
        )
    known = ["?" if each == UNKNOWN else each for each in data.features]
    between = " " if data.are_words else ""
    return [
        between.join(known[number] for number in row if number)
        for row in getattr(data, split).inputs.tolist()
    ]


def _csv(place: Path, target: str | None, column: str | None) -> tuple[list[str], list[Any], list[str]]:
    header, rows, notes = read_csv(place)
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
    return [row[header.index(longest)] for row in rows], [row[header.index(chosen)] for row in rows], notes


def _folder(place: Path) -> tuple[list[str], list[Any], list[str]]:
    """Texts, their classes, and what is to be told of them."""
    files = sorted(place.glob("*/*.txt"))
    if not files:
        raise InvalidSetting(
            "path", f"{place.name} has no folders with .txt files in them: one folder for each class"
        )
    read = [
        decoded_text(
            file.read_bytes(), f"{file.parent.name}/{file.name}", "save it as UTF-8, or leave it out"
        )
        for file in files
    ]
    texts, classes = [each for each, _ in read], [file.parent.name for file in files]
    notes, guessed = [], sum(not known for _, known in read)
    if guessed:
        notes.append(f"{guessed:,} of {len(files):,} files are {AS_WINDOWS}")
    with_text = {name for each, name in zip(texts, classes, strict=True) if each.strip()}
    folders = (
        each.name for each in place.iterdir() if each.is_dir() and not each.name.startswith((".", "__"))
    )
    if empty := sorted({*folders} - with_text):
        named = ", ".join(map(repr, empty[:3])) + ", ..." * (len(empty) > 3)
        notes.append(f"No .txt file with text lies in {named}, so that this is no class.")
    return texts, classes, notes
