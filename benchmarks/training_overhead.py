"""What `rw.train` costs, with its recorders and its folder on disk, against a loop written by hand.

Both train the same ResNet-20 on the same tensors with the same mode and the same preparation of batches, in
turns in one process.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence

from benchmarks.hand_written_loop import (
    BATCH,
    CROP_AND_FLIP,
    DEPTH,
    bare_steps,
    made_data,
    seconds_bare,
    settled,
    wait_for_device,
)
from benchmarks.report import Report, verdict
from benchmarks.turns import Spread, ratio, take_turns
from reswork.experiment.launch import train
from reswork.models.network import resnet
from reswork.training.recipe import Recipe
from reswork.training.run import Run

ROUNDS = 21
TARGET = 0.98
WARM = 5
NO_END = 1_000_000  # steps: the run is stopped, so that no evaluation is timed


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--steps", type=int, default=10, help="of each arm in each round")


def measure(options: argparse.Namespace) -> Report:
    data = made_data()
    recipe = Recipe(steps=NO_END, augmentation=CROP_AND_FLIP, schedule="constant", compile="off")
    recipe, mode = settled(recipe, data)
    with tempfile.TemporaryDirectory() as folder:
        run = train(resnet(depth=DEPTH), data, recipe, directory=f"{folder}/run", start=False)
        alone = train(
            resnet(depth=DEPTH), data, recipe, directory=f"{folder}/alone", recorders=[], start=False
        )
        bare = bare_steps(data, recipe, mode)
        arms: dict[str, Callable[[], float]] = {
            "written by hand": lambda: seconds_bare(bare, options.steps),
            "`rw.train`": lambda: seconds_of(run, options.steps),
            "`rw.train` without recorders": lambda: seconds_of(alone, options.steps),
        }
        seconds_bare(bare, WARM), seconds_of(run, WARM), seconds_of(alone, WARM)
        seconds = take_turns(arms, options.rounds)
        for each in (run, alone):
            each.stop()
            each.wait()
    rows = rate_rows(seconds, options.steps * BATCH, {"`rw.train`": TARGET})
    return Report(
        "Training without a view, against a loop written by hand",
        ("loop", "images per second", "of the loop by hand", "target"),
        rows,
        [
            f"ResNet-{DEPTH}, batches of {BATCH}, {options.steps} steps a turn, {options.rounds} rounds, "
            f"{mode}. Median (least to most)."
        ],
    )


def seconds_of(run: Run, count: int) -> float:
    """Time of so many steps of a run that stands still before and after."""
    begin = time.perf_counter()
    run.step(count)
    run.wait_until_still()
    wait_for_device()
    return time.perf_counter() - begin


def rate_rows(seconds: dict[str, list[float]], images: int, targets: dict[str, float]) -> list[Sequence[str]]:
    """A row for each arm: images per second, share of the first arm's, verdict."""
    first = next(iter(seconds.values()))
    rows = []
    for name, took in seconds.items():
        share = ratio(first, took)
        told = verdict(share.middle, least=targets[name]) if name in targets else ""
        rows.append((name, f"{Spread.of(images / each for each in took):,.0f}", f"{share:.3f}", told))
    return rows
