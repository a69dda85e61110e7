"""What a step of training has to do, counted; how long that takes by a fitted law, and on a GPU by guess."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from reswork.models.costs import FLOAT_BYTES
from reswork.models.sheet import SpecSheet
from reswork.planning.prices import Machine
from reswork.settings_text import settings_from
from reswork.training.recipe import Recipe

_PASSES = 3  # the backward pass takes two products for each of the forward pass
_TOUCHED = 6  # times that an output is written or read: forward twice, backward four times
_WEIGHTS_TOUCHED = 8  # times that a weight, its gradient and its momentum are, in all
_KERNELS = 3  # that a layer starts on a GPU in a step

# Shares of what the data sheet promises, and seconds to start a kernel: the middle, what is good, what is bad.
GPU_OPERATIONS = (0.3, 0.5, 0.1)
GPU_TRAFFIC = (0.6, 0.85, 0.35)
GPU_START_S = (8e-6, 4e-6, 15e-6)


@dataclass(frozen=True)
class Work:
    """What one step computes.

    Attributes:
        operations: additions and products.
        traffic: bytes to and from memory.
        layers: that are called.
    """

    operations: float
    traffic: float
    layers: int

    @property
    def terms(self) -> tuple[float, float, float]:
        """Operations in 10^9, traffic in 10^9 bytes, layers in 10^3: what the law weighs."""
        return self.operations / 1e9, self.traffic / 1e9, self.layers / 1e3


def step_work(sheet: SpecSheet, recipe: Recipe, images: int) -> Work:
    """What a step of training has to do.

    Args:
        sheet: of the network.
        recipe: of which batch size and checkpoints of activations matter.
        images: to train on.
    """
    batch = min(recipe.batch_size, images)
    outputs = sum(math.prod(layer.output_shape) for layer in sheet.layers)
    passes = _PASSES + recipe.checkpoint_activations
    return Work(
        2 * passes * sheet.macs * batch,
        FLOAT_BYTES * (_TOUCHED * outputs * batch + _WEIGHTS_TOUCHED * sheet.parameters),
        len(sheet.layers) * recipe.accumulate,
    )


def training_bytes(sheet: SpecSheet, recipe: Recipe, images: int) -> int:
    """Memory that a step needs in single precision: weights, gradients, what the optimizer keeps, activations."""
    kept = {"sgd": 1 if recipe.momentum else 0, "muon": 1}  # Muon's few others have two
    states = kept.get(recipe.optimizer, 2) + (recipe.ema is not None)
    batch = -(-min(recipe.batch_size, images) // recipe.accumulate)
    return FLOAT_BYTES * sheet.parameters * (2 + states) + sheet.activation_bytes * batch


def fitted(works: Sequence[Work], seconds: Sequence[float]) -> np.ndarray:
    """(3,) weights of operations, traffic and layers, from 0, whose sum comes closest to measured seconds, by factors.

    Args:
        works: of some networks.
        seconds: that a step of each took.
    """
    from scipy.optimize import nnls

    measured = np.asarray(seconds, np.float64)
    rows = np.array([each.terms for each in works]) / measured[:, None]
    found: np.ndarray = nnls(rows, np.ones(len(rows)))[0]
    return found


def left_out_errors(works: Sequence[Work], seconds: Sequence[float]) -> np.ndarray:
    """(N,) by what share the law misses each network when it is fitted to the others."""
    errors = []
    for k, (work, measured) in enumerate(zip(works, seconds, strict=True)):
        weights = fitted([*works[:k], *works[k + 1 :]], [*seconds[:k], *seconds[k + 1 :]])
        errors.append(abs(float(np.dot(weights, work.terms)) / measured - 1))
    return np.array(errors)


@cache
def law() -> Mapping[str, Any]:
    """What ``python -m benchmarks plans --law`` fitted: ``weights``, ``median_error``, ``networks``, ``machine``."""
    text = files("reswork.planning").joinpath("law.json").read_text("utf-8")
    return settings_from(text, "law", "a fitted law")


def relative_seconds(work: Work, known: Work) -> float:
    """How many times as long a step takes as another one, by the law."""
    weights = np.asarray(law()["weights"])
    return float(np.dot(weights, work.terms) / np.dot(weights, known.terms))


def gpu_seconds(work: Work, machine: Machine) -> tuple[float, float, float]:
    """Seconds of a step on a GPU that nobody measured: in the middle, if all goes well, if it does not."""
    peak = 1e12 * (machine.tera_operations_16 or machine.tera_operations or math.nan)
    bandwidth = 1e9 * (machine.gigabytes_per_second or math.nan)
    found = [
        work.operations / (peak * operations)
        + work.traffic / (bandwidth * traffic)
        + _KERNELS * work.layers * start
        for operations, traffic, start in zip(GPU_OPERATIONS, GPU_TRAFFIC, GPU_START_S, strict=True)
    ]
    return found[0], found[1], found[2]
