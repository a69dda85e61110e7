"""How long a model takes to answer, as measured: plain numbers."""

from dataclasses import dataclass

import numpy as np

from reswork.results.layer_costs import LayerTable

_NORMAL = 1.959964


@dataclass(frozen=True)
class Quantile:
    """A quantile of measured times with its interval of 95 %, in seconds.

    Attributes:
        value: of the sample.
        low: end of the interval; NaN where so few calls say nothing.
        high: the other end, likewise.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class CallTimes:
    """Calls of one engine with batches of one size.

    Attributes:
        name: of what was measured.
        batch_size: images in each call.
        seconds: (N,) float64, of each call, in the order in which they were made.
    """

    name: str
    batch_size: int
    seconds: np.ndarray

    def quantile(self, q: float) -> Quantile:
        """A quantile, 0 to 1, with the interval of 95 % that order statistics give, whatever the distribution.

        The interval takes calls for independent; on a machine that is busy now and then it is too narrow.
        """
        from scipy.stats import quantile_test

        interval = quantile_test(self.seconds, q=0.0, p=q).confidence_interval(0.95)
        return Quantile(float(np.quantile(self.seconds, q)), float(interval.low), float(interval.high))

    @property
    def images_per_second(self) -> float:
        """Images answered in a second of calls, one after the other."""
        return float(self.batch_size * len(self.seconds) / self.seconds.sum())

    def missed(self, deadline_s: float) -> tuple[float, float, float]:
        """Share of the calls that take longer than a deadline, with an interval of 95 % (Wilson 1927), 0 to 1."""
        count, share, square = len(self.seconds), float((self.seconds > deadline_s).mean()), _NORMAL**2
        middle = (share + square / (2 * count)) / (1 + square / count)
        half = _NORMAL * np.sqrt(share * (1 - share) / count + square / (4 * count**2)) / (1 + square / count)
        return share, max(0.0, float(middle - half)), min(1.0, float(middle + half))


@dataclass(frozen=True, eq=False)
class Load(CallTimes):
    """Requests that came by chance, whether or not the one before was answered: waiting counts.

    Attributes:
        rate: requests in a second, on average.
    """

    rate: float


@dataclass(frozen=True)
class EngineCost:
    """What one engine costs beside its calls.

    Attributes:
        name: of what was measured.
        engine: with its version.
        threads: that a call may use.
        file_bytes: of the model.
        cold_start_s: from the start of a process to its first answer, for a batch of the first size.
        import_s: of that, importing the engine.
        load_s: of that, opening the model.
        first_s: of that, the first answer.
        memory_bytes: the most that the process had, the engine's own code included.
    """

    name: str
    engine: str
    threads: int
    file_bytes: int
    cold_start_s: float
    import_s: float
    load_s: float
    first_s: float
    memory_bytes: int


@dataclass(frozen=True, eq=False)
class Latency:
    """How long one or several models take to answer.

    Attributes:
        times: of each model, engine and batch size.
        engines: what each costs beside its calls.
        loads: answers to requests that came by chance; empty where no rate was given.
        input_shape: (C, H, W) of an image.
        machine: on which it was measured.
        deadline_s: that was asked for; None: none.
        blocks: where the time of one image goes, by residual block, the rest by layer, as torch runs it in this
            process; None where there is no network but a file.
    """

    times: tuple[CallTimes, ...]
    engines: tuple[EngineCost, ...]
    loads: tuple[Load, ...]
    input_shape: tuple[int, ...]
    machine: str
    deadline_s: float | None = None
    blocks: LayerTable | None = None

    def of(self, name: str, batch_size: int = 1) -> CallTimes:
        """The calls of one engine with one size of batch.

        Raises:
            KeyError: there are none.
        """
        found = [each for each in self.times if (each.name, each.batch_size) == (name, batch_size)]
        if not found:
            there = ", ".join(f"{each.name!r} with {each.batch_size}" for each in self.times)
            raise KeyError(f"{name!r} with batches of {batch_size} was not measured; there are {there}")
        return found[0]

    @property
    def sentences(self) -> tuple[str, ...]:
        """What each engine costs beside its calls, and how often a deadline is missed."""
        lines = []
        for cost in self.engines:
            threads = "1 thread" if cost.threads == 1 else f"{cost.threads} threads"
            parts = f"import {cost.import_s:.2f}, open {cost.load_s:.2f}, first call {cost.first_s:.2f}"
            lines.append(
                f"{cost.name}: {cost.engine}, {threads}; {cost.file_bytes / 1e6:.2f} MB; first answer after "
                f"{cost.cold_start_s:.2f} s ({parts}); {cost.memory_bytes / 1024**2:,.0f} MiB at most"
            )
        if self.deadline_s is not None:
            for each in (*self.times, *self.loads):
                share, low, high = each.missed(self.deadline_s)
                how = (
                    f"at {each.rate:g} requests a second"
                    if isinstance(each, Load)
                    else f"in batches of {each.batch_size}"
                )
                lines.append(
                    f"{each.name} {how}: {share:.1%} of answers take longer than {1e3 * self.deadline_s:g} ms "
                    f"({low:.1%} to {high:.1%})"
                )
        return tuple(lines)

    def __str__(self) -> str:
        lines = [
            f"Images of {'x'.join(map(str, self.input_shape))} on {self.machine}; each engine in a process of its "
            "own, in turns; milliseconds of a call [95 % interval]."
        ]
        rows: list[tuple[str, ...]] = [("what", "batch", "calls", "p50", "p95", "p99", "images/s")]
        for each in self.times:
            told = [_told(each.quantile(q)) for q in (0.5, 0.95, 0.99)]
            count = f"{len(each.seconds):,}"
            rows.append((each.name, str(each.batch_size), count, *told, f"{each.images_per_second:,.0f}"))
        widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
        lines += [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        return "\n".join([*lines, *self.sentences])

    __repr__ = __str__


def _told(found: Quantile) -> str:
    ends = ["?" if np.isnan(end) else f"{1e3 * end:.3g}" for end in (found.low, found.high)]
    return f"{1e3 * found.value:.3g} [{ends[0]}, {ends[1]}]"
