"""What one refresh of each plot of the Train page costs: time in the kernel, bytes on the wire.

In a real kernel, with real comms. Each plot is refreshed after ten more steps have been recorded, at the
beginning of a run and a hundred thousand steps later.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import plotly.graph_objects as go

from benchmarks.live_kernel import live_kernel
from benchmarks.report import Report, verdict
from benchmarks.turns import Spread, take_turns
from reswork import figures
from reswork.history import History
from reswork.models.config import ResNetConfig
from reswork.models.sheet import spec_sheet
from reswork.tasks import Classification
from reswork.widgets.live_figure import LiveFigure

ROUNDS = 15
LIMIT_MS, LIMIT_KB = 5.0, 60.0
SHORT, LONG = 100, 100_000

PLOTS: dict[str, Callable[[History], go.Figure]] = {
    "loss": figures.loss_curves,
    "accuracy": lambda history: figures.metric_curves(history, Classification.metrics),
    "gradient norms": figures.gradient_norms,
    "gradient profile": figures.gradient_profile,
    "learning rate": figures.learning_rate,
    "images per second": figures.throughput,
    "confusion": lambda history: figures.confusion_matrix(
        history.array("confusion/test")[1], list("0123456789")
    ),
}


def add_options(parser: argparse.ArgumentParser) -> None:
    pass


def measure(options: argparse.Namespace) -> Report:
    places = [(name, length) for name in PLOTS for length in (SHORT, LONG)]
    sizes: dict[tuple[str, int], list[float]] = {place: [] for place in places}
    with live_kernel() as kernel:
        kernel.run("from benchmarks.plot_refresh import Refreshes; plots = Refreshes()")

        def turn(place: tuple[str, int]) -> float:
            first = len(kernel.messages)
            took = kernel.run("", f"plots.refresh{place}")
            kernel.listen(0.02)
            sent = [each for each in kernel.messages[first:] if each.kind == "comm_msg"]
            sizes[place].append(sum(each.size for each in sent) / 1e3)
            return 1e3 * float(took)

        arms = {place: lambda place=place: turn(place) for place in places}
        take_turns(arms, 2)  # warm
        times = take_turns(arms, options.rounds)
    rows = []
    for name in PLOTS:
        short, long = (name, SHORT), (name, LONG)
        cost = [Spread.of(times[place]) for place in (short, long)]
        size = [max(sizes[place]) for place in (short, long)]
        rows.append(
            (
                name,
                f"{cost[0]:.1f}",
                f"{cost[1]:.1f}",
                verdict(max(each.middle for each in cost), most=LIMIT_MS, unit=" ms"),
                f"{size[0]:.1f}",
                f"{size[1]:.1f}",
                verdict(max(size), most=LIMIT_KB, unit=" kB"),
            )
        )
    return Report(
        "Refresh of a live plot",
        ("plot", f"ms at {SHORT} steps", f"ms at {LONG:,} steps", "target", f"kB at {SHORT} steps",
         f"kB at {LONG:,} steps", "target"),
        rows,
        [
            "Time that the thread computes: the figure from the history, and its numbers handed to the page, "
            f"after ten more steps of ResNet-20; {options.rounds} rounds. Median (least to most); most bytes."
        ],
        ["ipykernel", "ipywidgets", "plotly"],
    )  # fmt: skip


class Refreshes:
    """Runs in the kernel: a live figure for each plot at each length of the record."""

    def __init__(self) -> None:
        sheet = spec_sheet(ResNetConfig(depth=20))
        self._layers = [layer.name for layer in sheet.layers if layer.parameters]
        self._random = np.random.default_rng(0)
        self._histories = {
            (name, length): self._recorded(length) for name in PLOTS for length in (SHORT, LONG)
        }
        self._live = {place: LiveFigure(PLOTS[place[0]](self._histories[place])) for place in self._histories}

    def refresh(self, name: str, length: int) -> float:
        """Record ten more steps and refresh one plot; gives the seconds that the thread computed."""
        history = self._histories[name, length]
        self._record(history, int(history.series("loss/train").steps[-1]), 10)
        begin = time.thread_time()
        self._live[name, length].show(PLOTS[name](history))
        return time.thread_time() - begin

    def _recorded(self, steps: int) -> History:
        history = History()
        self._record(history, 0, steps)
        return history

    def _record(self, history: History, done: int, steps: int) -> None:
        """What the default recorders would write in so many steps, an epoch's end among them."""
        at = np.arange(done + 1, done + steps + 1)
        for series in ("loss/train", "top1/train", "learning_rate"):
            history.extend(series, at, self._random.random(steps))
        history.extend("images_per_second", at[::5], 1000 + self._random.random(len(at[::5])))
        for step in at[at % 10 == 0].tolist():
            history.record_vector("grad_norm", step, self._layers, self._random.random(len(self._layers)))
        ends = at[at % 390 == 0] if done == 0 and steps > 390 else at[-1:]
        for series in ("loss/test", "top1/test", "top5/test"):
            history.extend(series, ends, self._random.random(len(ends)))
        history.keep("confusion/test", int(at[-1]), self._random.integers(0, 100, (10, 10)))
