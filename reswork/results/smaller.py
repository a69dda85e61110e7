"""What smaller forms of a network cost and are worth."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from reswork.results.contrast import ChangedAnswers
from reswork.results.latency import CallTimes


@dataclass(frozen=True, eq=False)
class BlockWorth:
    """How good a network is without its blocks, untrained in between.

    Attributes:
        names: (B,) of the blocks.
        whole: the metric of the whole network.
        alone: (B,) float64, without each block.
        order: blocks taken out one after the other, the one that is missed least first.
        after: float64, the metric after each of these.
        shares: (B,) of all multiply-adds, 0 to 1.
        metric: its label, such as ``accuracy``.
        images: training images that judged.
    """

    names: tuple[str, ...]
    whole: float
    alone: np.ndarray
    order: tuple[str, ...]
    after: np.ndarray
    shares: np.ndarray
    metric: str
    images: int

    def __str__(self) -> str:
        lines = [f"{self.metric} on {self.images:,} training images, whole: {self.whole:.1%}"]
        steps = {
            name: (k + 1, value) for k, (name, value) in enumerate(zip(self.order, self.after, strict=True))
        }
        for name, value, share in zip(self.names, self.alone, self.shares, strict=True):
            line = f"without {name}: {value:.1%}, {share:.0%} of the operations"
            if name in steps:
                line += f"; taken out as number {steps[name][0]}: {steps[name][1]:.1%}"
            lines.append(line)
        return "\n".join(lines)

    __repr__ = __str__


@dataclass(frozen=True, eq=False)
class Sized:
    """One form of a network, as its exported file answers.

    Attributes:
        name: such as ``channels 50 %, int8``.
        made: how it was made, a sentence for each step.
        precision: of its numbers.
        parameters: learned numbers.
        nonzero: of those, how many are not zero.
        macs: multiply-adds for one image; of networks with weights set to zero as many as before.
        file_bytes: of the model's file.
        memory_bytes: the most that the process of its engine had, the engine's own code included.
        times: of calls with one image.
        metric: what judges, such as ``accuracy``.
        value: of it on the test images.
        low: lower end of its interval of 95 %; NaN where there is none.
        high: upper end.
        changed: its answers beside those of the network as it was; None: it is that.
    """

    name: str
    made: tuple[str, ...]
    precision: str
    parameters: int
    nonzero: int
    macs: int
    file_bytes: int
    memory_bytes: int
    times: CallTimes
    metric: str
    value: float
    low: float
    high: float
    changed: ChangedAnswers | None = None

    @property
    def p50_ms(self) -> float:
        """The middle time of a call with one image, ms."""
        return 1e3 * float(np.median(self.times.seconds))

    @property
    def megabytes(self) -> float:
        """Of the file, 10^6 bytes."""
        return self.file_bytes / 1e6


@dataclass(frozen=True, eq=False)
class SizedTable:
    """Several forms of one network beside each other; the first is the network as it was.

    Attributes:
        forms: each with its numbers.
        engine: that computed them, with its version and threads.
        images: test images.
        max_megabytes: that were allowed; None: any.
        max_ms: milliseconds that the middle call was allowed to take; None: any.
        skipped: sentences about what was not tried, or could not be done.
    """

    forms: tuple[Sized, ...]
    engine: str
    images: int
    max_megabytes: float | None = None
    max_ms: float | None = None
    skipped: tuple[str, ...] = field(default=())

    @property
    def original(self) -> Sized:
        """The network as it was."""
        return self.forms[0]

    def fits(self, form: Sized) -> bool:
        """Whether it is within what was allowed."""
        small = self.max_megabytes is None or form.megabytes <= self.max_megabytes
        return small and (self.max_ms is None or form.p50_ms <= self.max_ms)

    @property
    def best(self) -> Sized | None:
        """The best of those within what was allowed; of equally good ones the smaller; None: there is none."""
        fitting = [each for each in self.forms if self.fits(each)]
        return max(fitting, key=lambda each: (each.value, -each.file_bytes), default=None)

    @property
    def sentence(self) -> str:
        """What the budget costs."""
        given = ((self.max_megabytes, "MB"), (self.max_ms, "ms"))
        limits = [f"{limit:g} {unit}" for limit, unit in given if limit is not None]
        if not limits:
            return f"{len(self.forms)} forms were compared on {self.images:,} test images."
        budget, best = " and ".join(limits), self.best
        if best is None:
            smallest = min(self.forms, key=lambda each: each.file_bytes)
            fastest = min(self.forms, key=lambda each: each.p50_ms)
            return (
                f"Nothing that was tried is within {budget}: the smallest is {smallest.name} with "
                f"{smallest.megabytes:.2f} MB, the fastest {fastest.name} with {fastest.p50_ms:.2f} ms. Allow more, "
                "or try smaller ways."
            )
        first = self.original
        if best is first:
            return f"The network as it is is within {budget}, and none of the others is better."
        lost = 100 * (first.value - best.value)
        return (
            f"Within {budget} the best is {best.name}: {best.megabytes:.2f} MB instead of {first.megabytes:.2f}, "
            f"{best.p50_ms:.2f} ms instead of {first.p50_ms:.2f}, {best.metric} {best.value:.1%} instead of "
            f"{first.value:.1%} ({lost:.1f} points less). {best.changed.sentence if best.changed else ''} It was "
            f"chosen among {sum(map(self.fits, self.forms))} that fit by these same images, which flatters it a little."
        )

    def __str__(self) -> str:
        rows: list[Sequence[str]] = [
            ("form", self.original.metric, "[95 %]", "changed", "MB", "parameters", "MMACs", "p50 ms", "p95", "p99",
             "MiB")
        ]  # fmt: skip
        for each in self.forms:
            times = [f"{1e3 * each.times.quantile(q).value:.2f}" for q in (0.5, 0.95, 0.99)]
            held = np.isfinite([each.low, each.high]).all()
            interval = f"{100 * each.low:.1f} to {100 * each.high:.1f}" if held else ""
            other = "" if each.changed is None else f"{int(each.changed.different.sum()):,}"
            some = f" ({each.nonzero:,} not 0)" if each.nonzero < 0.9 * each.parameters else ""
            rows.append(
                (each.name, f"{each.value:.1%}", interval, other, f"{each.megabytes:.2f}",
                 f"{each.parameters:,}{some}", f"{each.macs / 1e6:.2f}", *times, f"{each.memory_bytes / 2**20:.0f}")
            )  # fmt: skip
        widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
        lines = [
            "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows
        ]
        return "\n".join([*lines, f"One image in a call, {self.engine}.", *self.skipped, self.sentence])

    __repr__ = __str__
