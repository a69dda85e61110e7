"""Where a model is worse than elsewhere, with a correction for looking at many places."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
import scipy

from reswork.reporting.predictions import Predictions
from reswork.reporting.traits import image_traits
from reswork.results.slices import Slice, Slices

_FIFTHS = ("lowest", "second", "middle", "fourth", "highest")
_MOST_VALUES = 30  # of a column of words
_CLUSTERS, _PER_CLUSTER = 20, 50
_LEAST = 20  # images in a slice
_LEVEL = 0.05
_DIFFERENCE = 0.03  # of the share that is wrong; less is no finding, however sure
_NORMAL = 1.959964  # of 95 %


@dataclass(frozen=True, eq=False)
class Grouping:
    """One way to part the images.

    Attributes:
        name: such as ``brightness``.
        values: what each group is called.
        group: (N,) int64, of each image; -1: in none.
        by: what says the group: the ``"data"``, the ``"truth"`` or the ``"model"``.
    """

    name: str
    values: tuple[str, ...]
    group: np.ndarray
    by: Literal["data", "truth", "model"] = "data"

    def told(self, value: int) -> str:
        """The name of one group."""
        return f"{self.name}: {self.values[value]}"


def slices(
    predictions: Predictions,
    *,
    level: float = _LEVEL,
    difference: float = _DIFFERENCE,
    least: int = _LEAST,
    seed: int = 0,
) -> Slices:
    """Parts of the images where more answers are wrong than among the others.

    Images are parted by class, by fifths of brightness, contrast and sharpness, by each column of what is known of
    them, and by clusters of their embeddings; then by pairs of two of these. A part is tested by Fisher's exact test
    against all others; a pair against the rest of either of its two parts, so that dark cats are no finding where cats
    are as wrong in daylight. Class and cluster are never a pair: a frog among what the model sees as cats is wrong by
    definition. Holm's correction for all that were tested keeps the chance of any false finding at ``level``.

    Args:
        predictions: with labels.
        level: chance of finding something where there is nothing.
        difference: a smaller one in the share that is wrong is left out.
        least: images that a part must have.
        seed: of the clusters.

    Raises:
        InvalidSetting: labels are not known.

    Reference:
        Holm 1979, A simple sequentially rejective multiple test procedure; Wilson 1927 for the intervals.
    """
    return worse_slices(~predictions.right, groupings(predictions, seed=seed),
                        level=level, difference=difference, least=least)  # fmt: skip


def mask_slices(
    right: np.ndarray,
    images: np.ndarray,
    masks: np.ndarray,
    features: np.ndarray | None,
    classes: Sequence[str],
    given: Mapping[str, np.ndarray],
    *,
    seed: int = 0,
) -> Slices:
    """The same for masks: an image is wrong where the task says so.

    Images are parted by the class that covers most of each, the ground left out, by fifths of the area that is no
    ground, and by what images of one class are parted by.

    Args:
        right: (N,) bool.
        images: (N, C, H, W) uint8.
        masks: (N, H, W) uint8; class 0 is the ground.
        features: (N, D) of a layer; None: no clusters.
        classes: names.
        given: columns of what is known of each image.
        seed: of the clusters.
    """
    areas = np.stack(
        [np.bincount(mask[mask < len(classes)].ravel(), minlength=len(classes)) for mask in masks]
    )
    things = areas[:, 1:]
    main = np.where(things.any(axis=1), things.argmax(axis=1) + 1, 0)
    size = things.sum(axis=1) / np.maximum(areas.sum(axis=1), 1)
    ways = [Grouping("mostly", tuple(classes), main), fifths("size of the object", size)]
    ways += [fifths(name, values) for name, values in image_traits(images).items()] + columns(given)
    if features is not None:
        ways += clusters(features, seed)
    return worse_slices(~right, ways)


def chosen_slice(name: str, images: np.ndarray, right: np.ndarray | None) -> Slice:
    """Images that a person chose, as a slice: how often they are wrong, with its interval, and the others.

    Args:
        name: that the person gave.
        images: (M,) their numbers, M >= 1.
        right: (N,) bool of all images; None: not known, and every number is NaN.
    """
    if right is None:
        return Slice(name, (name,), images, 0, *(float("nan"),) * 5)
    rest = np.ones(len(right), bool)
    rest[images] = False
    errors = int((~right[images]).sum())
    elsewhere = float((~right[rest]).mean()) if rest.any() else float("nan")
    low, high = wilson(errors, len(images))
    return Slice(name, (name,), images, errors, errors / len(images), low, high, elsewhere, float("nan"))


def groupings(predictions: Predictions, *, seed: int = 0) -> list[Grouping]:
    """Every way in which the images are parted."""
    found = []
    if predictions.labels is not None:
        found.append(Grouping("class", predictions.classes, predictions.labels, "truth"))
    if predictions.images is not None:
        found += [fifths(name, values) for name, values in image_traits(predictions.images).items()]
    found += columns(predictions.columns)
    if predictions.features is not None:
        found += clusters(predictions.features, seed)
    return found


def columns(given: Mapping[str, np.ndarray]) -> list[Grouping]:
    """Numbers of many values in fifths, everything else by its most frequent values."""
    found = []
    for name, values in given.items():
        if values.dtype.kind in "fiu" and len(np.unique(values)) > _MOST_VALUES:
            found.append(fifths(name, values.astype(np.float64)))
            continue
        words = values.astype(str)
        names, group, counts = np.unique(words, return_inverse=True, return_counts=True)
        kept = np.argsort(-counts, kind="stable")[:_MOST_VALUES]
        number = np.full(len(names), -1)
        number[kept] = np.arange(len(kept))
        found.append(Grouping(name, tuple(names[kept].tolist()), number[group]))
    return found


def fifths(name: str, values: np.ndarray) -> Grouping:
    """Five groups of equal size by a number; NaN is in none."""
    known = np.isfinite(values)
    if not known.any():
        return Grouping(name, _FIFTHS, np.full(len(values), -1))
    edges = np.quantile(values[known], (0.2, 0.4, 0.6, 0.8))
    group = np.where(known, np.searchsorted(edges, values, side="right"), -1)
    return Grouping(name, tuple(f"{word} fifth" for word in _FIFTHS), group)


def clusters(features: np.ndarray, seed: int) -> list[Grouping]:
    """Groups of images that the model sees alike."""
    from sklearn.cluster import MiniBatchKMeans  # takes a second to import

    count = min(_CLUSTERS, len(features) // _PER_CLUSTER)
    if count < 2:
        return []
    scale = np.linalg.norm(features, axis=1, keepdims=True)
    unit = features / np.maximum(scale, np.finfo(np.float32).tiny)
    fitted = MiniBatchKMeans(count, random_state=seed, n_init=3, batch_size=1024).fit(unit)
    return [Grouping("cluster", tuple(map(str, range(count))), fitted.labels_.astype(np.int64), "model")]


def worse_slices(
    wrong: np.ndarray,
    parted: list[Grouping],
    *,
    level: float = _LEVEL,
    difference: float = _DIFFERENCE,
    least: int = _LEAST,
) -> Slices:
    """The slices of `slices`, from whatever is called wrong and whatever the images are parted by.

    Args:
        wrong: (N,) bool.
        parted: ways to part the images.
        level: chance of finding something where there is nothing.
        difference: a smaller one in the share that is wrong is left out.
        least: images that a part must have.
    """
    tests = [test for each in parted for test in _single(wrong, each, least)]
    for one, two in combinations(parted, 2):
        if {one.by, two.by} != {"truth", "model"}:
            tests += _pairs(wrong, one, two, least)
    corrected = holm(np.array([test[1] for test in tests]))
    found = []
    for (parts, _, elsewhere, inside), p_value in zip(tests, corrected, strict=True):
        if p_value > level:
            continue
        rows = np.flatnonzero(np.logical_and.reduce([each.group == value for each, value in inside]))
        errors = int(wrong[rows].sum())
        rate = errors / len(rows)
        if rate - elsewhere >= difference:
            low, high = wilson(errors, len(rows))
            found.append(
                Slice(" and ".join(parts), parts, rows, errors, rate, low, high, elsewhere, float(p_value))
            )
    found.sort(key=lambda each: each.elsewhere - each.low)
    return Slices(tuple(found), len(tests), float(wrong.mean()) if len(wrong) else 0.0)


_Part = tuple[Grouping, int]
_Test = tuple[
    tuple[str, ...], float, float, tuple[_Part, ...]
]  # names, p value, rate elsewhere, what makes it up


def _single(wrong: np.ndarray, parted: Grouping, least: int) -> list[_Test]:
    kept = parted.group >= 0
    wide = len(parted.values)
    counts = np.bincount(parted.group[kept], minlength=wide)
    errors = np.bincount(parted.group[kept], wrong[kept], wide)
    whole, all_errors = len(wrong), int(wrong.sum())
    found: list[_Test] = []
    for value in range(wide):
        if least <= counts[value] < whole:
            p_value = worse_by_chance(errors[value], counts[value], all_errors, whole)
            elsewhere = (all_errors - errors[value]) / (whole - counts[value])
            found.append(((parted.told(value),), p_value, elsewhere, ((parted, value),)))
    return found


def _pairs(wrong: np.ndarray, one: Grouping, two: Grouping, least: int) -> list[_Test]:
    kept = (one.group >= 0) & (two.group >= 0)
    shape = (len(one.values), len(two.values))
    cell = one.group[kept] * shape[1] + two.group[kept]
    counts = np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape)
    errors = np.bincount(cell, wrong[kept], shape[0] * shape[1]).reshape(shape)
    found: list[_Test] = []
    for i, j in zip(*np.nonzero(counts >= least), strict=True):
        n, bad = counts[i, j], errors[i, j]
        halves = [(counts[i].sum(), errors[i].sum()), (counts[:, j].sum(), errors[:, j].sum())]
        if any(size - n < least for size, _ in halves):
            continue
        p_value = max(worse_by_chance(bad, n, sick, size) for size, sick in halves)
        elsewhere = max((sick - bad) / (size - n) for size, sick in halves)
        found.append(((one.told(i), two.told(j)), p_value, elsewhere, ((one, i), (two, j))))
    return found


def worse_by_chance(errors: float, count: float, all_errors: float, whole: float) -> float:
    """Chance that so many images drawn from the whole have at least so many errors (Fisher's exact test)."""
    return float(scipy.stats.hypergeom.sf(errors - 1, whole, all_errors, count))


def holm(p_values: np.ndarray) -> np.ndarray:
    """P values corrected for their number; a chance of 5 % of any below 0.05 where there is nothing."""
    if not len(p_values):
        return p_values
    order = np.argsort(p_values, kind="stable")
    steps = p_values[order] * np.arange(len(p_values), 0, -1)
    corrected = np.empty(len(p_values))
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return corrected


def wilson(errors: float, count: float) -> tuple[float, float]:
    """Interval of 95 % of a share, 0 to 1."""
    rate, square = errors / count, _NORMAL**2
    middle = (rate + square / (2 * count)) / (1 + square / count)
    half = _NORMAL * np.sqrt(rate * (1 - rate) / count + square / (4 * count**2)) / (1 + square / count)
    return max(float(middle - half), 0.0), min(float(middle + half), 1.0)
