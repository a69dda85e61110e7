"""From lines of JSON back to a history; lines that cannot be right are left out and counted."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from reswork.history import History
from reswork.store.atomic_files import open_regular

_MOST_BYTES = 2 * 1024**3
_LONGEST_LINE = 16 * 1024**2
_TAIL = 64 * 1024
_T = TypeVar("_T")


def read_history(path: Path, size: int | None = None) -> History:
    """The history that `MetricsLog` wrote, also while it is being written; a missing file gives an empty one.

    A torn last line is left out; so is every line that makes no sense, and a note of the kind
    ``unreadable_lines`` says how many there were.

    Args:
        path: the file.
        size: read so many bytes of it; None: all.

    Raises:
        ValueError: if it is no regular file or larger than 2 GiB.
        OSError: if it cannot be opened.
    """
    replay = _Replay()
    if path.exists() or path.is_symlink():
        for line in _lines(path, size):
            replay.take(line)
    history = History.from_dict(replay.entries())
    if replay.unreadable:
        history.note(replay.last_step, "unreadable_lines", count=replay.unreadable)
    return history


def last_step(path: Path) -> int:
    """The step of the last whole line, from the file's end alone; 0 where there is none."""
    try:
        with open_regular(path) as fileno, open(fileno, "rb", closefd=False) as file:
            file.seek(max(0, file.seek(0, 2) - _TAIL))
            tail = file.read(_TAIL)
    except (OSError, ValueError):
        return 0
    for line in reversed(tail.split(b"\n")[:-1]):
        try:
            return _step(json.loads(line)["step"])
        except (ValueError, TypeError, KeyError, RecursionError):
            continue
    return 0


def _lines(path: Path, size: int | None) -> Iterator[bytes]:
    """Whole lines of a file, or of its first bytes; one that is too long comes as an empty one."""
    with open_regular(path) as fileno, open(fileno, "rb", closefd=False) as file:
        if file.seek(0, 2) > _MOST_BYTES:
            raise ValueError(f"{path.name} is larger than 2 GiB and is not read")
        file.seek(0)
        long = False
        while (size is None or file.tell() < size) and (line := file.readline(_LONGEST_LINE)):
            whole = line.endswith(b"\n")
            if whole:
                yield b"" if long else line
            long = not whole


class _Replay:
    """Collects lines into what `History.from_dict` takes."""

    def __init__(self) -> None:
        self.unreadable = 0
        self.last_step = 0
        self._series: dict[str, tuple[list[int], list[float]]] = {}
        self._labels: dict[str, tuple[str, ...]] = {}
        self._rows: dict[str, tuple[list[int], list[list[float]]]] = {}
        self._arrays: dict[str, Mapping[str, Any]] = {}
        self._notes: list[Mapping[str, Any]] = []

    def take(self, line: bytes) -> None:
        try:
            values = json.loads(line)
            if b"\\u" in line:  # half a character could be neither written nor shown
                json.dumps(values, ensure_ascii=False).encode()
            self._take(values)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError):
            self.unreadable += 1

    def entries(self) -> dict[str, Any]:
        groups = {
            name: {"labels": self._labels[name], "steps": steps, "values": rows}
            for name, (steps, rows) in self._rows.items()
        }
        series = {name: {"steps": steps, "values": values} for name, (steps, values) in self._series.items()}
        return {"series": series, "groups": groups, "arrays": self._arrays, "notes": self._notes}

    def _take(self, line: Mapping[str, Any]) -> None:
        if "labels" in line:
            group, labels = line["group"], line["labels"]
            if group in self._labels or not all(isinstance(label, str) for label in [group, *labels]):
                raise ValueError
            self._labels[group] = tuple(labels)
            return
        step = _step(line["step"])
        if "values" in line:
            values = {str(name): float(value) for name, value in line["values"].items()}
            for name, value in values.items():
                _append(self._series, name, step, value)
        elif "row" in line:
            group, row = line["group"], [float(value) for value in line["row"]]
            if len(row) != len(self._labels[group]):
                raise ValueError
            _append(self._rows, group, step, row)
        elif "array" in line:
            self._arrays[str(line["array"])] = _array(step, line)
        else:
            kind, details = line["note"], line["details"]
            if (
                not isinstance(kind, str)
                or not isinstance(details, dict)
                or {"step", "kind"} & details.keys()
            ):
                raise ValueError
            self._notes.append({"step": step, "kind": kind, "details": details})
        self.last_step = max(self.last_step, step)


def _append(kept: dict[str, tuple[list[int], list[_T]]], name: str, step: int, value: _T) -> None:
    """One more value or row of a name; its steps never go back."""
    steps, values = kept.setdefault(name, ([], []))
    if steps and step < steps[-1]:
        raise ValueError
    steps.append(step)
    values.append(value)


def _step(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**62:
        raise ValueError
    return value


def _array(step: int, line: Mapping[str, Any]) -> dict[str, Any]:
    """The entry of a kept array, tried out."""
    kind, shape = np.dtype(line["dtype"]), tuple(_step(length) for length in line["shape"])
    if kind.kind not in "biuf":
        raise ValueError
    np.array([float(item) for item in line["items"]]).astype(kind).reshape(shape)
    return {"step": step, "dtype": str(kind), "shape": shape, "values": line["items"]}
