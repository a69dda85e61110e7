"""How much of each map lies in the box of the drawn shape: where the truth is known, a map is right or wrong."""

import argparse
import time
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.report import Report, verdict
from benchmarks.turns import Spread
from reswork import datasets
from reswork.datasets import Dataset, normalise
from reswork.models.network import resnet
from reswork.probes import EIGHT, METHODS, Options, attributions
from reswork.training.recipe import Recipe
from reswork.training.run import Run

ROUNDS = 3  # trainings, each from another start
TARGETS = {"grad_cam": 1.5, "occlusion": 2.0, "integrated_gradients": 2.0}  # times chance


@dataclass(frozen=True)
class Found:
    """Of one trained network: share of each method's positive mass in the boxes, and the share of right answers."""

    inside: dict[str, float]
    accuracy: float


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--depth", type=int, default=14)
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--pictures", type=int, default=200, help="test pictures that are explained")


def measure(options: argparse.Namespace) -> Report:
    begin = time.perf_counter()
    data = datasets.shapes()
    boxes = box_masks(data, options.pictures)
    chance = float(boxes.mean())
    found = [_found(data, boxes, seed, options) for seed in range(options.rounds)]
    rows = []
    for method in EIGHT:
        inside = Spread.of(one.inside[method] for one in found)
        target = TARGETS.get(method)
        rows.append(
            (METHODS[method].label, f"{inside:.2f}", f"{inside.middle / chance:.1f}",
             verdict(inside.least / chance, least=target, unit=" times chance") if target else "")
        )  # fmt: skip
    accuracy = Spread.of(one.accuracy for one in found)
    return Report(
        "Attributions on shapes whose place is known",
        ("method", "share of the map in the box", "times chance", "target"),
        [("chance: the boxes' share of the pictures", f"{chance:.2f}", "1", ""), *rows],
        [
            f"`datasets.shapes()`, ResNet-{options.depth} of width {options.width}, {options.epochs} epochs, "
            f"{options.rounds} trainings with {accuracy:.1%} of the test pictures right; the first {options.pictures} "
            "test pictures, each explained for its true class against a blurred picture. Positive mass; median "
            f"(least to most) of the trainings, verdicts on the least. All of it took "
            f"{time.perf_counter() - begin:,.0f} s."
        ],
        ["captum"],
    )


def box_masks(data: Dataset, count: int) -> NDArray[np.bool_]:
    """The boxes of the first test pictures as masks, (count, H, W)."""
    left, top, right, bottom = data.extras["test_boxes"][:count].numpy().T[:, :, None]
    rows, columns = (np.arange(side) for side in data.input_shape[1:])
    within_rows, within_columns = (rows >= top) & (rows < bottom), (columns >= left) & (columns < right)
    masks: NDArray[np.bool_] = within_rows[:, :, None] & within_columns[:, None, :]
    return masks


def _found(data: Dataset, boxes: NDArray[np.bool_], seed: int, options: argparse.Namespace) -> Found:
    torch.manual_seed(seed)
    net = resnet(depth=options.depth, width=options.width, num_classes=len(data.classes))
    run = Run(net, data, Recipe(epochs=options.epochs, schedule="one_cycle", seed=seed))
    run.start()
    run.wait()
    net.eval().float()
    images = normalise(data.test.images, data.mean, data.std)
    with torch.no_grad():
        answers = torch.cat([net(part).argmax(1) for part in images.split(256)])
    maps = attributions(
        net,
        images[: options.pictures],
        target=data.test.labels[: options.pictures].tolist(),
        baseline="blur",
        options=Options(normalisation=(data.mean, data.std)),
    )
    inside = {each.method: float(np.nanmean(each.mass_inside(boxes))) for each in maps}
    return Found(inside, float((answers == data.test.labels).float().mean()))
