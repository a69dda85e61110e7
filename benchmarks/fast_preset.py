"""The preset Fast, against what it was before, on fashion's 10,000 images.

Both train the same network from the same weights, by turns, an epoch each, with one thread; seconds are those of this
process, evaluations apart. Fixed before it was first measured: Fast becomes a shorter recipe if over all seeds that
takes at most half of the seconds and its mean accuracy after the last step is lower by at most 0.3 points, which three
seeds and 2,000 test images cannot tell from nothing. The first one, 12 passes of SGD with small images first, was 0.6
points lower with one seed; the second one, with Muon, is Fast now.
"""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.report import Report, verdict
from reswork.datasets import load
from reswork.datasets.augmentation import Augmentation
from reswork.experiment.presets import FAST
from reswork.experiment.seed_runs import fresh_network
from reswork.models.config import ResNetConfig
from reswork.models.network import ResNet, resnet
from reswork.studies.whole_recipe import WholeRecipe
from reswork.training.cores import CORES
from reswork.training.recipe import Recipe

ROUNDS = 3
POINTS, SHARE = 0.3, 0.5
BEFORE = Recipe(
    epochs=16,
    learning_rate=0.2,
    nesterov=True,
    weight_decay=5e-4,
    decay_norm_and_bias=False,
    schedule="one_cycle",
    label_smoothing=0.1,
    augmentation=Augmentation(crop_padding=4, flip=True, cutout=8),
)
ARMS: dict[str, Recipe] = {"16 passes, SGD, cutout": BEFORE, "7 passes, Muon": FAST.recipe}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--depth", type=int, default=20)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="bf16")
    parser.add_argument("--first", type=int, default=0, help="seed of the first start")
    parser.add_argument(
        "--file",
        type=Path,
        help="a line is added to it after each epoch; seeds that are done in it are not made again",
    )


def measure(options: argparse.Namespace) -> Report:
    torch.set_num_threads(1)
    data = load("fashion")
    data = data.subset(train=min(options.images, len(data.train)))
    config = ResNetConfig(depth=options.depth, in_channels=1)
    ends: dict[str, list[tuple[float, float]]] = {name: [] for name in ARMS}
    known = _known(options.file)
    for seed in range(options.first, options.first + options.rounds):
        if all((name, seed) in known for name in ARMS):
            for name in ARMS:
                ends[name].append(known[name, seed])
            continue
        arms = {}
        for name, recipe in ARMS.items():
            one = fresh_network(resnet(config, input_shape=data.input_shape), seed)
            assert isinstance(one, ResNet)
            arms[name] = WholeRecipe(one, data, replace(recipe, seed=seed, precision=options.precision))
        with CORES.taken():
            while not all(each.done for each in arms.values()):
                for name, each in arms.items():
                    _epoch(name, each, seed, options.file)
        for name, each in arms.items():
            ends[name].append((each.seconds, 100 * (1 - each.test_error())))
    return _report(ends, config, options, len(data.test))


def _known(file: Path | None) -> dict[tuple[str, int], tuple[float, float]]:
    """Seconds and accuracy in % of what is at its end in a file of an earlier measurement, by arm and seed."""
    if file is None or not file.exists():
        return {}
    rows = map(json.loads, file.read_text(encoding="utf-8").splitlines())
    return {
        (row["arm"], row["seed"]): (row["seconds"], 100 * row["accuracy"])
        for row in rows
        if "accuracy" in row
    }


def _epoch(name: str, training: WholeRecipe, seed: int, file: Path | None) -> None:
    while not training.done:
        training.make_step()
        if training.ends_epoch:
            break
    else:
        return
    row = {"arm": name, "seed": seed, "epoch": training.epoch, "seconds": round(training.seconds, 1)}
    row["training error"] = round(training.train_error(), 4)
    if training.done:
        row["accuracy"] = round(1 - training.test_error(), 4)
    print(json.dumps(row), file=sys.stderr, flush=True)
    if file is not None:
        with file.open("a", encoding="utf-8") as out:
            out.write(json.dumps(row) + "\n")


def _report(
    ends: dict[str, list[tuple[float, float]]], config: ResNetConfig, options: argparse.Namespace, tests: int
) -> Report:
    (before, longer), (after, shorter) = (np.array(each).T for each in ends.values())  # seconds, accuracies
    gaps, shares = shorter - longer, after / before
    first, second = ends
    rows = (
        (first, _span(longer, " %"), "", "", _span(before, " s"), "", ""),
        (
            second,
            _span(shorter, " %"),
            _span(gaps, "", 2),
            verdict(float(gaps.mean()), least=-POINTS),
            _span(after, " s"),
            _span(shares, "", 2),
            verdict(float(after.sum() / before.sum()), most=SHARE),
        ),
    )
    return Report(
        "The preset Fast, and what it was before",
        ("recipe", "test accuracy", "points", "target", "processor", "share of it", "target"),
        rows,
        (
            f"{config.label} on {options.images:,} of fashion's images, {tests:,} test images, {options.precision}, "
            f"{options.rounds} seeds; by turns, an epoch each. Mean (least to most). Seconds are those of the process, "
            "so that other programs on the machine count little; evaluations apart.",
        ),
    )


def _span(values: np.ndarray, unit: str, digits: int = 1) -> str:
    return f"{values.mean():.{digits}f}{unit} ({values.min():.{digits}f} to {values.max():.{digits}f})"
