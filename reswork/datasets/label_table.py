"""A table of files and their classes, such as ``labels.csv``: which column is which, and which file each row means."""

import csv
import hashlib
import io
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from reswork.datasets.dataset import Skipped
from reswork.datasets.files import readable
from reswork.datasets.folder_words import role_of
from reswork.datasets.layout import Layout, Splits, is_image
from reswork.errors import InvalidSetting

Columns = Mapping[str, str | int]  # "file", "label" and "split": the name of a column, or its number from 0
KINDS = ("file", "label", "split")
LABEL_WORDS = frozenset(
    (
        "label", "labels", "class", "classes", "classname", "category", "target", "diagnosis", "dx", "species", "breed",
        "y", "tag",
    )
)  # fmt: skip
SPLIT_WORDS = frozenset(("split", "set", "subset", "fold", "partition", "phase", "usage", "dataset"))
DELIMITERS = (",", ";", "\t", "|")
SAMPLE = 500  # rows by which columns are told apart
MOST_SINGLE = 0.5  # classes for each file; more are no classes
FEW = 20


@dataclass
class Table:
    """Cells of a table, and what its columns are called.

    Args:
        name: of the file, for sentences.
        rows: of cells, the first may be the names of the columns.
        digest: sha256 of the file.
        notes: how it was read, where that is not plain.
    """

    name: str
    rows: list[list[str]]
    digest: str
    notes: list[str] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"Table({self.name!r}, {self.digest})"


@dataclass(frozen=True)
class _Chosen:
    """Numbers of columns; of classes there are several where each has a column of zeros and ones."""

    file: int
    label: tuple[int, ...]
    split: int | None = None


def read_table(data: bytes, name: str) -> Table:
    """The cells of a file: values between commas, semicolons, tabs, bars or blanks.

    Raises:
        InvalidSetting: it is no such table.
    """
    notes: list[str] = []
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = data.decode("utf-16", "replace")
    else:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = data.decode("cp1252", "replace")
            notes.append(f"{name} is not UTF-8 and was read as cp1252.")
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text)))
    except csv.Error as error:
        raise InvalidSetting("labels", f"{name} is no table that can be read ({error})") from error
    rows = [[unicodedata.normalize("NFC", cell.strip()) for cell in row] for row in rows if any(row)]
    width = max(map(len, rows), default=0)
    if width < 2:
        raise InvalidSetting(
            "labels",
            f"{name} has {width} column(s): it needs one of files and one of classes, such as\nfile,label",
        )
    rows = [row + [""] * (width - len(row)) for row in rows]
    return Table(name, rows, hashlib.sha256(data).hexdigest(), notes)


def layout_of_table(
    table: Table, names: Sequence[str], columns: Columns | None = None, splits: Splits | None = None
) -> Layout:
    """Files by split and class, as a table has them.

    Args:
        table: of files and classes.
        names: of all files, relative, with slashes.
        columns: which column is which; what is not told is found.
        splits: values in the column of splits, such as ``{"train": ["0", "1"], "test": "2"}``; None finds them.

    Raises:
        InvalidSetting: columns that cannot be told apart, rows that name no file, one class only.
    """
    images = [name for name in names if is_image(name)]
    if not images:
        raise InvalidSetting("path", "no images are there for the table of labels")
    lookup = _Lookup(images)
    told = _told(table, columns or {})
    file = told["file"][0] if "file" in told else _file_column(table, lookup)
    told_by_name = any(isinstance(given, str) for given in (columns or {}).values())
    has_header = lookup(table.rows[0][file]) is None or told_by_name
    header = table.rows[0] if has_header else [f"number {n}" for n in range(len(table.rows[0]))]
    rows = table.rows[has_header:]
    split = told["split"][0] if "split" in told else _split_column(header, rows, file, splits)
    label = told.get("label") or _label_column(table, header, rows, (file, split))
    chosen = _Chosen(file, label, split)
    layout = Layout(notes=list(table.notes))
    layout.notes.append(_understood(table, header, chosen))
    _note_unused_split(layout, header, rows, chosen)
    _fill(layout, table.name, header, rows, chosen, lookup, splits)
    if len(layout.classes) < 2:
        raise InvalidSetting(
            "labels",
            f"{table.name} has one class only ({(layout.classes or ['none'])[0]!r}) in {header[label[0]]!r}; telling "
            f"classes apart needs two: {_advice(header)}",
        )
    return layout


class _Lookup:
    """Which file a cell means: a path from here or from further out, the end of a path, with or without ending."""

    def __init__(self, names: Sequence[str]) -> None:
        self._whole: list[dict[str, str | None]] = []
        self._ends: list[dict[str, str | None]] = []
        self.names = names
        for form in _FORMS:
            whole: dict[str, str | None] = {}
            ends: dict[str, str | None] = {}
            for name in names:
                key = form(name)
                whole[key] = None if key in whole else name
                way = key.split("/")
                for start in range(len(way)):
                    end = "/".join(way[start:])
                    ends[end] = None if end in ends else name
            self._whole.append(whole)
            self._ends.append(ends)

    def __call__(self, cell: str) -> str | None:
        """The only file that is meant; None where there is none, or several."""
        plain = cell.replace("\\", "/").removeprefix("./").lstrip("/")
        if not plain:
            return None
        for form, whole, ends in zip(_FORMS, self._whole, self._ends, strict=True):
            key = form(plain)
            if found := whole.get(key) or ends.get(key):
                return found
            way = key.split("/")
            for start in range(1, len(way)):
                if found := whole.get("/".join(way[start:])):
                    return found
        return None


def _without_ending(name: str) -> str:
    return name.rpartition(".")[0] if is_image(name) else name


_FORMS = (
    lambda name: unicodedata.normalize("NFC", name),
    lambda name: unicodedata.normalize("NFC", name).casefold(),
    lambda name: _without_ending(unicodedata.normalize("NFC", name)).casefold(),
)


def _told(table: Table, columns: Columns) -> dict[str, tuple[int, ...]]:
    """Numbers of the columns that somebody gave."""
    header = table.rows[0]
    found: dict[str, tuple[int, ...]] = {}
    for kind, given in columns.items():
        if kind not in KINDS:
            raise InvalidSetting(
                "columns", f"columns={dict(columns)!r}: give the columns of 'file', 'label' and 'split'"
            )
        if isinstance(given, int) and 0 <= given < len(header):
            found[kind] = (given,)
        elif given in header:
            found[kind] = (header.index(str(given)),)
        else:
            raise InvalidSetting(
                "columns", f"{table.name} has no column {given!r} for {kind!r}: it has {_named(header)}"
            )
    return found


def _file_column(table: Table, lookup: _Lookup) -> int:
    """The column most of whose cells name a file."""
    sample = table.rows[: SAMPLE + 1]
    counts = [sum(lookup(row[n]) is not None for row in sample) for n in range(len(sample[0]))]
    best = max(range(len(counts)), key=lambda n: counts[n])
    if not counts[best]:
        shown = ", ".join(repr(cell) for cell in table.rows[min(1, len(table.rows) - 1)][:4])
        raise InvalidSetting(
            "labels",
            f"no column of {table.name} names files that are there: its first row holds {shown}, and the files are "
            f"called like {readable(lookup.names[0])!r}; write their names, or the way to them from the folder",
        )
    return best


def _split_column(
    header: Sequence[str], rows: Sequence[Sequence[str]], file: int, splits: Splits | None
) -> int | None:
    """The column whose cells are all names of splits; or the only one called so, where values are told."""
    called = [n for n, name in enumerate(header) if n != file and SPLIT_WORDS & _words(name)]
    if splits is not None:
        if len(called) == 1:
            return called[0]
        raise InvalidSetting(
            "splits", f"splits={dict(splits)!r} are values in a column, and which one that is has to be told: "
            "columns={'split': '...'}",
        )  # fmt: skip
    for column in [*called, *(n for n in range(len(header)) if n not in (file, *called))]:
        roles = {role_of(value) for value in {row[column] for row in rows}}
        if None not in roles and "train" in roles and len(roles) > 1:
            return column
    return None


def _label_column(
    table: Table, header: Sequence[str], rows: Sequence[Sequence[str]], taken: Sequence[int | None]
) -> tuple[int, ...]:
    """The column of classes; or several of zeros and ones, one for each class."""
    others = [n for n in range(len(header)) if n not in taken and any(row[n] for row in rows)]
    if len(others) == 1:
        return (others[0],)
    called = [n for n in others if LABEL_WORDS & _words(header[n])]
    if (
        not called
        and len(others) > 1
        and all(_is_number(row[n]) and float(row[n]) in (0, 1) for row in rows for n in others)
    ):
        sums = [sum(float(row[n]) for n in others) for row in rows]
        if all(each == 1 for each in sums):
            return tuple(others)
        raise InvalidSetting(
            "labels",
            f"{table.name} has a column of zeros and ones for each class, and {sum(each != 1 for each in sums):,} of "
            f"{len(sums):,} rows have not exactly one: an image can have one class only; {_advice(header)}",
        )
    if len(called) > 1:
        groups = {tuple(_numbered([row[n] for row in rows])) for n in called}
        if len(groups) == 1:  # the same classes by number and by name
            words = [n for n in called if not all(_is_number(row[n]) for row in rows)]
            return ((words or called)[0],)
    if len(called) == 1:
        return (called[0],)
    found = ", ".join(
        f"{header[n]!r} ({len({row[n] for row in rows}):,} values)" for n in (called or others)[:6]
    )
    raise InvalidSetting(
        "labels", f"which column of {table.name} holds the classes? There are {found}; {_advice(header)}"
    )


def _fill(
    layout: Layout,
    table: str,
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    chosen: _Chosen,
    lookup: _Lookup,
    splits: Splits | None,
) -> None:
    """Give each file that a row names its class and its split."""
    labels: dict[str, set[str]] = {}
    split_of: dict[str, str] = {}
    unknown: list[str] = []
    for row in rows:
        name = lookup(row[chosen.file])
        if name is None:
            unknown.append(row[chosen.file])
            continue
        labels.setdefault(name, set()).add(_label(row, chosen.label, header))
        split_of[name] = "" if chosen.split is None else row[chosen.split]
    whole = all(re.fullmatch(r"\d+(\.0+)?", label) for found in labels.values() for label in found)
    taken: dict[str, str] = {}
    for name in lookup.names:
        found = labels.get(name)
        if found is None:
            layout.skipped.append(Skipped(name, f"has no row in {table}"))
        elif len(found) > 1:
            layout.skipped.append(Skipped(name, f"has several classes in {table}"))
        elif found == {""}:
            layout.skipped.append(Skipped(name, f"has no class in {table}"))
        else:
            label = found.pop()
            taken[name] = str(int(float(label))) if whole else label
    if unknown:
        layout.notes.append(
            f"{len(unknown):,} rows of {table} name no file that is there (such as {unknown[0]!r})."
        )
    classes = sorted(set(taken.values()), key=lambda label: (int(label), "") if whole else (0, label))
    if len(taken) >= FEW and len(classes) > MOST_SINGLE * len(taken):
        raise InvalidSetting(
            "labels",
            f"{table} has {len(classes):,} different values for {len(taken):,} files in "
            f"{header[chosen.label[0]]!r}: those are no classes; {_advice(header)}",
        )
    layout.classes = classes
    _share_out(layout, taken, split_of if chosen.split is not None else {}, splits)


def _share_out(
    layout: Layout, taken: Mapping[str, str], split_of: Mapping[str, str], splits: Splits | None
) -> None:
    """To training and test, by the column of splits, else by folders that are called so."""
    values = dict(split_of) or {name: _split_folder(name) for name in taken}
    roles = _roles({values[name] for name in taken}, splits)
    if "train" not in roles.values() or (not split_of and None in roles.values()):
        layout.train = list(taken.items())
        return
    unused: Counter[str] = Counter()
    for name, label in taken.items():
        role = roles[values[name]]
        if role is None:
            unused[values[name]] += 1
        else:
            (layout.train if role == "train" else layout.test).append((name, label))
    if not split_of and layout.test:
        layout.notes.append("The splits are those of the folders.")
    layout.notes += [
        f"The {count:,} images of the split {value!r} were not used." for value, count in unused.items()
    ]


def _roles(values: set[str], splits: Splits | None) -> dict[str, str | None]:
    """Of each value ``train``, ``test``, or nothing where it is not used."""
    if splits is not None:
        told = {
            value: split
            for split, given in splits.items()
            for value in ([given] if isinstance(given, str) else given)
        }
        if "train" not in splits or not set(splits) <= {"train", "test"} or not set(told) <= values:
            raise InvalidSetting(
                "splits",
                f"splits={dict(splits)!r}: give values of the column as {{'train': ..., 'test': ...}}; there are "
                f"{', '.join(map(repr, sorted(values)[:10]))}",
            )
        return {value: told.get(value) for value in values}
    roles = {value: role_of(value) for value in values}
    tested = "test" if "test" in roles.values() else "val"
    return {
        value: "train" if role == "train" else "test" if role == tested else None
        for value, role in roles.items()
    }


def _split_folder(name: str) -> str:
    """The first folder on the way that is called like a split."""
    return next((part for part in name.split("/")[:-1] if role_of(part)), "")


def _label(row: Sequence[str], columns: tuple[int, ...], header: Sequence[str]) -> str:
    if len(columns) == 1:
        return row[columns[0]]
    return next(header[n] for n in columns if float(row[n]) == 1)


def _understood(table: Table, header: Sequence[str], chosen: _Chosen) -> str:
    several = len(chosen.label) > 1
    label = (
        f"{len(chosen.label)} columns of zeros and ones are"
        if several
        else f"{header[chosen.label[0]]!r} has"
    )
    split = "" if chosen.split is None else f", {header[chosen.split]!r} the splits"
    return (
        f"Of {table.name} the column {header[chosen.file]!r} names the files, {label} the classes{split}; "
        "columns={...} says otherwise."
    )


def _note_unused_split(
    layout: Layout, header: Sequence[str], rows: Sequence[Sequence[str]], chosen: _Chosen
) -> None:
    """Say it where a column is called like splits, and its values are not."""
    for column, name in enumerate(header):
        if chosen.split is None and column not in (chosen.file, *chosen.label) and SPLIT_WORDS & _words(name):
            values = sorted({row[column] for row in rows})
            shown = ", ".join(values[:5]) + (" ..." if len(values) > 5 else "")
            layout.notes.append(
                f"The column {name!r} ({shown}) was not taken for splits; columns={{'split': {name!r}}} and "
                f"splits={{'train': [...], 'test': [...]}} with its values do."
            )


def _advice(header: Sequence[str]) -> str:
    return f"say which column is which with columns={{'file': ..., 'label': ...}}, of {_named(header)}"


def _named(header: Sequence[str]) -> str:
    return ", ".join(map(repr, header[:10])) + (" ..." if len(header) > 10 else "")


def _words(name: str) -> set[str]:
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return set(re.findall(r"[a-z]+", spaced.lower()))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _numbered(values: Sequence[str]) -> list[int]:
    """Each value by the order in which it came first."""
    numbers: dict[str, int] = {}
    return [numbers.setdefault(value, len(numbers)) for value in values]


def _delimiter(text: str) -> str:
    """The sign by which most lines have the same number of cells, and more than one."""
    lines = [line for line in text.splitlines()[:50] if line.strip()]

    def fit(sign: str) -> tuple[float, int]:
        try:
            counts = Counter(len(row) for row in csv.reader(lines, delimiter=sign) if row)
        except csv.Error:
            return 0.0, 0
        width, often = max(counts.items(), key=lambda pair: pair[1], default=(1, 0))
        return (often / max(len(lines), 1), width) if width > 1 else (0.0, 0)

    best = max(DELIMITERS, key=fit)
    return best if fit(best)[1] else " "
