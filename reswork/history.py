"""The record of a run: named series of numbers that one thread writes while any other reads."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from reswork.series_buffer import Column, Table, bucket_means, bucket_width, thinned


@dataclass(frozen=True, eq=False)
class Series:
    """One named sequence: ``values[i]`` was recorded at ``steps[i]``."""

    name: str
    steps: np.ndarray  # (n,) int64
    values: np.ndarray  # (n,) float64

    def __len__(self) -> int:
        return len(self.steps)


@dataclass(frozen=True, eq=False)
class Means:
    """Means of neighbours of a series: ``values[i]`` is of ``counts[i]`` values, the last of them at ``steps[i]``."""

    name: str
    steps: np.ndarray  # (n,) int64
    values: np.ndarray  # (n,) float64; NaN where nothing finite was recorded
    counts: np.ndarray  # (n,) int64, finite values
    recorded: int  # values in the whole series

    def __len__(self) -> int:
        return len(self.steps)


@dataclass(frozen=True, eq=False)
class Vectors:
    """One value per label at each step, such as the gradient norm of every layer."""

    group: str
    labels: tuple[str, ...]  # (L,)
    steps: np.ndarray  # (n,) int64
    values: np.ndarray  # (n, L) float64

    def __len__(self) -> int:
        return len(self.steps)


@dataclass(frozen=True)
class Note:
    """Something that happened once, such as a new learning rate; ``details`` holds JSON values."""

    step: int
    kind: str
    details: dict[str, Any] = field(default_factory=dict)


class History:
    """Everything that a run recorded; read it at any time, from any thread, also while it grows.

    Each series' steps never decrease. Readers get copies. Reading with ``max_points`` costs about
    the same at a hundred and at a hundred thousand steps, so a live figure stays quick.

    Example:
        >>> history = History()
        >>> history.record(1, {"loss/train": 2.3})
        >>> history.record(2, {"loss/train": 1.9})
        >>> history.series("loss/train").values.tolist()
        [2.3, 1.9]
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._series: dict[str, Column] = {}
        self._groups: dict[str, Table] = {}
        self._arrays: dict[str, tuple[int, np.ndarray]] = {}
        self._notes: list[Note] = []
        self._version = 0

    # --- writing -------------------------------------------------------------------------------

    def record(self, step: int, values: Mapping[str, float]) -> None:
        """Append one value to each named series.

        Args:
            step: optimizer updates so far; not smaller than the last one of the same series.
            values: series name to number; NaN and infinities are kept.

        Raises:
            InvalidSetting: if a step is smaller than one that the series already holds.
        """
        numbers = {name: float(value) for name, value in values.items()}
        with self._lock:
            for name, value in numbers.items():
                self._column(name).append(step, value)
            self._version += 1

    def extend(
        self, name: str, steps: Sequence[int] | np.ndarray, values: Sequence[float] | np.ndarray
    ) -> None:
        """Append many points to one series at once, as a recorder does that collects before it writes."""
        new_steps, new_values = np.asarray(steps, np.int64), np.asarray(values, np.float64)
        with self._lock:
            self._column(name).extend(new_steps, new_values)
            self._version += 1

    def record_vector(
        self, group: str, step: int, labels: Sequence[str], values: Sequence[float] | np.ndarray
    ) -> None:
        """Append one value per label; each is also readable as the series ``<group>/<label>``.

        Args:
            group: name such as ``"grad_norm"``.
            step: optimizer updates so far.
            labels: (L,) names, the same ones at every call.
            values: (L,) numbers.

        Raises:
            InvalidSetting: if the labels differ from the group's first ones, or the step goes back.
        """
        row = np.asarray(values, np.float64)
        with self._lock:
            table = self._groups.get(group)
            if table is None:
                table = self._groups[group] = Table(group, tuple(labels))
            table.append(step, tuple(labels), row)
            self._version += 1

    def keep(self, name: str, step: int, array: np.ndarray) -> None:
        """Keep a copy of an array under a name; only the last one stays, such as ``confusion/test``."""
        copy = np.array(array)
        with self._lock:
            self._arrays[name] = (int(step), copy)
            self._version += 1

    def note(self, step: int, kind: str, **details: Any) -> None:
        """Write down that something happened; ``details`` must be JSON values."""
        with self._lock:
            self._notes.append(Note(int(step), kind, details))
            self._version += 1

    # --- reading -------------------------------------------------------------------------------

    def become(self, other: "History") -> None:
        """Hold what another one holds, and nothing else, such as where a run goes on from an earlier step.

        Args:
            other: not used by anyone else afterwards.
        """
        with other._lock:
            held = other._series, other._groups, other._arrays, other._notes
        with self._lock:
            self._series, self._groups, self._arrays, self._notes = held
            self._version += 1

    @property
    def version(self) -> int:
        """A number that grows at every write: unchanged means that nothing needs drawing."""
        return self._version

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the single series, in order of appearance; those of the groups are not among them."""
        with self._lock:
            return tuple(self._series)

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the groups, such as ``grad_norm``."""
        with self._lock:
            return tuple(self._groups)

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the kept arrays."""
        with self._lock:
            return tuple(self._arrays)

    @property
    def notes(self) -> tuple[Note, ...]:
        """Everything noted, oldest first."""
        with self._lock:
            return tuple(self._notes)

    def series(self, name: str, start: int = 0, max_points: int | None = None) -> Series:
        """One series, as a copy; an unknown name gives an empty one.

        Args:
            name: such as ``"loss/train"`` or, from a group, ``"grad_norm/layer1.0.conv1"``.
            start: first step that you want.
            max_points: at most so many points: of each bucket of neighbours the smallest and the
                largest stay, at their own steps, so that peaks survive; the newest point always stays.

        Returns:
            Steps (n,) int64 and values (n,) float64.
        """
        with self._lock:
            column = self._series.get(name)
            if column is not None:
                return Series(name, *column.read(start, max_points))
            group, _, label = name.partition("/")
            table = self._groups.get(group)
            if table is None or label not in table.labels:
                return Series(name, np.empty(0, np.int64), np.empty(0))
            steps, values = table.read(start, None, table.labels.index(label))
        return Series(name, *thinned(steps, values, max_points))

    def means(self, name: str, max_points: int) -> Means:
        """One series as at most so many means of neighbours; an unknown name gives none.

        The number of neighbours is a power of two, so means stay where they are while a series grows.

        Args:
            name: as in `series`.
            max_points: at most so many; NaN and infinities count as missing.
        """
        with self._lock:
            column = self._series.get(name)
            if column is not None:
                return Means(name, *column.means(max_points), column.size)
        series = self.series(name)
        width = bucket_width(len(series), max_points)
        return Means(name, *bucket_means(series.steps, series.values, width), len(series))

    def vectors(self, group: str, start: int = 0, max_points: int | None = None) -> Vectors:
        """All values of a group, as a copy; an unknown group gives an empty one without labels.

        Args:
            group: such as ``"grad_norm"``.
            start: first step that you want.
            max_points: at most so many steps, evenly strided; the newest one always stays.

        Returns:
            Steps (n,) int64, labels (L,), values (n, L) float64.
        """
        with self._lock:
            table = self._groups.get(group)
            if table is None:
                return Vectors(group, (), np.empty(0, np.int64), np.empty((0, 0)))
            return Vectors(group, table.labels, *table.read(start, max_points))

    def last(self, name: str) -> float | None:
        """The newest value of a series (also ``<group>/<label>``), or None where there is none yet."""
        with self._lock:
            column = self._series.get(name)
            if column is not None:
                return column.last
        values = self.series(name).values
        return float(values[-1]) if len(values) else None

    def array(self, name: str) -> tuple[int, np.ndarray] | None:
        """The step and a copy of a kept array, or None."""
        with self._lock:
            kept = self._arrays.get(name)
            return None if kept is None else (kept[0], kept[1].copy())

    def until(self, step: int) -> "History":
        """What was recorded up to a step, this one among them, as a history of its own.

        Example:
            >>> history = History()
            >>> history.extend("loss/train", [1, 2, 3], [2.3, 1.9, 1.5])
            >>> history.until(2).last("loss/train")
            1.9
        """
        earlier = History()
        with self._lock:
            columns = {name: column.until(step) for name, column in self._series.items()}
            earlier._series = {name: column for name, column in columns.items() if column.size}
            earlier._groups = {name: table.until(step) for name, table in self._groups.items()}
            earlier._arrays = {
                name: (kept, array.copy()) for name, (kept, array) in self._arrays.items() if kept <= step
            }
            earlier._notes = [note for note in self._notes if note.step <= step]
            earlier._version = self._version
        return earlier

    # --- JSON ----------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON values; NaN and infinities become strings that `from_dict` understands."""
        with self._lock:
            series = {name: column.read(0, None) for name, column in self._series.items()}
            groups = {name: (table.labels, *table.read(0, None)) for name, table in self._groups.items()}
            arrays = {name: (step, array.copy()) for name, (step, array) in self._arrays.items()}
            notes = list(self._notes)
        return {
            "series": {k: {"steps": s.tolist(), "values": _to_json(v)} for k, (s, v) in series.items()},
            "groups": {
                k: {"labels": list(labels), "steps": s.tolist(), "values": _to_json(v)}
                for k, (labels, s, v) in groups.items()
            },
            "arrays": {
                k: {
                    "step": step,
                    "dtype": str(a.dtype),
                    "shape": list(a.shape),
                    "values": _to_json(a.ravel()),
                }
                for k, (step, a) in arrays.items()
            },
            "notes": [{"step": n.step, "kind": n.kind, "details": n.details} for n in notes],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The history that `to_dict` described."""
        history = cls()
        for name, entry in data.get("series", {}).items():
            history.extend(name, entry["steps"], _from_json(entry["values"]))
        for name, entry in data.get("groups", {}).items():
            for step, row in zip(entry["steps"], entry["values"], strict=True):
                history.record_vector(name, step, entry["labels"], _from_json(row))
        for name, entry in data.get("arrays", {}).items():
            values = _from_json(entry["values"]).astype(entry["dtype"])
            history.keep(name, entry["step"], values.reshape(entry["shape"]))
        for entry in data.get("notes", []):
            history.note(entry["step"], entry["kind"], **entry["details"])
        return history

    def _column(self, name: str) -> Column:
        column = self._series.get(name)
        if column is None:
            column = self._series[name] = Column(name)
        return column


def _to_json(values: np.ndarray) -> Any:
    """Nested lists; what JSON cannot say becomes "NaN", "Infinity" or "-Infinity"."""
    if values.dtype.kind != "f" or np.isfinite(values).all():
        return values.tolist()
    if values.ndim > 1:
        return [_to_json(row) for row in values]
    return [value if np.isfinite(value) else _WORDS[str(value)] for value in values.tolist()]


def _from_json(values: Sequence[Any]) -> np.ndarray:
    return np.array([float(value) if isinstance(value, str) else value for value in values])


_WORDS = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
