"""Training batches by `Preparation`, against a DataLoader with torchvision's transforms.

Both make batches of 128 from the same 50,000 images of 32x32: shuffled, padded by 4 and cut, half of them
mirrored, normalised. They take turns in one process; the ratios are to the faster of the DataLoaders.
"""

import argparse
import statistics
import time
from collections.abc import Iterator

import torch
from torch.utils.data import DataLoader

from benchmarks.hand_written_loop import BATCH, CROP_AND_FLIP, IMAGES, MEAN, STD, made_data, wait_for_device
from benchmarks.report import Report, verdict
from benchmarks.turns import Spread, ratio, take_turns
from benchmarks.usual_images import UsualImages
from reswork.datasets import Preparation, Split

ROUNDS = 9
TARGET = 20.0


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=1.5, help="of each arm in each round")
    parser.add_argument(
        "--workers", type=int, nargs="*", default=[0, 2], help="of the DataLoader, one arm each"
    )
    parser.add_argument("--device", default="cpu", help="where reswork's batches are made")


def measure(options: argparse.Namespace) -> Report:
    split = made_data().train
    theirs = {f"DataLoader, {count} workers": usual(split, count) for count in options.workers}
    ours = {
        "`Preparation`": prepared(split, False, options.device),
        "`Preparation`, channels last": prepared(split, True, options.device),
    }
    arms = {
        name: lambda batches=batches: images_per_second(batches, options.seconds)
        for name, batches in (theirs | ours).items()
    }
    for arm in arms.values():  # warm: workers started, memory touched
        arm()
    speeds = take_turns(arms, options.rounds)
    best = max(theirs, key=lambda name: statistics.median(speeds[name]))
    rows = []
    for name, measured in speeds.items():
        times = ratio(measured, speeds[best])
        told = verdict(times.middle, least=TARGET) if name in ours else ""
        rows.append((name, f"{Spread.of(measured):,.0f}", f"{times:.1f}", told))
    return Report(
        "Preparation of batches, against a DataLoader with transforms",
        ("arm", "images per second", "times the faster DataLoader", "target"),
        rows,
        [f"{options.rounds} rounds on {options.device}. Median (least to most)."],
        ["torchvision", "pillow"],
    )


def usual(split: Split, workers: int) -> Iterator[object]:
    """Batches without end."""
    images = UsualImages(split.images, split.labels)
    loader = DataLoader(
        images, BATCH, shuffle=True, drop_last=True, num_workers=workers, persistent_workers=workers > 0
    )
    while True:
        yield from loader


def prepared(split: Split, channels_last: bool, device: str) -> Iterator[object]:
    """Batches without end."""
    prepare = Preparation(split.to(device), MEAN, STD, CROP_AND_FLIP, channels_last=channels_last)
    generator = torch.Generator(device).manual_seed(0)
    while True:
        order = torch.randperm(IMAGES, device=device)
        for chosen in order.split(BATCH)[:-1]:
            yield prepare(chosen, generator)


def images_per_second(batches: Iterator[object], seconds: float) -> float:
    """Throughput over about so many seconds."""
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        next(batches)
        count += 1
    wait_for_device()
    return count * BATCH / (time.perf_counter() - start)
