"""`returns`: what a trained network cost and what it brings, where somebody says what an error costs."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from reswork.contrast.answers import as_inputs
from reswork.datasets.dataset import Dataset
from reswork.errors import InvalidSetting
from reswork.planning.plan import watts_here
from reswork.planning.prices import Prices, chosen
from reswork.planning.sheet_file import Cell, save_sheet
from reswork.results.latency import Latency
from reswork.shipping.subject import network_of
from reswork.store.saved_run import SavedRun
from reswork.training.live_run import LiveRun

_HEAD = ("quantity", "value", "unit", "how it is known")
_TIMED_S = 0.5


@dataclass(frozen=True)
class Line:
    """One line of the sheet.

    Attributes:
        name: of the quantity.
        value: of it; NaN where it cannot be told.
        unit: such as ``USD``.
        how: entered, measured, or from which others it is computed.
    """

    name: str
    value: float
    unit: str
    how: str


@dataclass(frozen=True, eq=False)
class Returns:
    """What a network cost and what it brings, line by line; print it, or `save` it as CSV.

    Attributes:
        run: name of the run.
        lines: what was entered, what was measured, what follows.
    """

    run: str
    lines: tuple[Line, ...]

    def __getitem__(self, name: str) -> float:
        """The value of a line by its name.

        Raises:
            KeyError: there is no such line.
        """
        found = [each.value for each in self.lines if each.name == name]
        if not found:
            raise KeyError(
                f"{name!r} is no line; there are {', '.join(repr(each.name) for each in self.lines)}"
            )
        return found[0]

    def save(self, path: str | Path) -> Path:
        """Write the sheet as CSV.

        Raises:
            InvalidSetting: another ending than .csv, or a file that cannot be written.
        """
        return save_sheet(path, self._cells())

    def _cells(self) -> Iterator[tuple[Cell, ...]]:
        yield _HEAD
        for each in self.lines:
            yield each.name, "" if math.isnan(each.value) else float(f"{each.value:.6g}"), each.unit, each.how

    def __str__(self) -> str:
        rows = [_HEAD, *((each.name, told(each.value), each.unit, each.how) for each in self.lines)]
        widths = [max(len(row[k]) for row in rows) for k in range(4)]
        return "\n".join(
            "  ".join(cell.ljust(n) for cell, n in zip(row, widths, strict=True)).rstrip() for row in rows
        )

    __repr__ = __str__


def returns(
    run: SavedRun | LiveRun,
    *,
    error_cost: float,
    predictions: float = 10_000,
    error_before: float | None = None,
    months: float = 12,
    other_costs: float = 0.0,
    prices: Prices | str | Path | None = None,
    data: Dataset | None = None,
    latency: Latency | float | None = None,
) -> Returns:
    """What a trained network cost, and what it brings against the way it was done before.

    Args:
        run: whose accuracy on test images is taken for that in use; it is so only where these look alike.
        error_cost: money that a wrong answer costs.
        predictions: a month.
        error_before: share of wrong answers before, 0 to 1, such as of people or of the last version; None: that of
            always guessing the most frequent class.
        months: that are looked at.
        other_costs: money beside the machines, such as for people and labels, once.
        prices: as for `reswork.plan`.
        data: what the run learned from; None: the run's own, where it can be loaded again.
        latency: from `reswork.latency`, whose fastest median is taken; or seconds of a prediction; None: one image at
            a time is timed here, in torch.

    Returns:
        The sheet; print it for a table, ``.save("sheet.csv")``.

    Raises:
        InvalidSetting: a run that does not tell classes apart, or numbers that cannot be.
    """
    table = chosen(prices)
    _check(error_cost, predictions, error_before, months, other_costs)
    headline = run.headline
    if headline is None or headline.name != "top1":
        raise InvalidSetting(
            "run", f"run {run.name!r} does not tell classes apart: what its errors cost is not counted yet"
        )
    accuracy, curve = run.history.last("top1/test"), run.history.series("top1/test").values
    if accuracy is None:
        raise InvalidSetting("run", f"run {run.name!r} has not been judged on test images yet")
    if data is None:
        data = run.load_data() if isinstance(run, SavedRun) else _data_of(run)
    seconds = run.history.series("seconds/epoch").values
    lines = _Lines(table.currency)
    lines.entered(error_cost, predictions, months, other_costs)
    before = lines.before(error_before, data)
    lines.add("error now", 1 - accuracy, "share", f"measured on {len(data.test):,} test images")
    watts, how = watts_here(table, None)
    hourly = table.here.per_hour + watts / 1000 * table.electricity_per_kwh
    lines.add(
        "an hour of this machine", hourly, table.currency,
        f"{table.here.per_hour:g} and {watts:.0f} W ({how}) at {table.electricity_per_kwh:g} a kWh, of {table.date}",
    )  # fmt: skip
    lines.add("training", float(seconds.sum()), "s", "measured, without evaluations and pauses")
    training = lines.add(
        "cost of training", float(seconds.sum()) / 3600 * hourly, table.currency, "training times hour"
    )
    points = 100 * (before - (1 - accuracy))
    lines.add(
        "cost of a point of accuracy", training / points if points > 0 else math.nan, table.currency,
        "cost of training by points gained over before",
    )  # fmt: skip
    lines.add(
        "cost of the last point", last_point(curve, seconds) / 3600 * hourly, table.currency,
        "training from where the accuracy was first within a point of the best, to there",
    )  # fmt: skip
    each_s, known = _prediction_s(run, data, latency)
    lines.add("a prediction", 1e3 * each_s, "ms", known)
    thousand = lines.add(
        "cost of a thousand predictions",
        1000 * each_s / 3600 * hourly,
        table.currency,
        "while the machine is busy with them",
    )
    lines.gains(before - (1 - accuracy), thousand, training)
    return Returns(run.name, tuple(lines.made))


def last_point(curve: np.ndarray, seconds: np.ndarray) -> float:
    """Seconds of training between coming within a point of the best accuracy and reaching it; NaN if not known.

    Args:
        curve: (E,) accuracy after each epoch.
        seconds: (E,) of training in each.
    """
    if not len(curve) or len(curve) != len(seconds):
        return math.nan
    best = int(np.argmax(curve))
    near = int(np.argmax(curve >= curve[best] - 0.01))
    return float(seconds[near + 1 : best + 1].sum())


def told(value: float) -> str:
    """A number for a table; ``?`` where it is not known.

    Example:
        >>> told(12345.678), told(0.000123456), told(float("nan"))
        ('12,346', '0.000123', '?')
    """
    if math.isnan(value):
        return "?"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


class _Lines:
    """The sheet as it is written, from what is entered to what follows."""

    def __init__(self, currency: str) -> None:
        self.made: list[Line] = []
        self._currency = currency

    def add(self, name: str, value: float, unit: str, how: str) -> float:
        """Write a line; gives its value."""
        self.made.append(Line(name, value, unit, how))
        return value

    def entered(self, error_cost: float, predictions: float, months: float, other_costs: float) -> None:
        """What only the user knows."""
        self._error_cost, self._predictions, self._months = error_cost, predictions, months
        self._other = other_costs
        self.add("cost of an error", error_cost, self._currency, "entered")
        self.add("predictions a month", predictions, "", "entered")
        self.add("months", months, "", "entered")
        self.add("other costs, once", other_costs, self._currency, "entered")

    def before(self, given: float | None, data: Dataset) -> float:
        """The share of errors without the network."""
        if given is not None:
            return self.add("error before", given, "share", "entered")
        counts = data.class_counts("test")
        guess = 1 - float(counts.max() / counts.sum())
        return self.add(
            "error before", guess, "share", "not entered: that of always guessing the most frequent class"
        )

    def gains(self, fewer: float, thousand: float, training: float) -> None:
        """What follows."""
        a_month = self.add(
            "fewer errors a month", fewer * self._predictions, "", "predictions times error before less now"
        )
        saved = self.add(
            "saved a month", a_month * self._error_cost, self._currency, "fewer errors times cost of an error"
        )
        serving = self.add(
            "cost of serving a month", thousand * self._predictions / 1000, self._currency,
            "predictions times their cost; a machine that also waits costs its hours",
        )  # fmt: skip
        once = training + self._other
        net = saved - serving
        self.add(
            "paid back after",
            once / net if net > 0 else math.nan,
            "months",
            "costs once by saved less serving",
        )
        cost = once + self._months * serving
        brought = self.add(
            "brought in all",
            self._months * saved - cost,
            self._currency,
            "months of what is saved, less all costs",
        )
        self.add(
            "return on investment",
            brought / cost if cost > 0 else math.nan,
            "times the costs",
            "brought by all costs",
        )


def _prediction_s(
    run: SavedRun | LiveRun, data: Dataset, latency: Latency | float | None
) -> tuple[float, str]:
    if isinstance(latency, int | float):
        return float(latency), "entered"
    if latency is not None:
        ones = [each for each in latency.times if each.batch_size == 1]
        if not ones:
            raise InvalidSetting(
                "latency", "latency has no calls with one image: measure it with batch_sizes=(1,)"
            )
        best = min(ones, key=lambda each: float(np.median(each.seconds)))
        return float(np.median(best.seconds)), f"measured: median of {len(best.seconds):,} calls, {best.name}"
    network, image, times = network_of(run), as_inputs(data, np.array([0])).cpu(), list[float]()
    with torch.inference_mode():
        network(image)
        end = time.perf_counter() + _TIMED_S
        while len(times) < 5 or time.perf_counter() < end:
            begin = time.perf_counter()
            network(image)
            times.append(time.perf_counter() - begin)
    return float(np.median(times)), f"measured: median of {len(times):,} calls with one image, in torch here"


def _data_of(run: LiveRun) -> Dataset:
    found: Any = getattr(run, "data", None)
    if not isinstance(found, Dataset):
        raise InvalidSetting("data", f"run {run.name!r} does not hand out its data; give data=")
    return found


def _check(
    error_cost: float, predictions: float, error_before: float | None, months: float, other_costs: float
) -> None:
    given = {
        "error_cost": error_cost,
        "predictions": predictions,
        "months": months,
        "other_costs": other_costs,
    }
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e15:
            raise InvalidSetting(name, f"{name}={value!r} must be a number from 0")
    if error_before is not None and not 0 <= error_before <= 1:
        raise InvalidSetting("error_before", f"error_before={error_before!r} must be a share, 0 to 1")
