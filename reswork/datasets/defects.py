"""Good things and a few bad ones: a drawn surface with defects, and clothes of which one kind was never seen."""

import numpy as np
import torch
from torch import Tensor

from reswork.datasets.builtin import FASHION_CLASSES, fashion
from reswork.datasets.conversion import assembled
from reswork.datasets.dataset import Dataset, Split
from reswork.datasets.targets import IGNORED
from reswork.errors import InvalidSetting

DEFECTS = ("scratch", "stain", "missing hole", "shifted hole")
GOOD_AND_BAD = ("good", "bad")


def defects(train: int = 600, test: int = 200, size: int = 32, seed: int = 0) -> Dataset:
    """Simulated plates with holes, drawn by code; half of those in the test have a scratch, a stain or a wrong hole.

    A plate lies anywhere under the camera; light, noise and where its grain lies change. `extras` says which defect a
    test image has: ``test_defects``, int64 (N,), 0 where it is good, else one more than the place in `DEFECTS`.

    Args:
        train: good images to learn from, 2 to 100,000.
        test: images to judge by, half of them bad, 8 to 100,000.
        size: height and width in pixels, 24 to 256.
        seed: equal seeds draw equal plates.

    Returns:
        Grey images 1 x size x size with masks, 1 where something is wrong.

    Raises:
        InvalidSetting: too few or too many.

    Example:
        >>> data = defects(train=8, test=8)
        >>> (data.test.masks != 0).flatten(1).any(1).sum()
        tensor(4)
    """
    for name, value, low, high in (
        ("train", train, 2, 100_000),
        ("test", test, 8, 100_000),
        ("size", size, 24, 256),
    ):
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise InvalidSetting(name, f"{name}={value!r}: choose a whole number from {low} to {high:,}")
    random = np.random.RandomState(seed)  # its stream is frozen across versions
    none = np.zeros(train, np.int64)
    some = np.arange(test) % 2 * (1 + np.arange(test) // 2 % len(DEFECTS))
    learned, judged = (Split(*_plates(kinds, size, random)) for kinds in (none, some))
    return assembled(
        "defects",
        learned,
        judged,
        GOOD_AND_BAD,
        "Simulated: plates drawn by reswork",
        extras={"test_defects": torch.from_numpy(some)},
        notes=[f"The test images have these defects in turn: {', '.join(DEFECTS)}."],
        task="anomalies",
    )


def odd_fashion(odd: str = "Bag", train: int = 2_000, test: int = 600, seed: int = 0) -> Dataset:
    """Fashion-MNIST of which one class is held out: nine kinds of clothes are good, the tenth is what was never seen.

    Where an image is bad is not known, only that it is: its mask is 255 all over.

    Args:
        odd: the class that is held out.
        train: images of the nine others to learn from, 2 to 9,000.
        test: images to judge by, one in three of the class that was held out, 9 to 600.
        seed: of the choice.

    Raises:
        InvalidSetting: another class, too few or too many.
    """
    if odd not in FASHION_CLASSES:
        raise InvalidSetting(
            "odd", f"odd={odd!r} is no class of fashion; choose {', '.join(FASHION_CLASSES)}"
        )
    for name, value, low, high in (("train", train, 2, 9_000), ("test", test, 9, 600)):
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise InvalidSetting(name, f"{name}={value!r}: choose a whole number from {low} to {high:,}")
    whole, random = fashion(), np.random.RandomState(seed)
    number = FASHION_CLASSES.index(odd)

    def chosen(split: Split, is_odd: bool, count: int) -> Tensor:
        rows = np.flatnonzero((split.labels.numpy() == number) == is_odd)
        return split.images[torch.from_numpy(np.sort(random.permutation(rows)[:count]))]

    good = chosen(whole.train, False, train)
    seen = torch.cat([chosen(whole.test, False, test - test // 3), chosen(whole.test, True, test // 3)])
    masks = torch.zeros(len(seen), *seen.shape[2:], dtype=torch.uint8)
    masks[test - test // 3 :] = IGNORED
    order = torch.from_numpy(random.permutation(len(seen)))
    return assembled(
        "odd-fashion",
        Split(good, torch.zeros(len(good), *good.shape[2:], dtype=torch.uint8)),
        Split(seen[order], masks[order]),
        GOOD_AND_BAD,
        whole.source,
        notes=[f"The class {odd} is in no training image, and is what is bad in the test."],
        task="anomalies",
    )


def _plates(kinds: np.ndarray, size: int, random: np.random.RandomState) -> tuple[Tensor, Tensor]:
    """Images, uint8 (N, 1, H, W), and masks, uint8 (N, H, W), with these defects, 0 for none."""
    images = np.empty((len(kinds), 1, size, size), np.uint8)
    masks = np.zeros((len(kinds), size, size), np.uint8)
    place = (np.arange(size) + 0.5) / size
    for row, kind in enumerate(kinds):
        x, y = np.broadcast_arrays(place[None, :], place[:, None])
        across, down = random.uniform(0, 1 / 3, 2)  # the plate lies anywhere under the camera
        grain = np.sin(2 * np.pi * (11 * y + 0.6 * np.sin(2 * np.pi * x)) + random.uniform(0, 6.3))
        plate = 0.62 + 0.05 * grain + random.uniform(-0.12, 0.12) * (x - 0.5) + random.uniform(-0.05, 0.05)
        wrong = np.zeros((size, size))
        holes = [(across + i / 3, down + j / 3) for j in range(-1, 4) for i in range(-1, 4)]
        inner = [at for at, hole in enumerate(holes) if min(hole) > 0.15 and max(hole) < 0.85]
        odd = random.choice(inner) if kind >= 3 else -1
        for hole, (left, top) in enumerate(holes):
            there = _disc(x, y, left, top, 0.075, size)
            if hole == odd and kind == 3:
                wrong = there
                continue
            if hole == odd:
                angle = random.uniform(0, 2 * np.pi)
                moved = _disc(x, y, left + 0.1 * np.cos(angle), top + 0.1 * np.sin(angle), 0.075, size)
                wrong, there = np.maximum(moved, there), moved
            plate = plate + there * (0.15 - plate)
        if kind == 1:
            wrong = _scratch(x, y, size, random)
            plate = plate + wrong * random.choice([-0.25, 0.25])
        elif kind == 2:
            left, top = random.uniform(0.2, 0.8, 2)
            wrong = _disc(x, y, left, top, random.uniform(0.07, 0.13), size)
            plate = plate + wrong * random.choice([-0.15, 0.15])
        noisy = plate + random.normal(size=plate.shape) * 0.035
        images[row, 0] = (np.clip(noisy, 0, 1) * 255).round()
        masks[row] = wrong > 0.5
    return torch.from_numpy(images), torch.from_numpy(masks)


def _disc(x: np.ndarray, y: np.ndarray, left: float, top: float, radius: float, size: int) -> np.ndarray:
    return np.clip(0.5 - (np.hypot(x - left, y - top) - radius) * size, 0, 1)


def _scratch(x: np.ndarray, y: np.ndarray, size: int, random: np.random.RandomState) -> np.ndarray:
    """A thin line of a quarter to half of the plate, anywhere and in any direction."""
    left, top = random.uniform(0.3, 0.7, 2)
    angle, half = random.uniform(0, np.pi), random.uniform(0.12, 0.25)
    along = (x - left) * np.cos(angle) + (y - top) * np.sin(angle)
    across = (y - top) * np.cos(angle) - (x - left) * np.sin(angle)
    return np.clip(0.5 - np.maximum(np.abs(across) - 0.022, np.abs(along) - half) * size, 0, 1)
