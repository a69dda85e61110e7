"""The automatically chosen mode against the best of all, for runs of several lengths.

A run of so many steps is counted as its user sees it: the trial that chooses the mode, or the compilation, and
then so many steps. Steps of all modes are timed by turns in one process; compiling once, from an empty cache.
"""

import argparse
import itertools
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace

import torch

from benchmarks.hand_written_loop import BATCH, CROP_AND_FLIP, DEPTH, made_data, seconds_bare, wait_for_device
from benchmarks.report import Report, verdict
from benchmarks.turns import Spread, take_turns
from reswork.datasets import Dataset
from reswork.models.network import resnet
from reswork.training.events import StepDone
from reswork.training.loop import fit
from reswork.training.mode_timing import choose_mode
from reswork.training.modes import Mode, choose_device, has_cpu_bf16
from reswork.training.recipe import Recipe

ROUNDS = 7
TARGET = 0.97
NO_END = 1_000_000


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--steps", type=int, default=6, help="of each mode in each round")
    parser.add_argument(
        "--lengths", type=int, nargs="*", default=[390, 1_950, 15_600, 64_000], help="of the runs, in steps"
    )
    parser.add_argument("--no-compile", action="store_true", help="leave the compiled modes out")


def measure(options: argparse.Namespace) -> Report:
    data = made_data()
    device, why = choose_device("auto")
    modes = possible_modes(str(device), compiled=not options.no_compile)
    with tempfile.TemporaryDirectory() as cache:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache
        steps = {_name(mode): steps_in(mode, data) for mode in modes}
        first = {name: seconds_bare(each, 1) for name, each in steps.items()}  # compiles
        arms = {name: lambda each=each: seconds_bare(each, options.steps) / options.steps
                for name, each in steps.items()}  # fmt: skip
        take_turns(arms, 1)
        seconds = take_turns(arms, options.rounds)
    starts = {name: first[name] - seconds[name][0] if "not compiled" not in name else 0.0 for name in steps}
    rows = [_row(length, data, device, why, seconds, starts, options) for length in options.lengths]
    table = ", ".join(f"{name} {BATCH / Spread.of(took).middle:,.0f}" for name, took in seconds.items())
    waits = ", ".join(f"{name} {wait:.0f} s" for name, wait in starts.items() if wait)
    return Report(
        "The mode that is chosen by itself, against the best of all",
        ("steps of the run", "chosen", "best", "speed of the best, the whole run", "target"),
        rows,
        [
            f"ResNet-{DEPTH}, batches of {BATCH}, {options.rounds} rounds of {options.steps} steps, the choice made "
            f"anew in each; a median (least to most). Images per second: {table}."
            + (f" Waiting for the compiler: {waits}." if waits else "")
        ],
    )


def possible_modes(device: str, *, compiled: bool) -> list[Mode]:
    """All that a recipe can ask for here."""
    short = "bf16" if device != "cpu" or has_cpu_bf16() else None
    return [
        Mode(device, precision, channels_last, compile_)
        for precision, channels_last, compile_ in itertools.product(
            [each for each in ("fp32", short) if each], (True, False), (False, True) if compiled else (False,)
        )
    ]


def steps_in(mode: Mode, data: Dataset) -> Iterator[None]:
    """Training by `fit` in this mode; one pull is one step."""
    recipe = Recipe(
        steps=NO_END,
        augmentation=CROP_AND_FLIP,
        precision=mode.precision,
        channels_last=mode.channels_last,
        compile="on" if mode.compile else "off",
    )
    return (None for event in fit(resnet(depth=DEPTH), data, recipe) if isinstance(event, StepDone))


def _row(
    length: int,
    data: Dataset,
    device: torch.device,
    why: str,
    seconds: dict[str, list[float]],
    starts: dict[str, float],
    options: argparse.Namespace,
) -> tuple[str, ...]:
    recipe = Recipe(steps=length, augmentation=CROP_AND_FLIP, compile="off" if options.no_compile else "auto")
    totals = {name: starts[name] + length * Spread.of(took).middle for name, took in seconds.items()}
    best = min(totals, key=lambda name: totals[name])
    shares, chosen = [], []
    for _ in range(options.rounds):
        begin = time.perf_counter()
        mode = choose_mode(recipe, resnet(depth=DEPTH).to(device), data.to(device), device, why)
        wait_for_device()
        trial = time.perf_counter() - begin
        name = _name(replace(mode, reason=""))
        chosen.append(name)
        shares.append(totals[best] / (trial + totals[name]))
    share = Spread.of(shares)
    usual = max(set(chosen), key=chosen.count)
    told = f"{usual}, {chosen.count(usual)} of {len(chosen)} times"
    return f"{length:,}", told, best, f"{share:.3f}", verdict(share.middle, least=TARGET)


def _name(mode: Mode) -> str:
    layout = "channels last" if mode.channels_last else "channels first"
    return f"{mode.precision}, {layout}, {'compiled' if mode.compile else 'not compiled'}"
