"""What the moments of a run cost: time, files and bytes, and how soon an earlier one shows its picture.

Two equal runs, one that keeps moments and one that does not, are trained from the first step to the last, some steps
of the one and then of the other in turns in one process.
"""

import argparse
import os
import tempfile
import time

import torch

from benchmarks.report import Report, verdict
from benchmarks.training_overhead import seconds_of
from benchmarks.turns import Spread, percentile
from reswork import datasets
from reswork.experiment.launch import train
from reswork.models.config import ResNetConfig
from reswork.models.network import resnet
from reswork.store.moment_keeper import MomentKeeper
from reswork.store.moments import moments
from reswork.training.events import Event
from reswork.training.recipe import Recipe
from reswork.training.run import Run
from reswork.widgets import Workbench

ROUNDS = 1
LEAST_MOMENTS = 60
MOST_MB = 120
MOST_SHARE = 2.0  # percent of the training
MOST_SCRUB_MS = 300
CONFIG = ResNetConfig(depth=20, in_channels=1)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--epochs", type=int, default=5, help="of the training")
    parser.add_argument("--turn", type=int, default=6, help="steps of each run at a turn")
    parser.add_argument("--scrubs", type=int, default=30, help="jumps to another moment that are timed")


def measure(options: argparse.Namespace) -> Report:
    data = datasets.fashion()
    recipe = Recipe(epochs=options.epochs, schedule="one_cycle", compile="off")
    shares, prices, kept, megabytes, scrubs = [], [], [], [], []
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as folder:
            os.environ["RESWORK_RUNS"] = folder
            runs = {name: _run(data, recipe, name) for name in ("with", "without")}
            clock = _time_the_keeper(runs["with"])
            seconds = _trained(runs, options.turn)
            shares.append(100 * (seconds["with"] / seconds["without"] - 1))
            prices.append(100 * clock.spent_s / seconds["with"])
            found = moments(runs["with"])
            kept.append(len(found))
            megabytes.append(found.bytes / 1e6)
            scrubs += _scrubbed(runs["with"], options.scrubs)
            mode = str(runs["with"].mode)
    slow, share, price = percentile(scrubs, 0.95), Spread.of(shares), Spread.of(prices)
    limit = {"most": MOST_SHARE, "unit": " %"}
    rows = [
        ("moments kept", f"{Spread.of(kept):.0f}", verdict(min(kept), least=LEAST_MOMENTS)),
        ("size of all", f"{Spread.of(megabytes):.1f} MB", verdict(max(megabytes), most=MOST_MB, unit=" MB")),
        ("more time than without them", f"{share:.2f} %", verdict(share.middle, **limit)),
        ("of it in the training's own thread", f"{price:.2f} %", verdict(price.middle, **limit)),
        (
            "from the slider to the picture",
            f"{Spread.of(scrubs):.0f} ms, 95th percentile {slow:.0f} ms",
            verdict(slow, most=MOST_SCRUB_MS, unit=" ms"),
        ),
    ]
    return Report(
        "Moments",
        ("what", "measured", "target"),
        rows,
        [
            f"ResNet-20 on fashion, {options.epochs} epochs, {options.turn} steps of each run in turns, "
            f"{options.rounds} round(s), {mode}. The slider is moved in a workbench without a page; the picture is "
            "that of the pinned test pictures with answers and Grad-CAM, after every curve is redrawn. Median (least "
            "to most)."
        ],
    )


class _Clock:
    """The keeper, and the time that it takes in the run's thread."""

    def __init__(self, keeper: MomentKeeper) -> None:
        self.events = keeper.events
        self.spent_s = 0.0
        self._keeper = keeper

    def __call__(self, event: Event) -> None:
        begin = time.perf_counter()
        self._keeper(event)
        self.spent_s += time.perf_counter() - begin


def _run(data: datasets.Dataset, recipe: Recipe, name: str) -> Run:
    torch.manual_seed(0)
    size = 120_000_000 if name == "with" else 0
    return train(resnet(CONFIG), data, recipe, name=name, start=False, moments_bytes=size, save_every_s=1e9)


def _time_the_keeper(run: Run) -> _Clock:
    keeper = next(each for each in run.recorders if isinstance(each, MomentKeeper))
    clock = _Clock(keeper)
    run.remove_recorder(keeper)
    run.add_recorder(clock)
    return clock


def _trained(runs: dict[str, Run], turn: int) -> dict[str, float]:
    """Seconds of each run from the first step to the last; every second turn goes the other way round."""
    seconds = dict.fromkeys(runs, 0.0)
    turns = 0
    while not all(run.done for run in runs.values()):
        for name in list(runs) if turns % 2 == 0 else reversed(list(runs)):
            seconds[name] += seconds_of(runs[name], turn)
        turns += 1
    return seconds


def _scrubbed(run: Run, count: int) -> list[float]:
    """Milliseconds from the slider to the picture of another moment, the first, slower one left out."""
    workbench = Workbench(CONFIG, data=datasets.fashion())
    workbench.watch(run)
    machine = workbench.time_machine
    steps = moments(run).steps
    took = []
    for index in range(count + 1):
        machine._worker.wait(60)
        step = steps[(index * 37) % len(steps)]
        begin = time.perf_counter()
        machine.slider.value = step
        while machine._drawn != step:
            time.sleep(0.001)
        took.append(1000 * (time.perf_counter() - begin))
    workbench.close()
    return took[1:]
