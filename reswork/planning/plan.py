"""`plan`: what a training will cost here and elsewhere, said before it, with everything that is assumed."""

import copy
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from reswork.datasets.dataset import Dataset
from reswork.errors import InvalidSetting
from reswork.models.config import ResNetConfig
from reswork.models.network import resnet
from reswork.models.sheet import SpecSheet, spec_sheet
from reswork.planning.energy import assumed_watts
from reswork.planning.prices import Machine, Prices, chosen
from reswork.planning.sheet_file import Cell, save_sheet
from reswork.planning.trial import Trial, trial
from reswork.planning.work import (
    GPU_OPERATIONS,
    GPU_START_S,
    GPU_TRAFFIC,
    Work,
    gpu_seconds,
    law,
    relative_seconds,
    step_work,
    training_bytes,
)
from reswork.store.description import model_label
from reswork.training.image_sizes import work_done
from reswork.training.recipe import Recipe, steps_per_epoch, total_steps

_GPU_START_S = 15.0  # until the first step; a guess
_HEAD = (
    "way", "seconds", "at best", "at worst", "kWh", "money", "how it is known", "what is assumed",
)  # fmt: skip


@dataclass(frozen=True)
class Way:
    """One way to train, with what it costs.

    Attributes:
        name: of it.
        seconds: that it takes.
        low: if all goes well.
        high: if it does not.
        kwh: kilowatt-hours of electricity.
        money: for the machine, or for the electricity of one's own.
        basis: ``"measured"`` here, ``"law"`` that was fitted to measurements here, or ``"estimated"`` from data sheets.
        assumes: what has to be true, in a sentence.
    """

    name: str
    seconds: float
    low: float
    high: float
    kwh: float
    money: float
    basis: str
    assumes: str = ""


@dataclass(frozen=True, eq=False)
class Plan:
    """What a training will cost; print it, or `save` it as CSV.

    Attributes:
        label: of the network.
        data: name of the data set.
        steps: updates in all.
        trial: what was measured; its ``step_s`` and the rest.
        ways: this machine first, then what could be changed, then other machines.
        memory_bytes: that a step needs in single precision, counted; None: the network was not built here.
        assumptions: in a sentence each.
        prices: that were taken.
        machine: this one.
    """

    label: str
    data: str
    steps: int
    trial: Trial
    ways: tuple[Way, ...]
    memory_bytes: int | None
    assumptions: tuple[str, ...]
    prices: Prices
    machine: str

    @property
    def here(self) -> Way:
        """The training as it is planned, on this machine."""
        return self.ways[0]

    def save(self, path: str | Path) -> Path:
        """Write ways and assumptions as CSV.

        Raises:
            InvalidSetting: another ending than .csv, or a file that cannot be written.
        """
        return save_sheet(path, self._cells())

    def _cells(self) -> Iterator[tuple[Cell, ...]]:
        yield _HEAD
        for way in self.ways:
            numbers = [float(f"{each:.5g}") for each in (way.seconds, way.low, way.high, way.kwh, way.money)]
            yield (way.name, *numbers, way.basis, way.assumes)
        yield ()
        for each in self.assumptions:
            yield (each,)

    def __str__(self) -> str:
        rows: list[tuple[str, ...]] = [("way", "time", "from", "to", "kWh", self.prices.currency, "known by")]
        for way in self.ways:
            times = [told_time(each) for each in (way.seconds, way.low, way.high)]
            rows.append((way.name, *times, f"{way.kwh:.2g}", f"{way.money:.2g}", way.basis))
        widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
        lines = [f"{self.label} on {self.data}: {self.steps:,} steps on {self.machine}."]
        lines += [
            "  ".join(cell.ljust(n) for cell, n in zip(row, widths, strict=True)).rstrip() for row in rows
        ]
        lines += [f"{way.name}: {way.assumes}" for way in self.ways if way.assumes]
        return "\n".join([*lines, *self.assumptions])

    __repr__ = __str__


def plan(
    network: ResNetConfig | nn.Module,
    data: Dataset,
    recipe: Recipe | None = None,
    *,
    prices: Prices | str | Path | None = None,
    seconds: float = 3.0,
    stops_at: float = 0.6,
    transfer_steps: float = 0.3,
    taken_away: float = 0.1,
) -> Plan:
    """What a training will cost, before it: time, memory, energy and money, here and elsewhere, and what costs less.

    Some seconds of that very training are made and thrown away: its steps are measured, with all that is recorded.
    How long other networks take here is told by a law of operations and memory traffic that was fitted to measured
    ones; how long a GPU takes is an estimate from its data sheet: none was measured.

    Args:
        network: settings, or a network; it is copied.
        data: what to learn.
        recipe: how; None: the defaults of `Recipe`.
        prices: from `reswork.prices`, or a file of them; None: those that come with reswork.
        seconds: of steps that are measured.
        stops_at: share of the steps after which early stopping is taken to end.
        transfer_steps: share of the steps that suffice where weights from elsewhere are trained on.
        taken_away: share of the time that spot machines lose by being taken away.

    Returns:
        The plan; print it for a table.

    Raises:
        InvalidSetting: settings that do not fit together, or prices that are none.

    Example:
        >>> plan(ResNetConfig(depth=20), data, Recipe(epochs=50))    # doctest: +SKIP
    """
    recipe, table = recipe or Recipe(), chosen(prices)
    for name, value in (
        ("stops_at", stops_at),
        ("transfer_steps", transfer_steps),
        ("taken_away", taken_away),
    ):
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise InvalidSetting(name, f"{name}={value!r} must be a share, 0 to 1")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= 600:
        raise InvalidSetting("seconds", f"seconds={seconds!r} must be a number above 0, at most 600")
    config = network if isinstance(network, ResNetConfig) else getattr(network, "config", None)
    if isinstance(network, ResNetConfig):
        spec_sheet(network, data.input_shape)
        with torch.random.fork_rng():
            model: nn.Module = resnet(network)
    elif isinstance(network, nn.Module):
        model = copy.deepcopy(network)
    else:
        raise InvalidSetting("network", f"network={network!r} is neither a ResNetConfig nor a network")
    sheet = spec_sheet(config, data.input_shape) if isinstance(config, ResNetConfig) else None
    measured, images = trial(model, data, replace(recipe, image_scale=1.0), seconds), len(data.train)
    steps = total_steps(recipe, images)
    made = _Ways(measured, table, recipe, images, _steps_worth(recipe, data, steps))
    ways = [made.here("as planned")]
    if sheet is not None:
        ways += made.shallower(sheet, data.input_shape)
    ways.append(made.part("early stopping", stops_at, f"it stops after {stops_at:.0%} of the steps"))
    ways.append(
        made.part(
            "transfer learning",
            transfer_steps,
            f"weights from elsewhere that fit are trained on, for {transfer_steps:.0%} of the steps",
        )
    )
    if sheet is not None:
        work, needed = step_work(sheet, recipe, images), training_bytes(sheet, recipe, images)
        tested = -(-steps // steps_per_epoch(recipe, images)) * len(data.test)
        for machine in table.machines:
            if machine.kind == "gpu":
                ways += made.elsewhere(machine, work, needed, tested, taken_away)
    threads = torch.get_num_threads()
    return Plan(
        model_label(model),
        data.name,
        steps,
        measured,
        tuple(ways),
        training_bytes(sheet, recipe, images) if sheet is not None else None,
        tuple(_assumptions(measured, table, sheet, recipe, images)),
        table,
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
        f"{threads} thread{'s' * (threads != 1)}",
    )


@dataclass(frozen=True)
class _Ways:
    """Puts ways together from what was measured."""

    measured: Trial
    prices: Prices
    recipe: Recipe
    images: int
    steps: float  # of images of their own size

    def here(self, name: str, relative: float = 1.0, share: float = 1.0, spread: float = 0.0) -> Way:
        """On this machine: steps that take so many times as long, and such a share of them."""
        measured, count = self.measured, self.steps * share
        rest = measured.start_s + (measured.rest_s(self.recipe, self.images) - measured.start_s) * share
        middle, half = measured.step_s * relative, measured.spread_s * relative
        found = [
            rest + count * each
            for each in (middle, (middle - half) * (1 - spread), (middle + half) * (1 + spread))
        ]
        kwh = found[0] / 3600 * watts_here(self.prices, measured.watts)[0] / 1000
        hours = found[0] / 3600
        money = hours * self.prices.here.per_hour + kwh * self.prices.electricity_per_kwh
        return Way(
            name, found[0], max(found[1], 0.0), found[2], kwh, money, "measured" if relative == 1 else "law"
        )

    def part(self, name: str, share: float, assumes: str) -> Way:
        """The same with fewer steps."""
        return replace(
            self.here(name, share=share), assumes=f"{assumes}; what that does to the score, nobody knows yet"
        )

    def shallower(self, sheet: SpecSheet, input_shape: tuple[int, ...]) -> Iterator[Way]:
        """The same with about half as many layers, where there is such a network."""
        smaller = shallower(sheet.config)
        if smaller is None:
            return
        other = spec_sheet(smaller, input_shape)
        works = [step_work(each, self.recipe, self.images) for each in (other, sheet)]
        relative, error = relative_seconds(*works), float(law()["median_error"])
        way = self.here(f"{smaller.label} instead", relative, spread=error)
        yield replace(
            way,
            assumes=f"its steps take {relative:.2f} times as long by a law that missed {law()['networks']} networks by "
            f"{error:.0%} (median); its score is another one",
        )

    def elsewhere(
        self, machine: Machine, work: Work, needed: int, tested: int, taken_away: float
    ) -> Iterator[Way]:
        """On a GPU of the table, and on one that can be taken away at any time."""
        memory = (machine.memory_gib or 0) * 1024**3
        if needed > memory:
            return
        batch = min(self.recipe.batch_size, self.images)
        steps = self.steps + tested / batch / 3  # an answer alone is a third of a step
        middle, low, high = (_GPU_START_S + steps * each for each in gpu_seconds(work, machine))
        kwh = middle / 3.6e6 * (machine.watts or 0)
        paid = f"{machine.per_hour:g} {self.prices.currency} an hour"
        known = f"{paid}: {machine.note}" if machine.note else paid
        yield Way(machine.name, middle, low, high, kwh, middle / 3600 * machine.per_hour, "estimated", known)
        if machine.spot_per_hour is not None:
            middle, low, high = (each * (1 + taken_away) for each in (middle, low, high))
            yield Way(
                f"{machine.name}, spot", middle, low, high, kwh * (1 + taken_away),
                middle / 3600 * machine.spot_per_hour, "estimated",
            )  # fmt: skip


def _steps_worth(recipe: Recipe, data: Dataset, steps: int) -> float:
    """As many steps with images of their own size as cost what these do."""
    if recipe.image_scale == 1 or data.input_kind != "images":
        return steps
    height, width = data.input_shape[-2:]
    return float(work_done(recipe, (height, width), steps)[-1])


def shallower(config: ResNetConfig) -> ResNetConfig | None:
    """The network of the same kind that comes closest to half the depth; None: there is none."""
    full = config.resolved()
    depth = full.depth or 0
    for each in sorted(range(5, depth), key=lambda each: abs(each - depth / 2)):
        try:
            found = replace(config, depth=each, stage_blocks=None)
            other = found.resolved()
        except InvalidSetting:
            continue
        if other.form == full.form and (other.block == full.block or full.form == "imagenet"):
            return found
    return None


def watts_here(prices: Prices, measured: float | None) -> tuple[float, str]:
    """Watts of this machine, and how they are known."""
    if measured is not None:
        return measured, "measured by the processor's own counters (RAPL), all programs together"
    if prices.here.watts is not None:
        return prices.here.watts, "from the table of prices"
    return assumed_watts(), "assumed, 10 W for each core: no counter can be read here"


def told_time(seconds: float) -> str:
    """Seconds in the unit in which a person thinks of them.

    Example:
        >>> told_time(42.13), told_time(600), told_time(9000), told_time(4e5)
        ('42.1 s', '10.0 min', '2.5 h', '4.6 days')
    """
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.3g} s"


def _assumptions(
    measured: Trial, prices: Prices, sheet: SpecSheet | None, recipe: Recipe, images: int
) -> Iterator[str]:
    watts, how = watts_here(prices, measured.watts)
    yield (
        f"Measured here: {measured.steps} steps of {1e3 * measured.step_s:.3g} ms (+- {1e3 * measured.spread_s:.2g}), "
        f"start {measured.start_s:.2g} s, an evaluation {measured.evaluation_s:.2g} s; {measured.mode}. The machine is "
        "taken to be as busy as it was then."
    )
    yield f"Electricity here: {watts:.0f} W, {how}; {prices.electricity_per_kwh:g} {prices.currency} a kWh."
    if measured.mode.compile:
        yield "The run will be compiled after its first steps; the time is told without that, so that it is too long."
    if sheet is None:
        yield "The network was not built here: its operations are not counted, and no other machine is estimated."
        return
    yield (
        f"Memory: {training_bytes(sheet, recipe, images) / 1024**2:,.0f} MiB for weights, gradients and activations, "
        f"counted; this process took {measured.memory_bytes / 1024**2:,.0f} MiB more while it was measured."
    )
    good, middle, bad = ([f"{each:.0%}" for each in (GPU_OPERATIONS[k], GPU_TRAFFIC[k])] for k in (1, 0, 2))
    yield (
        "GPUs are estimated, none was measured: operations of 16 bits and memory traffic one after the other at "
        f"{middle[0]} and {middle[1]} of what the data sheet says ({bad[0]} and {bad[1]} at worst, {good[0]} and "
        f"{good[1]} at best), {1e6 * GPU_START_S[0]:.0f} us to start a kernel, data always ready, {_GPU_START_S:.0f} s "
        "to begin."
    )
    yield f"Prices of {prices.date}, {prices.currency}: {prices.source}"
