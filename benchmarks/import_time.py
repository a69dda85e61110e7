"""How long imports take, against ``import torch``, in fresh processes by turns."""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.report import Report, verdict
from benchmarks.turns import Spread, ratio, take_turns

ROUNDS = 15
TARGET = 1.15
IMPORTS = {
    "`import torch`": "import torch",
    "`import reswork`": "import reswork",
    "the same, and the names that training needs": "import reswork as rw; rw.datasets, rw.resnet, rw.Recipe, rw.train",
    "the same, and `rw.Workbench`": "import reswork as rw; rw.datasets, rw.resnet, rw.Recipe, rw.train, rw.Workbench",
}


def add_options(parser: argparse.ArgumentParser) -> None:
    pass


def measure(options: argparse.Namespace) -> Report:
    arms: dict[str, Callable[[], float]] = {
        name: lambda code=code: seconds_to_run(code) for name, code in IMPORTS.items()
    }
    take_turns(arms, 1)  # the files come from the disk's cache afterwards
    seconds = take_turns(arms, options.rounds)
    first = seconds["`import torch`"]
    rows = []
    for name, took in seconds.items():
        times = ratio(took, first)
        told = verdict(times.middle, most=TARGET) if name == "`import reswork`" else ""
        rows.append((name, f"{Spread.of(took):.2f}", f"{times:.2f}", told))
    return Report(
        "Import",
        ("code", "seconds", "times `import torch`", "target"),
        rows,
        [
            f"Fresh processes, {options.rounds} rounds, without Python's own start. Median (least to most). "
            "`import reswork` brings torch only when a name is used that needs it."
        ],
    )


def seconds_to_run(code: str) -> float:
    """Of these imports, in a process of their own."""
    path = os.pathsep.join(filter(None, [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")]))
    timed = f"import time; begin = time.perf_counter()\n{code}\nprint(time.perf_counter() - begin)"
    done = subprocess.run(
        [sys.executable, "-c", timed],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)
