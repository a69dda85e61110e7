"""A tiny training before something is planted in it: networks, data sets, one recipe; and those of later sets."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import torch
from torch import nn
from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d

from reswork import datasets
from reswork.datasets.conversion import assembled
from reswork.datasets.dataset import Dataset, Split
from reswork.training.events import Event
from reswork.training.recipe import Recipe

NETWORKS: dict[str, dict[str, Any]] = {
    "ResNet-8": {"depth": 8, "width": 8},
    "PreResNet-14": {"depth": 14, "width": 8, "order": "pre", "shortcut": "B"},
}
DATA = ("digits", "fashion")
SECOND_NETWORKS: dict[str, dict[str, Any]] = {
    "ResNet-14": {"depth": 14, "width": 6},
    "PreResNet-8": {"depth": 8, "width": 12, "order": "pre", "shortcut": "B"},
}
SECOND_DATA = ("seven digits", "six garments", "drawn shapes")
RECIPE: dict[str, Any] = {
    "steps": 160, "batch_size": 32, "learning_rate": 0.1, "device": "cpu", "precision": "fp32", "compile": "off",
    "channels_last": False, "deterministic": True,
}  # fmt: skip


SECOND_RECIPE: dict[str, Any] = {**RECIPE, "steps": 150, "batch_size": 40, "seed": 11}
THIRD_NETWORKS: dict[str, dict[str, Any]] = {
    "ResNet-8 of 10": {"depth": 8, "width": 10, "shortcut": "B"},
    "PreResNet-14 of 6": {"depth": 14, "width": 6, "order": "pre"},
}
THIRD_DATA = ("other digits", "five garments", "small shapes")
THIRD_RECIPE: dict[str, Any] = {**RECIPE, "steps": 140, "batch_size": 36, "seed": 29}
FOURTH_NETWORKS: dict[str, dict[str, Any]] = {
    "ResNet-20 of 5": {"depth": 20, "width": 5, "shortcut": "B"},
    "PreResNet-8 of 14": {"depth": 8, "width": 14, "order": "pre"},
}
FOURTH_DATA = ("dark digits", "seven garments", "coloured shapes")
FOURTH_RECIPE: dict[str, Any] = {**RECIPE, "steps": 180, "batch_size": 44, "seed": 43}
FIFTH_NETWORKS: dict[str, dict[str, Any]] = {
    "ResNet-10 of 7": {"depth": None, "form": "cifar", "stage_blocks": [2, 1, 1], "width": 7},
    "PreResNet-11 of 6": {
        "depth": 11, "form": "cifar", "block": "bottleneck", "width": 6, "order": "pre", "shortcut": "B",
    },
}  # fmt: skip
FIFTH_DATA = ("faded digits", "eight garments", "smooth shapes")
FIFTH_RECIPE: dict[str, Any] = {**RECIPE, "steps": 130, "batch_size": 38, "seed": 61}
SIXTH_NETWORKS: dict[str, dict[str, Any]] = {
    "ResNet-12 of 8": {"depth": None, "form": "cifar", "stage_blocks": [1, 2, 2], "width": 8, "shortcut": "B"},
    "PreResNet-10 of 9": {
        "depth": None, "form": "cifar", "stage_blocks": [1, 1, 2], "width": 9, "order": "pre", "shortcut": "C",
    },
}  # fmt: skip
SIXTH_DATA = ("hazy digits", "all garments", "shaded shapes")
SIXTH_RECIPE: dict[str, Any] = {**RECIPE, "steps": 150, "batch_size": 42, "seed": 83}
_LATER = (
    (SECOND_NETWORKS, SECOND_RECIPE),
    (THIRD_NETWORKS, THIRD_RECIPE),
    (FOURTH_NETWORKS, FOURTH_RECIPE),
    (FIFTH_NETWORKS, FIFTH_RECIPE),
    (SIXTH_NETWORKS, SIXTH_RECIPE),
)


@dataclass
class Plan:
    """What will be trained; a fault changes it in place.

    Attributes:
        data: the data set.
        config: settings of the network.
        recipe: settings of the training.
        before: changes the network, or wraps it, before it is trained.
        during: hears the events of the training, before the recorders do.
        after: changes the network afterwards.
        data_after: what the trained network is looked at with, where that is other data.
    """

    data: Dataset
    config: dict[str, Any]
    recipe: dict[str, Any] = field(default_factory=lambda: dict(RECIPE))
    before: Callable[[nn.Module], nn.Module] = lambda model: model
    during: Callable[[Event], None] | None = None
    after: Callable[[nn.Module], nn.Module] = lambda model: model
    data_after: Dataset | None = None

    def made_recipe(self) -> Recipe:
        """The recipe with all changes."""
        return Recipe.from_dict(self.recipe)


def plan(network: str, data: str) -> Plan:
    """A healthy one.

    Args:
        network: of ``NETWORKS``, or of those of a later set, which have recipes of their own.
        data: of ``DATA``, or of that of a later set, or another one of `named_data`.
    """
    found = named_data(data)
    own = {"in_channels": found.input_shape[0], "num_classes": len(found.classes)}
    for networks, recipe in _LATER:
        if network in networks:
            return Plan(found, {**networks[network], **own}, dict(recipe))
    return Plan(found, {**NETWORKS[network], **own}, {**RECIPE, "seed": 0})


@cache
def named_data(name: str) -> Dataset:
    """``digits``, ``fashion`` of 14x14 pixels, ``shapes`` of 16x16, ``tinted digits`` and ``tinted fashion``.

    Of the second set: ``seven digits``, split otherwise; ``six garments`` of 12x12 pixels, other images, of which many
    look alike; ``drawn shapes`` of 20x20 in colours, where the nearest image says little.

    Of the third set: ``other digits``, split otherwise and a little grainy; ``five garments`` of 10x10 pixels, other
    classes and images; ``small shapes`` of 16x16, others than those of the trials.

    Of the fourth set: ``dark digits`` on bright, grainy paper, split otherwise; ``seven garments`` of 11x11 pixels,
    other classes and images; ``coloured shapes`` of 18x18, others again.

    Of the fifth set: ``faded digits``, turned by 90 degrees, on grey, grainy paper, split otherwise; ``eight garments``
    of 9x9 pixels, mirrored, other classes and images; ``smooth shapes``, drawn twice as large and made 13x13.

    Of the sixth set: ``hazy digits``, upside down, of little contrast and grainy, split otherwise; ``all garments`` of
    8x8 pixels, all ten classes, other images; ``shaded shapes``, drawn larger and made 15x15, dark and grainy.
    """
    if name == "hazy digits":
        return grainy(_hazy(datasets.digits(seed=34)), 10)
    if name == "all garments":
        chosen = replace(datasets.fashion().subset(train=1_900, test=600, seed=34), name=name)
        return remade(chosen, _resized(chosen.train, 8), _resized(chosen.test, 8))
    if name == "shaded shapes":
        drawn = replace(datasets.shapes(train=1_300, test=400, size=22, seed=34), name=name)
        small = remade(drawn, *(_dimmed(_resized(each, 15)) for each in (drawn.train, drawn.test)))
        return grainy(small, 4)
    if name == "faded digits":
        return grainy(_faded(datasets.digits(seed=21)), 8)
    if name == "eight garments":
        chosen = of_classes(
            datasets.fashion().subset(train=2_000, test=650, seed=21), (0, 1, 2, 3, 5, 7, 8, 9), name
        )
        return remade(chosen, *(_mirrored(_resized(each, 9)) for each in (chosen.train, chosen.test)))
    if name == "smooth shapes":
        drawn = replace(datasets.shapes(train=1_000, test=330, size=26, seed=21), name=name)
        return remade(drawn, _resized(drawn.train, 13), _resized(drawn.test, 13))
    if name == "dark digits":
        return grainy(_negative(datasets.digits(seed=13)), 6)
    if name == "seven garments":
        chosen = of_classes(
            datasets.fashion().subset(train=2_100, test=700, seed=13), (0, 1, 4, 5, 7, 8, 9), name
        )
        return remade(chosen, _resized(chosen.train, 11), _resized(chosen.test, 11))
    if name == "coloured shapes":
        return replace(datasets.shapes(train=1_100, test=360, size=18, seed=13), name=name)
    if name == "other digits":
        return grainy(datasets.digits(seed=8), 12)
    if name == "five garments":
        chosen = of_classes(datasets.fashion().subset(train=2_400, test=800, seed=8), (1, 3, 6, 7, 8), name)
        return remade(chosen, _resized(chosen.train, 10), _resized(chosen.test, 10))
    if name == "small shapes":
        return replace(datasets.shapes(train=1_000, test=300, size=16, seed=8), name=name)
    if name == "seven digits":
        return of_classes(datasets.digits(seed=3), (0, 1, 3, 4, 5, 8, 9), name)
    if name == "six garments":
        chosen = of_classes(
            datasets.fashion().subset(train=3_000, test=800, seed=3), (0, 2, 3, 5, 6, 9), name
        )
        return remade(chosen, _resized(chosen.train, 12), _resized(chosen.test, 12))
    if name == "drawn shapes":
        return replace(datasets.shapes(train=1_200, test=400, size=20, seed=3), name=name)
    if name.startswith("tinted "):
        return tinted(named_data(name.removeprefix("tinted ")), 0.5)
    if name == "digits":
        return datasets.digits()
    if name == "shapes":
        return datasets.shapes(train=900, test=300, size=16)
    found = datasets.fashion().subset(train=1_500, test=400)
    return remade(found, _halved(found.train), _halved(found.test))


def tinted(data: Dataset, strength: float) -> Dataset:
    """Three channels of one, the second and third darker, as a lamp of one colour makes it."""
    factors = torch.tensor([1.0, 1 - strength / 2, 1 - strength]).view(1, 3, 1, 1)

    def split(each: Split) -> Split:
        return Split((each.images * factors).byte(), each.targets)

    return remade(data, split(data.train), split(data.test))


def grainy(data: Dataset, deviation: float) -> Dataset:
    """Noise of a cheap camera over all images, in grey levels."""
    generator = torch.Generator().manual_seed(3)

    def noisy(split: Split) -> Split:
        noise = torch.randn(split.images.shape, generator=generator) * deviation
        return Split((split.images + noise).clamp(0, 255).byte(), split.targets)

    return remade(data, noisy(data.train), noisy(data.test))


def remade(data: Dataset, train: Split, test: Split) -> Dataset:
    """The same with other images or labels, and the statistics of the new ones."""
    made = assembled(data.name, train, test, list(data.classes), data.source)
    return replace(made, name=data.name)


def _negative(data: Dataset) -> Dataset:
    """Dark where it was bright."""
    splits = (Split(255 - each.images, each.targets) for each in (data.train, data.test))
    return remade(data, *splits)


def _faded(data: Dataset) -> Dataset:
    """Turned by a right angle, and grey where it was black."""

    def split(each: Split) -> Split:
        grey = (60 + 0.85 * each.images.rot90(1, (2, 3))).clamp(max=255)
        return Split(grey.byte(), each.targets)

    return remade(data, split(data.train), split(data.test))


def _hazy(data: Dataset) -> Dataset:
    """Upside down, white only three quarters as bright, black not quite black."""

    def split(each: Split) -> Split:
        return Split((25 + 0.65 * each.images.flip(2)).byte(), each.targets)

    return remade(data, split(data.train), split(data.test))


def _dimmed(split: Split) -> Split:
    return Split((split.images * 0.7).byte(), split.targets)


def _mirrored(split: Split) -> Split:
    return Split(split.images.flip(3), split.targets)


def _halved(split: Split) -> Split:
    return Split(avg_pool2d(split.images.float(), 2).round().byte(), split.targets)


def _resized(split: Split, side: int) -> Split:
    return Split(adaptive_avg_pool2d(split.images.float(), side).round().byte(), split.targets)


def of_classes(data: Dataset, classes: tuple[int, ...], name: str) -> Dataset:
    """The images of some classes, which are counted from 0 again."""
    number = torch.full((len(data.classes),), -1)
    number[list(classes)] = torch.arange(len(classes))

    def split(each: Split) -> Split:
        kept = number[each.labels] >= 0
        return Split(each.images[kept], number[each.labels[kept]])

    names = [data.classes[each] for each in classes]
    return replace(assembled(data.name, split(data.train), split(data.test), names, data.source), name=name)
