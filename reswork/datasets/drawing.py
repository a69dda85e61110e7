"""Drawn shapes: pictures of which class, box and mask are known, for checking what a network looks at."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from reswork.datasets.conversion import assembled
from reswork.datasets.dataset import Dataset, Split
from reswork.datasets.targets import NO_BOX
from reswork.errors import InvalidSetting

CLASSES = ("circle", "square", "triangle", "cross", "ring", "star")
NOTHING = -1  # in the place of a label
MOST_SHAPES = 4  # in one scene
LEAST_SEEN = 1 / 3  # of a shape that has a box
ALONE, AMONG_OTHERS = (0.22, 0.42), (0.14, 0.28)  # least and largest radius, as parts of the picture


def shapes(train: int = 2_000, test: int = 500, size: int = 32, seed: int = 0) -> Dataset:
    """Six shapes in any size, place, turn and colour before textured, noisy backgrounds.

    Use it where a map or a mask shall be compared with the truth: `extras` holds for both splits
    ``train_boxes``, int64 (N, 4), x and y of the first and of the first pixel behind the shape, and
    ``train_masks``, bool (N, H, W).

    Args:
        train: training images.
        test: test images.
        size: height and width in pixels, 16 to 256.
        seed: equal seeds draw equal pictures.

    Returns:
        Images 3 x size x size of six classes, equally frequent.

    Raises:
        InvalidSetting: too few images or an impossible size.

    Example:
        >>> data = shapes(train=12, test=6)
        >>> data.extras["train_masks"].shape
        torch.Size([12, 32, 32])
    """
    _check(train, test, size)
    random = np.random.RandomState(seed)  # its stream is frozen across versions of numpy
    splits, extras = {}, {}
    for name, count in (("train", train), ("test", test)):
        labels = random.permutation(np.arange(count) % len(CLASSES))
        images, drawn = _drawn(labels[:, None], size, ALONE, random)
        masks = drawn > 0
        splits[name] = Split(images, torch.from_numpy(labels.astype(np.int64)))
        extras[f"{name}_boxes"], extras[f"{name}_masks"] = boxes_around(masks), masks
    return assembled("shapes", splits["train"], splits["test"], CLASSES, "Drawn by reswork", extras=extras)


def scenes(train: int = 800, test: int = 200, size: int = 64, seed: int = 0) -> Dataset:
    """Several shapes in one picture, some before others, with the class of every pixel: for segmentation.

    A scene has one to four of the shapes of `shapes`, smaller and in the same colours, before a textured, noisy
    ground; where two overlap, the mask has the one in front.

    Args:
        train: training images.
        test: test images.
        size: height and width in pixels, 16 to 256.
        seed: equal seeds draw equal pictures.

    Returns:
        Images 3 x size x size with masks of seven classes: 0 is the ground, most of the pixels.

    Raises:
        InvalidSetting: too few images or an impossible size.

    Example:
        >>> data = scenes(train=8, test=4)
        >>> data.train.masks.shape, data.classes[:3]
        (torch.Size([8, 64, 64]), ('ground', 'circle', 'square'))
    """
    _check(train, test, size)
    random = np.random.RandomState(seed)
    splits = {}
    for name, count in (("train", train), ("test", test)):
        splits[name] = Split(*_drawn(_several(count, random), size, AMONG_OTHERS, random))
    return assembled("scenes", splits["train"], splits["test"], ("ground", *CLASSES), "Drawn by reswork")


def scattered(train: int = 400, test: int = 100, size: int = 48, seed: int = 0) -> Dataset:
    """Several shapes in one picture, each with the box around it and its class: for detection.

    The pictures are drawn as those of `scenes`, one to four shapes in each. A box is around the whole shape, also where
    another one lies before it; a shape of which less than a third can be seen has none.

    Args:
        train: training images.
        test: test images.
        size: height and width in pixels, 16 to 256.
        seed: equal seeds draw equal pictures.

    Returns:
        Images 3 x size x size with up to four boxes of six classes.

    Raises:
        InvalidSetting: too few images or an impossible size.

    Example:
        >>> data = scattered(train=8, test=4)
        >>> data.train.boxes.shape, data.classes[:2]
        (torch.Size([8, 4, 5]), ('circle', 'square'))
    """
    _check(train, test, size)
    random = np.random.RandomState(seed)
    splits = {}
    for name, count in (("train", train), ("test", test)):
        labels = _several(count, random)
        boxes = torch.empty(count, MOST_SHAPES, 5)
        images, _ = _drawn(labels, size, AMONG_OTHERS, random, boxes)
        splits[name] = Split(images, boxes)
    return assembled("scattered", splits["train"], splits["test"], CLASSES, "Drawn by reswork")


def _several(count: int, random: np.random.RandomState) -> np.ndarray:
    """Classes of one to four shapes for each picture, (N, 4), `NOTHING` behind them."""
    layers = [random.permutation(np.arange(count) % len(CLASSES)) for _ in range(MOST_SHAPES)]
    how_many = random.permutation(np.arange(count) % MOST_SHAPES + 1)
    return np.where(np.arange(MOST_SHAPES) < how_many[:, None], np.stack(layers, 1), NOTHING)


def _check(train: int, test: int, size: int) -> None:
    for name, value in (("train", train), ("test", test)):
        if not 1 <= value <= 1_000_000:
            raise InvalidSetting(name, f"{name}={value} images: choose 1 to 1,000,000")
    if not 16 <= size <= 256:
        raise InvalidSetting("size", f"size={size} pixels: choose 16 to 256")


def boxes_around(masks: Tensor) -> Tensor:
    """The smallest box around each mask: first x, first y, x and y behind the last, int64, (N, 4)."""
    columns, rows = masks.any(1).int(), masks.any(2).int()  # (N, W), (N, H)
    width, height = columns.shape[1], rows.shape[1]
    edges = [
        columns.argmax(1),
        rows.argmax(1),
        width - columns.flip(1).argmax(1),
        height - rows.flip(1).argmax(1),
    ]
    return torch.stack(edges, 1)


def _drawn(
    labels: np.ndarray,
    size: int,
    reach: tuple[float, float],
    random: np.random.RandomState,
    boxes: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Images, uint8 (N, 3, H, W), and masks, uint8 (N, H, W), 0 or one more than the label of the shape in front.

    Labels are (N, shapes in one picture), those in front last, `NOTHING` for no shape. Boxes, (N, shapes, 5), are
    filled where they are given.
    """
    images = torch.empty(len(labels), 3, size, size, dtype=torch.uint8)
    masks = torch.zeros(len(labels), size, size, dtype=torch.uint8)
    for start in range(0, len(labels), 2_000):  # by parts: a hundred thousand pictures need not fit as floats
        part = slice(start, start + 2_000)
        covers = [_cover(layer, size, reach, random) for layer in labels[part].T]  # each (n, H, W), 0 to 1
        images[part] = _painted(covers, random)
        for layer, cover in zip(labels[part].T, covers, strict=True):
            number = torch.from_numpy((layer + 1).astype(np.uint8)).view(-1, 1, 1)
            masks[part] = torch.where(cover > 0.5, number, masks[part])
        if boxes is not None:
            _fill_boxes(boxes[part], labels[part], covers)
    return images, masks


def _fill_boxes(boxes: Tensor, labels: np.ndarray, covers: Sequence[Tensor]) -> None:
    """The box around each shape, (N, shapes, 5), and none where the shapes before it leave too little of it."""
    before = torch.zeros_like(covers[0], dtype=torch.bool)  # what lies in front of the shapes so far
    for layer in range(len(covers) - 1, -1, -1):
        solid = covers[layer] > 0.5
        seen = (solid & ~before).flatten(1).sum(1) / solid.flatten(1).sum(1).clamp(min=1)
        is_there = torch.from_numpy(labels[:, layer] != NOTHING) & (seen >= LEAST_SEEN)
        label = torch.from_numpy(labels[:, layer].astype(np.float32))
        boxes[:, layer, :4] = torch.where(is_there[:, None], boxes_around(solid).float(), 0.0)
        boxes[:, layer, 4] = torch.where(is_there, label, float(NO_BOX))
        before |= solid


def _cover(
    labels: np.ndarray, size: int, reach: tuple[float, float], random: np.random.RandomState
) -> Tensor:
    """How far each pixel lies inside the shape, 0 to 1, with soft edges, (N, H, W)."""
    count = len(labels)
    radius = size * random.uniform(*reach, count)
    centre = radius[:, None] + random.uniform(size=(count, 2)) * (size - 2 * radius[:, None])
    turn = random.uniform(0, 2 * math.pi, count)
    place = np.arange(size) + 0.5
    x = (place[None, None, :] - centre[:, 0, None, None]) / radius[:, None, None]
    y = (place[None, :, None] - centre[:, 1, None, None]) / radius[:, None, None]
    cos, sin = np.cos(turn)[:, None, None], np.sin(turn)[:, None, None]
    u, v = cos * x + sin * y, cos * y - sin * x
    distance = np.full((count, size, size), np.inf)
    for label, name in enumerate(CLASSES):
        chosen = labels == label
        distance[chosen] = _OUTLINES[name](u[chosen], v[chosen])
    return torch.from_numpy(np.clip(0.5 - distance * radius[:, None, None], 0, 1).astype(np.float32))


def _half_planes(u: np.ndarray, v: np.ndarray, count: int) -> np.ndarray:
    """Projections on so many directions, evenly around, (count, N, H, W)."""
    angles = 2 * math.pi * np.arange(count) / count
    return np.stack([math.cos(angle) * u + math.sin(angle) * v for angle in angles])


Outline = Callable[[np.ndarray, np.ndarray], np.ndarray]  # distance of points (u, v) from it, below 0 inside
_OUTLINES: Mapping[str, Outline] = {
    "circle": lambda u, v: np.hypot(u, v) - 0.85,
    "square": lambda u, v: np.maximum(np.abs(u), np.abs(v)) - 0.7,
    "triangle": lambda u, v: _half_planes(u, v, 3).max(0) - 0.5,
    "cross": lambda u, v: np.minimum(
        np.maximum(np.abs(u) - 0.93, np.abs(v) - 0.3), np.maximum(np.abs(v) - 0.93, np.abs(u) - 0.3)
    ),
    "ring": lambda u, v: np.abs(np.hypot(u, v) - 0.72) - 0.2,
    # a point lies in a five-pointed star if it lies behind at least four of its five lines
    "star": lambda u, v: np.sort(_half_planes(u, v, 5), axis=0)[-2] - math.cos(2 * math.pi / 5),
}


def _painted(covers: Sequence[Tensor], random: np.random.RandomState) -> Tensor:
    """Colours, textures and noise, uint8 (N, 3, H, W); a shape is lighter than its ground."""
    count, size = len(covers[0]), covers[0].shape[-1]
    ground = random.uniform(0.1, 0.5, (count, 3))
    colours = [ground + random.uniform(0.15, 0.5, (count, 3)) for _ in covers]
    picture, *shapes = (
        _tensor(base)[:, :, None, None] + _texture(count, size, amount, random)
        for base, amount in ((ground, 0.12), *((colour, 0.08) for colour in colours))
    )
    noise = _tensor(random.normal(size=(count, 3, size, size)) * random.uniform(0.02, 0.08, (count, 1, 1, 1)))
    for shape, cover in zip(shapes, covers, strict=True):
        picture = torch.lerp(picture, shape, cover[:, None])
    return ((picture + noise).clamp(0, 1) * 255).round().to(torch.uint8)


def _texture(count: int, size: int, amount: float, random: np.random.RandomState) -> Tensor:
    """Soft blotches of two grains, (N, 3, H, W)."""
    grains = []
    for cells in (4, 11):
        coarse = _tensor(random.normal(scale=amount / 2**0.5, size=(count, 3, cells, cells)))
        grains.append(functional.interpolate(coarse, (size, size), mode="bilinear", align_corners=False))
    return grains[0] + grains[1]


def _tensor(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
