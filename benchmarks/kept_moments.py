"""What the moments of a run cost: time, files and bytes, and how soon an earlier one shows its picture.

Two equal runs, one that keeps moments and one that does not, are trained from the first step to the last, some steps
of the one and then of the other in turns in one process.
"""

import argparse
import os
import statistics
import tempfile
import time
from dataclasses import replace

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
    pairs: list[tuple[float, float]] = []
    prices, kept, megabytes, scrubs = [], [], [], []
    _warm_up(data, recipe, options.turn)
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as folder:
            os.environ["RESWORK_RUNS"] = folder
            runs = {name: _run(data, recipe, name) for name in ("with", "without")}
            keeper = next(each for each in runs["with"].recorders if isinstance(each, MomentKeeper))
            seconds = _trained(runs, options.turn)
            pairs += list(zip(seconds["with"], seconds["without"], strict=True))
            prices.append(100 * keeper.spent_s / sum(seconds["with"]))
            found = moments(runs["with"])
            kept.append(len(found))
            megabytes.append(found.bytes / 1e6)
            scrubs += _scrubbed(runs["with"], options.scrubs)
            mode = str(runs["with"].mode)
    slow = percentile(scrubs, 0.95)
    price, scrub = Spread.of(prices), Spread.of(scrubs)
    share, error = _more_time(pairs)
    small = {"most": MOST_SHARE, "unit": " %"}
    rows = [
        ("moments kept", f"{Spread.of(kept):.0f}", verdict(min(kept), least=LEAST_MOMENTS)),
        ("size of all", f"{Spread.of(megabytes):.1f} MB", verdict(max(megabytes), most=MOST_MB, unit=" MB")),
        ("more time than without them", f"{share:.2f} ± {error:.2f} %", verdict(share, **small)),
        ("processor time of the keeper, both threads", f"{price:.2f} %", verdict(price.middle, **small)),
        (
            "from the slider to the picture",
            f"{scrub:.0f} ms, 95th percentile {slow:.0f} ms",
            verdict(slow, most=MOST_SCRUB_MS, unit=" ms"),
        ),
    ]
    return Report(
        "Moments",
        ("what", "measured", "target"),
        rows,
        [
            f"ResNet-20 on fashion, {options.epochs} epochs, {options.turn} steps of each run in turns, "
            f"{options.rounds} round(s), {mode}. More time: over {len(pairs)} pairs of turns, without the tenth with "
            "the largest and the tenth with the smallest differences, ± one standard error. The slider is moved in a "
            "workbench without a page; the picture is that of the pinned test pictures with answers and Grad-CAM, "
            "after every curve has been redrawn. Median "
            "(least to most)."
        ],
    )


def _warm_up(data: datasets.Dataset, recipe: Recipe, turn: int) -> None:
    """The first steps of a process are slow; neither run shall have them."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["RESWORK_RUNS"] = folder
        runs = {name: _run(data, replace(recipe, steps=turn), name) for name in ("with", "without")}
        _trained(runs, turn)


def _run(data: datasets.Dataset, recipe: Recipe, name: str) -> Run:
    torch.manual_seed(0)
    size = 120_000_000 if name == "with" else 0
    return train(resnet(CONFIG), data, recipe, name=name, start=False, moments_bytes=size, save_every_s=1e9)


def _trained(runs: dict[str, Run], turn: int) -> dict[str, list[float]]:
    """Seconds of each turn of each run, to the last step; every second turn goes the other way round."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    while not all(run.done for run in runs.values()):
        forth = len(seconds["with"]) % 2 == 0
        for name in runs if forth else reversed(runs):
            seconds[name].append(seconds_of(runs[name], turn))
    return seconds


def _more_time(pairs: list[tuple[float, float]]) -> tuple[float, float]:
    """Percent, and its standard error: the differences of neighbours in time, without those that a hiccup made."""
    usual = statistics.fmean(without for _, without in pairs)
    differences = sorted(100 * (one - other) / usual for one, other in pairs)
    cut = len(differences) // 10
    middle = differences[cut : len(differences) - cut]
    return statistics.fmean(middle), statistics.stdev(middle) / len(middle) ** 0.5


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
        machine.scrubber.slider.value = step
        while machine._drawn != step:
            time.sleep(0.001)
        took.append(1000 * (time.perf_counter() - begin))
    workbench.close()
    return took[1:]
