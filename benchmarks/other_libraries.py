"""ResNet-20 on images of CIFAR-10's size, against what people would use instead, each in its usual way.

Every arm is a script of its own in `benchmarks/libraries`, run in a fresh process when its turn comes; only the
steps after the first ones count. A library that cannot live beside this project's torch gets an interpreter of
its own: ``--python keras=/path/to/python``.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from benchmarks.libraries.task import BATCH
from benchmarks.report import Report, verdict
from benchmarks.turns import Spread, ratio, take_turns

ROUNDS = 7
TARGET = 2.2
ROOT = Path(__file__).parents[1]
OURS = "reswork"
SCRIPTS = {
    OURS: "reswork_train",
    "pytorch": "pytorch",
    "lightning": "lightning_trainer",
    "fastai": "fastai_learner",
    "keras": "keras_fit",
}
NEEDS = {"lightning": "lightning", "fastai": "fastai", "keras": "keras"}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--warm", type=int, default=20, help="steps before the clock starts")
    parser.add_argument("--steps", type=int, default=60, help="steps on the clock")
    parser.add_argument("--arms", nargs="*", choices=list(SCRIPTS), default=list(SCRIPTS))
    parser.add_argument(
        "--python", nargs="*", metavar="ARM=PYTHON", default=[], help="another interpreter for an arm"
    )


def measure(options: argparse.Namespace) -> Report:
    interpreters = dict(each.split("=", 1) for each in options.python)
    absent = [
        name for name in options.arms
        if name in NEEDS and name not in interpreters and find_spec(NEEDS[name]) is None
    ]  # fmt: skip
    arms: dict[str, Callable[[], float]] = {
        name: lambda name=name: images_per_second(name, interpreters.get(name, sys.executable), options)
        for name in options.arms
        if name not in absent
    }
    speeds = take_turns(arms, options.rounds)
    others = [name for name in speeds if name != OURS]
    fastest = max(others, key=lambda name: statistics.median(speeds[name]))
    rows = []
    for name, measured in speeds.items():
        times = ratio(measured, speeds[fastest])
        told = verdict(times.middle, least=TARGET) if name == OURS else ""
        rows.append((name, f"{Spread.of(measured):,.0f}", f"{times:.2f}", told))
    rows += [(name, "not installed", "", "") for name in absent]
    return Report(
        "ResNet-20 on images of CIFAR-10's size, against other libraries",
        ("library", "images per second", f"times the fastest other ({fastest})", "target"),
        rows,
        [
            f"Fresh processes in turns, batches of {BATCH}, {options.steps} steps after {options.warm} to warm up, "
            f"{options.rounds} rounds. Median (least to most)."
        ],
        ["torchvision", *(NEEDS[name] for name in others if name in NEEDS and name not in interpreters)],
    )


def images_per_second(name: str, python: str, options: argparse.Namespace) -> float:
    """Run one arm's script and read the last line that it prints."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    command = [python, "-m", f"benchmarks.libraries.{SCRIPTS[name]}"]
    command += ["--warm", str(options.warm), "--steps", str(options.steps)]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            command,
            cwd=folder,
            env=os.environ | {"PYTHONPATH": path},
            capture_output=True,
            text=True,
        )
    if done.returncode:
        raise RuntimeError(f"{name} failed:\n{done.stderr[-3000:]}")
    return float(done.stdout.strip().splitlines()[-1].removeprefix("images per second: "))
