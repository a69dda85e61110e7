"""Several runs as one: their mean, and the band from the smallest to the largest of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from reswork.figures.smoothing import Floats, smoothed

if TYPE_CHECKING:
    from reswork.history import History, Series


@dataclass(frozen=True, eq=False)
class Band:
    """Mean, smallest and largest over runs; at each step over those runs that got so far."""

    steps: Floats  # (n,)
    mean: Floats  # (n,)
    low: Floats  # (n,)
    high: Floats  # (n,)
    counts: np.ndarray  # (n,) runs with a value

    def __len__(self) -> int:
        return len(self.steps)


def curve_band(histories: Sequence["History"], name: str, max_points: int, factor: float = 1.0) -> Band:
    """Of the smoothed curves of one series; steps that a run did not record are read off its curve."""
    curves = [smoothed(history.means(name, max_points)) for history in histories]
    curves = [(steps, values * factor) for steps, values in curves if len(steps)]
    if not curves:
        return _band(np.empty(0, np.float32), np.empty((0, 0)))
    grid = max((steps for steps, _ in curves), key=lambda steps: (float(steps[-1]), len(steps)))
    rows = [np.interp(grid, steps, values, left=np.nan, right=np.nan) for steps, values in curves]
    return _band(grid, np.array(rows))


def point_band(series: Sequence["Series"], factor: float = 1.0) -> Band:
    """Of single points, such as one evaluation for each epoch; only values of the same step come together."""
    steps = np.unique(np.concatenate([each.steps for each in series] or [np.empty(0, np.int64)]))
    rows = np.full((len(series), len(steps)), np.nan)
    for row, each in zip(rows, series, strict=True):
        row[np.searchsorted(steps, each.steps)] = each.values * factor
    return _band(steps.astype(np.float32), rows)


def _band(steps: Floats, rows: np.ndarray) -> Band:
    """Over rows (runs, n); NaN and infinities count as missing."""
    known = np.isfinite(rows)
    counts = known.sum(axis=0) if rows.size else np.zeros(len(steps), np.int64)
    some = counts > 0
    rows, known, steps = (
        rows[:, some] if rows.size else rows,
        known[:, some] if rows.size else known,
        steps[some],
    )
    if not len(steps):
        empty = np.empty(0, np.float32)
        return Band(empty, empty, empty, empty, np.empty(0, np.int64))
    mean = np.where(known, rows, 0.0).sum(axis=0) / counts[some]
    low = np.where(known, rows, np.inf).min(axis=0)
    high = np.where(known, rows, -np.inf).max(axis=0)
    at, mean, low, high = (np.asarray(part, np.float32) for part in (steps, mean, low, high))
    return Band(at, mean, low, high, counts[some])


def band_trace(band: Band, colour: str) -> dict[str, Any]:
    """The area between the smallest and the largest, as one pale shape; the colour is ``"#rrggbb"``."""
    red, green, blue = (int(colour[index : index + 2], 16) for index in (1, 3, 5))
    return {
        "type": "scatter",
        "mode": "lines",
        "x": np.concatenate([band.steps, band.steps[::-1]]),
        "y": np.concatenate([band.high, band.low[::-1]]),
        "fill": "toself",
        "fillcolor": f"rgba({red},{green},{blue},0.22)",
        "line": {"color": colour, "width": 0},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def spread_bars(band: Band) -> dict[str, Any]:
    """Bars from the smallest to the largest at each mean."""
    return {
        "type": "data",
        "symmetric": False,
        "array": band.high - band.mean,
        "arrayminus": band.mean - band.low,
        "thickness": 1.5,
        "width": 4,
    }
