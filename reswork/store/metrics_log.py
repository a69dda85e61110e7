"""A history as lines of JSON: what is new is appended, and all of it can be read back.

One line holds the values of one step, ``{"step": 3, "values": {"loss/train": 0.7}}``, the labels or one row
of a group, a kept array, or a note. NaN and infinities are the strings "NaN", "Infinity", "-Infinity".
"""

import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from reswork.history import History
from reswork.store.atomic_files import synchronise


@dataclass
class Written:
    """How much of a history is in the file."""

    series: dict[str, tuple[int, int]]  # name -> last step written, and how many points at that step
    groups: dict[str, tuple[int, int]]
    arrays: dict[str, int]  # name -> step of the kept array
    notes: int = 0
    version: int = -1
    size: int = 0  # bytes of whole lines


class MetricsLog:
    """Appends what is new in a history to a file, each time that `flush` is called.

    Only whole lines count: after a failed write (a full disk) the next one cuts off the torn rest and
    writes everything that is missing.

    Args:
        path: the file; made at the first flush.
        history: the record, which may grow in the meantime.
        size: bytes of the file that hold the history as it is now; what follows them is cut off at the next flush.
    """

    def __init__(self, path: Path, history: History, size: int = 0) -> None:
        self._path = path
        self._history = history
        self._written = Written({}, {}, {}, size=size)
        if size:
            for _ in new_lines(history, self._written):
                pass

    @property
    def size(self) -> int:
        """Bytes of whole lines."""
        return self._written.size

    def flush(self, *, to_disk: bool = False) -> None:
        """Append what is new.

        Args:
            to_disk: wait until it is on the disk.

        Raises:
            OSError: if it cannot be written; nothing is lost, call again later.
        """
        before = self._written
        if self._history.version == before.version and before.size:
            if to_disk:
                synchronise(self._path)
            return
        after = replace(
            before, series=dict(before.series), groups=dict(before.groups), arrays=dict(before.arrays)
        )
        after.version = self._history.version
        text = "".join(json.dumps(line, allow_nan=False) + "\n" for line in new_lines(self._history, after))
        content = text.encode()
        with self._path.open("r+b" if before.size else "wb") as file:
            file.truncate(before.size)
            file.seek(before.size)
            file.write(content)
            if to_disk:
                file.flush()
                os.fsync(file.fileno())
        after.size = before.size + len(content)
        self._written = after


def new_lines(history: History, written: Written) -> Iterator[dict[str, Any]]:
    """What a history holds besides what is written, as lines; they count as written then."""
    for group in history.groups:
        yield from _group_lines(history, written, group)
    for name in history.arrays:
        yield from _array_lines(history, written, name)
    for note in history.notes[written.notes :]:
        yield {"step": note.step, "note": note.kind, "details": _plain(note.details)}
        written.notes += 1
    yield from _series_lines(history, written)  # last, so that a flush ends with its newest step


def _series_lines(history: History, written: Written) -> list[dict[str, Any]]:
    rows: dict[tuple[int, int], dict[str, Any]] = {}  # (step, 0 or a repetition's number) -> values
    for name in history.names:
        start, seen = written.series.get(name, (0, 0))
        series = history.series(name, start=start)
        written.series[name] = _end(series.steps)
        previous, repetition = -1, 0
        for step, value in zip(series.steps[seen:].tolist(), series.values[seen:].tolist(), strict=True):
            repetition = repetition + 1 if step == previous else 0
            previous = step
            rows.setdefault((step, repetition), {})[name] = _plain(value)
    return [{"step": key[0], "values": rows[key]} for key in sorted(rows)]


def _group_lines(history: History, written: Written, group: str) -> Iterator[dict[str, Any]]:
    start, seen = written.groups.get(group, (0, 0))
    vectors = history.vectors(group, start=start)
    if group not in written.groups:
        yield {"group": group, "labels": list(vectors.labels)}
    written.groups[group] = _end(vectors.steps)
    for step, row in zip(vectors.steps[seen:].tolist(), vectors.values[seen:].tolist(), strict=True):
        yield {"step": step, "group": group, "row": _plain(row)}


def _end(steps: np.ndarray) -> tuple[int, int]:
    """The last step, and how many points have it."""
    return (int(steps[-1]), int((steps == steps[-1]).sum())) if len(steps) else (0, 0)


def _array_lines(history: History, written: Written, name: str) -> Iterator[dict[str, Any]]:
    kept = history.array(name)
    if kept is None or written.arrays.get(name) == kept[0]:
        return
    step, array = kept
    written.arrays[name] = step
    shape, kind = list(array.shape), str(array.dtype)
    yield {
        "step": step,
        "array": name,
        "dtype": kind,
        "shape": shape,
        "items": _plain(array.ravel().tolist()),
    }


def _plain(value: Any) -> Any:
    """The same in values that JSON has."""
    if isinstance(value, float):
        return value if math.isfinite(value) else _WORDS[str(value)]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, str | int | bool) else str(value)


_WORDS = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
