"""What a live run costs, with its recorders, its moments and its folder on disk, against a loop written by hand.

Both train the same network on the same tensors with the same mode and the same preparation of batches, each in a
fresh process of its own, in turns.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from functools import partial

from benchmarks.fresh_loop import ARMS, images_per_second
from benchmarks.hand_written_loop import BATCH, wait_for_device
from benchmarks.report import Report, verdict
from benchmarks.turns import Spread, ratio, take_turns
from reswork.training.modes import has_cpu_bf16
from reswork.training.run import Run

ROUNDS = 5
TARGET = 0.95


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--warm", type=int, default=2, help="steps before the clock starts")
    parser.add_argument("--steps", type=int, default=70, help="steps on the clock")
    parser.add_argument("--depths", type=int, nargs="*", default=[20, 56])
    parser.add_argument("--precisions", nargs="*", default=["bf16", "fp32"] if has_cpu_bf16() else ["fp32"])
    parser.add_argument("--arms", nargs="*", choices=list(ARMS), default=list(ARMS))


def measure(options: argparse.Namespace) -> Report:
    rows = [
        row
        for depth in options.depths
        for precision in options.precisions
        for row in _compared(options, depth, precision)
    ]
    return Report(
        "A live run, against a loop written by hand",
        ("network", "loop", "images per second", "of the loop by hand", "target"),
        rows,
        [
            f"Fresh processes in turns, batches of {BATCH}, cpu, channels_last, {options.steps} steps after "
            f"{options.warm} to warm up, without an evaluation, {options.rounds} rounds; the runs are started from a "
            "main thread that has used torch, as in a notebook of `reswork lab`. Median (least to most)."
        ],
    )


def _compared(options: argparse.Namespace, depth: int, precision: str) -> list[Sequence[str]]:
    """A row for each arm; the loop by hand is the first."""
    rate = partial(
        images_per_second, depth=depth, precision=precision, warm=options.warm, steps=options.steps
    )
    arms: dict[str, Callable[[], float]] = {
        arm: partial(rate, arm) for arm in ARMS if arm == "hand" or arm in options.arms
    }
    rates = take_turns(arms, options.rounds)
    rows = []
    for arm, found in rates.items():
        share = ratio(found, rates["hand"])
        told = verdict(share.middle, least=TARGET) if arm in ("train", "process") else ""
        rows.append(
            (f"ResNet-{depth}, {precision}", ARMS[arm], f"{Spread.of(found):,.0f}", f"{share:.3f}", told)
        )
    return rows


def seconds_of(run: Run, count: int) -> float:
    """Time of so many steps of a run that stands still before and after."""
    begin = time.perf_counter()
    run.step(count)
    run.wait_until_still()
    wait_for_device()
    return time.perf_counter() - begin
