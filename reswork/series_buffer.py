"""Growing arrays of steps and values, and their reduction to few points: what a `History` is made of."""

import numpy as np

from reswork.errors import InvalidSetting

_BLOCK = 16  # points per summary block: reading 100,000 steps costs as much as reading 6,000


class Column:
    """Steps and values in growing arrays, with extremes and sum of each full block."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.size = 0
        self._steps = np.empty(256, np.int64)
        self._values = np.empty(256, np.float64)
        self._blocks = 0  # blocks summarised so far; extended when somebody reads, not at each write
        self._extremes = np.empty((16, 2), np.int64)  # places of minimum and maximum
        self._sums = np.empty((16, 2), np.float64)  # of the finite values, and how many they are

    @property
    def last(self) -> float | None:
        """The newest value."""
        return float(self._values[self.size - 1]) if self.size else None

    def append(self, step: int, value: float) -> None:
        """Add a point; its step is not smaller than the last one's."""
        size = self.size
        if size and step < self._steps[size - 1]:
            _refuse_step(self.name, step, int(self._steps[size - 1]))
        if size == len(self._steps):
            self._reserve(size + 1)
        self._steps[size] = step
        self._values[size] = value
        self.size = size + 1

    def extend(self, steps: np.ndarray, values: np.ndarray) -> None:
        """Add points: (n,) int64 and (n,) float64."""
        if steps.shape != values.shape or steps.ndim != 1:
            raise InvalidSetting(
                "values", f"{self.name}: {steps.shape} steps and {values.shape} values; give one each"
            )
        if not len(steps):
            return
        before = self._steps[self.size - 1] if self.size else steps[0]
        if steps[0] < before or (np.diff(steps) < 0).any():
            _refuse_step(self.name, int(steps.min()), int(max(before, steps.max())))
        self._reserve(self.size + len(steps))
        self._steps[self.size : self.size + len(steps)] = steps
        self._values[self.size : self.size + len(steps)] = values
        self.size += len(steps)

    def read(self, start: int, max_points: int | None) -> tuple[np.ndarray, np.ndarray]:
        """Copies of steps and values from a step on, thinned to at most `max_points`."""
        steps, values = self._steps[: self.size], self._values[: self.size]
        first = int(np.searchsorted(steps, start)) if start > 0 else 0
        if max_points is None or self.size - first <= max_points:
            return steps[first:].copy(), values[first:].copy()
        if self.size - first >= _BLOCK * max_points // 2:  # many: look at the blocks' extremes only
            full = self._summarise()
            begin = -(-first // _BLOCK)  # the first whole block; points outside whole blocks all count
            inner = self._extremes[begin:full].ravel()
            outer = np.arange(first, begin * _BLOCK), np.arange(full * _BLOCK, self.size)
            candidates = np.concatenate([outer[0], inner, outer[1]])
            chosen = candidates[_extremes(values[candidates], max_points)]
        else:
            chosen = first + _extremes(values[first:], max_points)
        return steps[chosen], values[chosen]

    def until(self, step: int) -> "Column":
        """A copy of the points up to a step, this one among them."""
        count = int(np.searchsorted(self._steps[: self.size], step, side="right"))
        column = Column(self.name)
        column.extend(self._steps[:count], self._values[:count])
        return column

    def means(self, max_points: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """At most `max_points` steps, means of neighbours and how many finite values stand behind each."""
        steps, values = self._steps[: self.size], self._values[: self.size]
        width = bucket_width(self.size, max_points)
        if width < _BLOCK:
            return bucket_means(steps, values, width)
        full = self._summarise()
        rest = _finite_sums(values[None, full * _BLOCK :])
        sums = np.concatenate([self._sums[:full], rest]) if self.size % _BLOCK else self._sums[:full]
        sums = np.add.reduceat(sums, np.arange(0, len(sums), width // _BLOCK))
        return _means(steps, sums, width)

    def _summarise(self) -> int:
        """Bring the blocks up to date; gives how many are full."""
        full = self.size // _BLOCK
        if full > self._blocks:
            self._extremes, self._sums = _grown(self._extremes, full), _grown(self._sums, full)
            fresh = self._values[self._blocks * _BLOCK : full * _BLOCK].reshape(-1, _BLOCK)
            offsets = np.arange(self._blocks, full)[:, None] * _BLOCK
            self._extremes[self._blocks : full] = offsets + _places(fresh)
            self._sums[self._blocks : full] = _finite_sums(fresh)
            self._blocks = full
        return full

    def _reserve(self, size: int) -> None:
        self._steps = _grown(self._steps, size)
        self._values = _grown(self._values, size)


class Table:
    """Steps and rows of values in growing arrays."""

    def __init__(self, group: str, labels: tuple[str, ...]) -> None:
        self.group = group
        self.labels = labels
        self.size = 0
        self._steps = np.empty(64, np.int64)
        self._values = np.empty((64, len(labels)), np.float64)

    def append(self, step: int, labels: tuple[str, ...], row: np.ndarray) -> None:
        """Add a row, (L,)."""
        if labels != self.labels or row.shape != (len(labels),):
            raise InvalidSetting(
                "labels",
                f"{self.group} has {len(self.labels)} labels and got {len(labels)} with values of shape "
                f"{row.shape}; give the same labels at each step, or use another group",
            )
        if self.size and step < self._steps[self.size - 1]:
            _refuse_step(self.group, step, int(self._steps[self.size - 1]))
        self._steps = _grown(self._steps, self.size + 1)
        self._values = _grown(self._values, self.size + 1)
        self._steps[self.size], self._values[self.size] = step, row
        self.size += 1

    def read(
        self, start: int, max_points: int | None, column: int | slice = slice(None)
    ) -> tuple[np.ndarray, np.ndarray]:
        """Copies of steps and rows, or of one column, from a step on, evenly thinned."""
        first = int(np.searchsorted(self._steps[: self.size], start)) if start > 0 else 0
        count = self.size - first
        stride = 1 if max_points is None else max(1, -(-count // max(1, max_points)))
        chosen = slice(first + (count - 1) % stride, self.size, stride)  # counted back from the newest
        return self._steps[chosen].copy(), self._values[chosen, column].copy()

    def until(self, step: int) -> "Table":
        """A copy of the rows up to a step, this one among them."""
        count = int(np.searchsorted(self._steps[: self.size], step, side="right"))
        table = Table(self.group, self.labels)
        table.size = count
        table._steps = _grown(self._steps[:count].copy(), 1)
        table._values = _grown(self._values[:count].copy(), 1)
        return table


def _grown(array: np.ndarray, size: int) -> np.ndarray:
    """The array itself where it has room for `size` rows, else a copy with at least twice the room."""
    if size <= len(array):
        return array
    grown = np.empty((max(size, 2 * len(array)), *array.shape[1:]), array.dtype)
    grown[: len(array)] = array
    return grown


def _places(rows: np.ndarray) -> np.ndarray:
    """Of each row the columns of its minimum and maximum, in order; NaN counts only where all are NaN."""
    missing = np.isnan(rows)
    low = np.where(missing, np.inf, rows).argmin(axis=1)
    high = np.where(missing, -np.inf, rows).argmax(axis=1)
    return np.stack([np.minimum(low, high), np.maximum(low, high)], axis=1)  # (rows, 2)


def _extremes(values: np.ndarray, max_points: int) -> np.ndarray:
    """Places of each bucket's minimum and maximum, and of the newest point: at most `max_points`."""
    newest = len(values) - 1
    buckets = max(1, (max_points - 1) // 2)
    if max_points < 3:
        return np.arange(len(values))[-max_points:] if max_points > 0 else np.empty(0, np.int64)
    width = -(-newest // buckets)
    full = newest // width
    indices = np.arange(full)[:, None] * width + _places(values[: full * width].reshape(full, width))
    parts = [indices.ravel()]
    if full * width < newest:
        parts.append(full * width + _places(values[None, full * width : newest])[0])
    return np.unique(np.concatenate([*parts, [newest]]))


def thinned(steps: np.ndarray, values: np.ndarray, max_points: int | None) -> tuple[np.ndarray, np.ndarray]:
    """At most `max_points` of the points, extremes and the newest among them."""
    if max_points is None or len(steps) <= max_points:
        return steps, values
    chosen = _extremes(values, max_points)
    return steps[chosen], values[chosen]


def bucket_width(count: int, max_points: int) -> int:
    """How many neighbours a mean is of: a power of two, so means stay where they are while a series grows."""
    width = 1
    while count > width * max_points:
        width *= 2
    return width


def bucket_means(
    steps: np.ndarray, values: np.ndarray, width: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Last steps, means and numbers of the finite values of each `width` neighbours; NaN where there are none."""
    finite = np.isfinite(values)
    both = np.stack([np.where(finite, values, 0.0), finite], axis=1)  # (n, 2)
    sums = np.add.reduceat(both, np.arange(0, len(values), width)) if len(values) else both
    return _means(steps, sums, width)


def _means(steps: np.ndarray, sums: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The last step of each bucket of `width`, its mean and its count, of sums and counts (buckets, 2)."""
    ends = np.minimum(np.arange(0, len(steps), width) + width, len(steps)) - 1
    with np.errstate(invalid="ignore"):
        return steps[ends], sums[:, 0] / sums[:, 1], sums[:, 1].astype(np.int64)


def _finite_sums(rows: np.ndarray) -> np.ndarray:
    """Of each row the sum of its finite values and how many they are, (rows, 2)."""
    finite = np.isfinite(rows)
    return np.stack([np.where(finite, rows, 0.0).sum(axis=1), finite.sum(axis=1)], axis=1)


def _refuse_step(name: str, step: int, last: int) -> None:
    raise InvalidSetting(
        "step",
        f"{name} already holds step {last} and got step {step}; steps may not go back: use a new History",
    )
