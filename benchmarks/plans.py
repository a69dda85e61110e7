"""What a training is said to take, against what it takes: twenty networks, each tried first and then trained.

``--law`` only tries them, and writes the law of operations and memory traffic, fitted to the processor's seconds of
their steps, into the package.
"""

import argparse
import copy
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch

from benchmarks.report import Report, machine, verdict
from reswork.datasets import digits, fashion, shapes
from reswork.datasets.dataset import Dataset
from reswork.experiment.launch import train
from reswork.models.config import ResNetConfig
from reswork.models.network import resnet
from reswork.models.sheet import spec_sheet
from reswork.planning import work
from reswork.planning.trial import trial
from reswork.tasks.kinds import config_for
from reswork.training.recipe import Recipe

ROUNDS = 20
TARGET = 0.15  # median of the errors
_ASKED = 60  # steps from which a run times its modes

_DATA: dict[str, Callable[[], Dataset]] = {
    "digits": digits,
    "fashion": lambda: fashion().subset(6000, 1000),
    "shapes": lambda: shapes(train=1000, test=200),
}
_SETTINGS = (  # data, network, recipe
    ("digits", {"depth": 8, "width": 8}, {}),
    ("digits", {"depth": 20, "width": 16}, {}),
    ("digits", {"depth": 56, "width": 8}, {"batch_size": 64}),
    ("digits", {"depth": 14, "width": 32}, {"optimizer": "adamw", "learning_rate": 0.001}),
    ("fashion", {"depth": 8, "width": 8}, {}),
    ("fashion", {"depth": 8, "width": 16}, {"batch_size": 32}),
    ("fashion", {"depth": 14, "width": 16}, {}),
    ("fashion", {"depth": 20, "width": 16}, {"ema": 0.99}),
    ("fashion", {"depth": 20, "width": 8}, {"batch_size": 64, "mixup": 0.2}),
    ("fashion", {"depth": 32, "width": 8}, {}),
    ("fashion", {"depth": 20, "width": 16, "residual": False}, {}),
    ("fashion", {"depth": 20, "width": 16, "order": "pre"}, {"batch_size": 32}),
    ("fashion", {"depth": 29, "width": 8, "block": "bottleneck"}, {"batch_size": 32}),
    ("fashion", {"depth": 8, "width": 32}, {"accumulate": 2}),
    ("fashion", {"depth": 14, "width": 8, "norm": "group"}, {}),
    ("fashion", {"depth": 18, "width": 16}, {"batch_size": 32}),
    ("shapes", {"depth": 8, "width": 8}, {"batch_size": 32}),
    ("shapes", {"depth": 14, "width": 8}, {"batch_size": 32}),
    ("shapes", {"depth": 8, "width": 16}, {"batch_size": 16}),
    ("shapes", {"depth": 20, "width": 4}, {"batch_size": 32}),
)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=6.0, help="that a training shall take, about (6)")
    parser.add_argument("--tried", type=float, default=3.0, help="seconds of steps beforehand (3)")
    parser.add_argument("--law", action="store_true", help="write the fitted law into the package")


def measure(options: argparse.Namespace) -> Report:
    data = {name: make() for name, make in _DATA.items()}
    rows, errors, works, seconds, loads = [], [], list[work.Work](), list[float](), [os.getloadavg()[0]]
    for name, network, settings in _SETTINGS[: options.rounds]:
        config, recipe = config_for(data[name], **network), Recipe(steps=10 * _ASKED, **settings)
        images = len(data[name].train)
        torch.manual_seed(0)
        model = resnet(config)
        tried = trial(copy.deepcopy(model), data[name], recipe, options.tried)
        works.append(work.step_work(spec_sheet(config, data[name].input_shape), recipe, images))
        seconds.append(tried.processor_s)
        loads.append(os.getloadavg()[0])
        if options.law:
            continue
        recipe = replace(recipe, steps=max(_ASKED, round(options.seconds / tried.step_s)))
        told = tried.seconds(recipe, images)
        taken = _trained(model, data[name], recipe)
        errors.append(abs(told / taken - 1))
        times = f"{told:.1f}", f"{taken:.1f}", f"{errors[-1]:.0%}", f"{loads[-1]:.1f}"
        rows.append((*_words(name, config, recipe), *times))
        print("  ".join(rows[-1]), file=sys.stderr, flush=True)
    missed = work.left_out_errors(works, seconds)
    if options.law:
        _write_law(works, seconds, missed)
    load = f"The machine had {os.cpu_count()} cores and a load of {min(loads):.1f} to {max(loads):.1f}, this included."
    law = (
        "The law of operations, memory traffic and layers, fitted to all others, misses the processor's seconds for "
        f"the step of a network by {np.median(missed):.0%} in the middle, {missed.max():.0%} at most."
    )
    if not errors:
        row = (str(len(works)), f"{np.median(missed):.0%}", f"{missed.max():.0%}")
        return Report(
            "The law of a step", ("networks", "missed in the middle", "at most"), [row], [law, load]
        )
    median = statistics.median(errors)
    notes = [
        f"Error: {median:.1%} in the middle, {max(errors):.0%} at most; in the middle "
        f"{verdict(100 * median, most=100 * TARGET, unit=' %')}.",
        f"Each is tried for {options.tried:g} s of steps, then trained from the call to its end, with all that it "
        f"records and writes. {load}",
        law,
    ]
    return Report(
        "What a training is said to take, and takes",
        ("data", "network", "recipe", "said, s", "taken, s", "error", "load"),
        rows,
        notes,
    )


def _trained(model: torch.nn.Module, data: Dataset, recipe: Recipe) -> float:
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        run = train(model, data, recipe, directory=Path(folder) / "run")
        run.wait()
        return time.perf_counter() - begin


def _words(name: str, config: ResNetConfig, recipe: Recipe) -> Iterator[str]:
    yield name
    yield f"{config.label}, width {config.resolved().width}"
    parts = [f"batch {recipe.batch_size}", f"{recipe.steps} steps", recipe.optimizer]
    yield ", ".join(parts)


def _write_law(works: list[work.Work], seconds: list[float], missed: np.ndarray) -> None:
    values = {
        "weights": [float(f"{each:.4g}") for each in work.fitted(works, seconds)],
        "median_error": round(float(np.median(missed)), 3),
        "worst_error": round(float(missed.max()), 3),
        "networks": len(works),
        "machine": machine(),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "steps": [
            {"terms": [float(f"{term:.4g}") for term in each.terms], "seconds": float(f"{took:.4g}")}
            for each, took in zip(works, seconds, strict=True)
        ],
    }
    lines = json.dumps(values, indent=1)
    Path(work.__file__).with_name("law.json").write_text(lines + "\n", encoding="utf-8")
