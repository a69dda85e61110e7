"""Training from images that stay in a file, against the same images in memory.

Both arms train the same network on the same photographs, the very same batches, and then cut batches alone. The files
are small enough for the system to keep them in memory; what a disk adds depends on the disk. Arms take turns.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.hand_written_loop import CROP_AND_FLIP
from benchmarks.report import Report, verdict
from benchmarks.turns import Spread, ratio, take_turns
from reswork import Recipe, resnet
from reswork.datasets import Dataset, folder
from reswork.training.batches import Batches
from reswork.training.events import StepDone
from reswork.training.loop import fit

ROUNDS = 4
TARGET = 0.9
BATCH = 64


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--images", type=int, default=2000, help="photographs that are made")
    parser.add_argument(
        "--steps", type=int, default=12, help="of each arm in each round, after three to get warm"
    )
    parser.add_argument("--sizes", type=int, nargs="*", default=[32, 96, 224], help="of the decoded images")
    parser.add_argument("--largest", type=int, default=224, help="size at which a network is trained")
    parser.add_argument("--depth", type=int, default=20)
    parser.add_argument("--device", default="auto")


def measure(options: argparse.Namespace) -> Report:
    rows = []
    with tempfile.TemporaryDirectory() as place:
        photographs(Path(place) / "photographs", options.images)
        for size in options.sizes:
            start = time.perf_counter()
            in_file = folder(Path(place) / "photographs", size, cache=Path(place) / "cache")
            decoded = options.images / (time.perf_counter() - start)
            in_memory = folder(Path(place) / "photographs", size, cache=False)
            assert in_file.train.files and in_file.fingerprint == in_memory.fingerprint
            for what, measured in (("training", images_per_second), ("batches alone", batches_alone)):
                if what == "training" and size > options.largest:
                    continue
                arms = {
                    "file": lambda data=in_file, measured=measured: measured(data, options),
                    "memory": lambda data=in_memory, measured=measured: measured(data, options),
                }
                speeds = take_turns(arms, options.rounds)
                times = ratio(speeds["file"], speeds["memory"])
                rows.append(
                    (
                        f"{what}, {size}x{size}",
                        f"{Spread.of(speeds['memory']):,.0f}",
                        f"{Spread.of(speeds['file']):,.0f}",
                        f"{times:.2f}",
                        verdict(times.middle, least=TARGET) if what == "training" else "",
                        f"{decoded:,.0f}",
                    )
                )
    return Report(
        "Images in a file, against images in memory",
        ("", "images per second, memory", "images per second, file", "ratio", "target", "decoded per second"),
        rows,
        [
            f"ResNet-{options.depth}, batches of {BATCH} with crops and mirrored, {options.steps} steps an arm and "
            f"round, {options.rounds} rounds; {options.images:,} JPEG photographs of 375x500. Median (least to most). "
            "Decoded is the first reading of the folder, with its survey, by one process for each core."
        ],
        ["pillow"],
    )  # fmt: skip


def photographs(root: Path, count: int) -> None:
    """JPEGs that decode like photographs: smooth colours with some noise, in two classes."""
    random = np.random.default_rng(0)
    for number in range(count):
        coarse = random.integers(0, 256, (12, 16, 3), np.uint8)
        large = np.asarray(Image.fromarray(coarse).resize((500, 375), Image.Resampling.BICUBIC), np.int16)
        noisy = np.clip(large + random.normal(0, 8, large.shape).astype(np.int16), 0, 255).astype(np.uint8)
        path = root / "ab"[number % 2] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noisy).save(path, quality=85)


def images_per_second(data: Dataset, options: argparse.Namespace) -> float:
    """Throughput of a training, without its first steps and without evaluations."""
    torch.manual_seed(0)
    recipe = Recipe(
        steps=options.steps + 3, batch_size=BATCH, augmentation=CROP_AND_FLIP, device=options.device, compile="off",
        precision="fp32",
    )  # fmt: skip
    model = resnet(depth=options.depth, num_classes=2, in_channels=3)
    begin = 0.0
    for event in fit(model, data, recipe):
        if isinstance(event, StepDone):
            if event.step == 3:
                begin = time.perf_counter()
            if event.step == options.steps + 3:
                break
    return options.steps * BATCH / (time.perf_counter() - begin)


def batches_alone(data: Dataset, options: argparse.Namespace) -> float:
    """Throughput of cutting, augmenting and normalising, without a network."""
    recipe = Recipe(steps=options.steps, batch_size=BATCH, augmentation=CROP_AND_FLIP)
    batches = Batches(data, recipe, channels_last=True)
    batches.cut(1)
    begin = time.perf_counter()
    for step in range(2, options.steps + 2):
        batches.cut(step)
    return options.steps * BATCH / (time.perf_counter() - begin)
