"""What a data set says of itself: statistics, neighbours, copies between its splits."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from reswork.datasets.augmentation import Augmentation, augment, normalise
from reswork.datasets.dataset import Dataset, Split
from reswork.datasets.inputs import channel_statistics
from reswork.diagnosis.facts import DataFacts

_TRAIN, ASKED = 2_000, 400  # images among which neighbours are looked for, and for which
_AT_ONCE = 500  # images whose neighbours are looked for together
_SIDE = 12  # pixels; a copy that was made smaller is still found
_BLANK = 2.0  # grey levels, of 255: the deviation of an image with nothing to see
_FIRST_PLACE = 256  # above every grey level
_COPY = 2.5  # grey levels: mean difference of two images that are the same


def data_facts(data: Dataset, augmentation: Augmentation | None = None) -> DataFacts:
    """All that the rules ask about a data set with labels; some tenths of a second, whatever its size.

    Args:
        data: on the processor.
        augmentation: of the recipe, where there is one.
    """
    train, test = some(data.train, _TRAIN), some(data.test, ASKED)
    asked = some(data.train, ASKED)
    points, labels = _points(train.images), train.labels
    own = _nearest(_points(asked.images), points, skip_itself=True)[1]
    distances, other = _nearest(_points(test.images), _points(data.train.images))
    neighbours = labels[own]
    answers = data.train.labels[other]
    left = np.nan
    if augmentation is not None and augmentation != Augmentation():
        left = contrast_left(asked.images, augmentation)
    inputs, test_inputs = (normalise(split.images, data.mean, data.std) for split in (asked, test))
    true_mean, true_std = channel_statistics(train.images)
    flat = asked.images.float().flatten(1)
    return DataFacts(
        classes=len(data.classes),
        images=len(data.train),
        test_images=len(data.test),
        counts=data.class_counts().astype(np.float64),
        test_counts=data.class_counts("test").astype(np.float64),
        input_mean=inputs.mean((0, 2, 3)).numpy(),
        input_std=inputs.std((0, 2, 3)).numpy(),
        test_mean=test_inputs.mean((0, 2, 3)).numpy(),
        test_std=test_inputs.std((0, 2, 3)).numpy(),
        blank=_share(flat.std(1) < _BLANK),
        neighbours=_share(neighbours == asked.labels),
        neighbours_test=_share(answers == test.labels),
        neighbours_matched=matched(answers, test.labels, len(data.classes)),
        contrast_left=left,
        copies=_share(distances < _COPY),
        mean=data.mean,
        std=data.std,
        true_mean=true_mean,
        true_std=true_std,
    )


def neighbour_votes(asked: Split, train: Split, classes: int) -> Tensor:
    """The label that most of an image's five nearest other training images have, (N,) int64.

    Args:
        asked: some of the training images, or test images.
        train: the images to look among.
        classes: how many there are.
    """
    points, votes = _points(train.images), []
    for part in _points(asked.images).split(_AT_ONCE):
        near = _distances(part, points, skip_itself=True).topk(min(5, len(points)), largest=False).indices
        votes.append(torch.nn.functional.one_hot(train.labels[near], classes).sum(1).argmax(1))
    return torch.cat(votes)


def contrast_left(images: Tensor, augmentation: Augmentation) -> float:
    """How much of an image an augmentation leaves to be seen, 0 to 1, the mean over images.

    Numbers in place of pixels undergo it, so that it is known which places of the image are still there. A place counts
    as much as it differs from the image's mean, squared: where all is of one grey there is nothing to lose.

    Args:
        images: uint8, (N, C, H, W).
        augmentation: what is done to them.
    """
    count, _, height, width = images.shape
    places = _FIRST_PLACE + torch.arange(height * width, dtype=torch.int32)
    numbered = places.view(1, 1, height, width).repeat(count, 1, 1, 1)
    seen = augment(numbered, augmentation, torch.Generator().manual_seed(0)).flatten(1).long() - _FIRST_PLACE
    kept = torch.zeros(count, height * width + 1)
    kept.scatter_(1, torch.where(seen < 0, height * width, seen), 1.0)  # the last for what is filled in
    pixels = images.float()
    contrast = (pixels - pixels.mean((2, 3), keepdim=True)).square().sum(1).flatten(1)  # (N, H * W)
    whole = contrast.sum(1)
    left = torch.where(whole > 0, (contrast * kept[:, :-1]).sum(1) / whole.clamp_min(1e-6), 1.0)
    return float(left.mean())


def matched(answers: Tensor, labels: Tensor, classes: int) -> float:
    """Share of answers that are right after the best renaming of the classes."""
    return _share(_best_names(answers, labels, classes)[labels] == answers)


def renamed(data: Dataset) -> Dataset:
    """With the test labels renamed so that most test images agree with their nearest training image."""
    nearest = _nearest(_points(data.test.images), _points(data.train.images))[1]
    names = _best_names(data.train.labels[nearest], data.test.labels, len(data.classes))
    return replace(data, test=Split(data.test.images, names[data.test.labels]))


def _best_names(answers: Tensor, labels: Tensor, classes: int) -> Tensor:
    """For each class the name that makes most answers right, each name once, (classes,) int64."""
    from scipy.optimize import linear_sum_assignment

    table = np.zeros((classes, classes))
    np.add.at(table, (labels.numpy(), answers.numpy()), 1)
    return torch.from_numpy(linear_sum_assignment(-table)[1].astype(np.int64))


def some(split: Split, most: int) -> Split:
    """So many images, evenly over the split."""
    count = len(split)
    return split if count <= most else split.take(torch.arange(most) * count // most)


def _points(images: Tensor) -> Tensor:
    """(N, C, H, W) uint8 -> (N, D) float32, at most 12 pixels a side."""
    pixels = images.float()
    if max(pixels.shape[2:]) > _SIDE:
        pixels = adaptive_avg_pool2d(pixels, (min(_SIDE, pixels.shape[2]), min(_SIDE, pixels.shape[3])))
    return pixels.flatten(1)


def _distances(asked: Tensor, points: Tensor, *, skip_itself: bool) -> Tensor:
    # without the quick formula, whose rounding keeps an image away from itself
    exact = torch.cdist(asked, points, compute_mode="donot_use_mm_for_euclid_dist")
    found = exact / asked.shape[1] ** 0.5  # root mean square, in grey levels
    return found.masked_fill(found < 1e-3, torch.inf) if skip_itself else found


def _nearest(asked: Tensor, points: Tensor, *, skip_itself: bool = False) -> tuple[Tensor, Tensor]:
    nearest = _distances(asked, points, skip_itself=skip_itself).min(1)
    return nearest.values, nearest.indices


def _share(flags: Tensor) -> float:
    return float(flags.float().mean()) if len(flags) else np.nan


def copies(data: Dataset) -> Tensor:
    """Which test images stand among the training images, (N,) bool."""
    return _nearest(_points(data.test.images), _points(data.train.images))[0] < _COPY
