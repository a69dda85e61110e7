"""`Predictions`: what a model said about some images and what is known of them, as arrays that were checked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from reswork.errors import InvalidSetting

_OFF = 1e-3  # that a row of probabilities may be away from a sum of 1
_CHUNK = 8192  # rows that are looked at together


@dataclass(frozen=True, eq=False)
class Predictions:
    """Answers for N images over K classes; made by `checked_predictions`.

    Attributes:
        probabilities: (N, K) float32, each row sums to 1.
        classes: (K,) names.
        labels: (N,) int64, 0 to K - 1; None where they are not known.
        images: (N, C, H, W) uint8; None where there are none.
        embeddings: layer name -> (N, D) float32, what the model made of each image; may be empty.
        columns: name -> (N,) values that are known of each image, such as a camera or a date.
    """

    probabilities: np.ndarray
    classes: tuple[str, ...]
    labels: np.ndarray | None = None
    images: np.ndarray | None = None
    embeddings: Mapping[str, np.ndarray] = field(default_factory=dict)
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.probabilities)

    @cached_property
    def predicted(self) -> np.ndarray:
        """(N,) int64, the class that is named for each image."""
        return self.probabilities.argmax(axis=1)

    @cached_property
    def confidence(self) -> np.ndarray:
        """(N,) float32, the probability of that class."""
        return self.probabilities.max(axis=1)

    @cached_property
    def right(self) -> np.ndarray:
        """(N,) bool, whether it is the true one."""
        found: np.ndarray = self.predicted == self.known_labels
        return found

    @property
    def known_labels(self) -> np.ndarray:
        """The labels.

        Raises:
            InvalidSetting: they are not known.
        """
        if self.labels is None:
            raise InvalidSetting("labels", "the labels are not known, and this needs them: give labels=(N,)")
        return self.labels

    @property
    def features(self) -> np.ndarray | None:
        """(N, D) float32, the embedding of the deepest layer that there is; None where there is none."""
        return list(self.embeddings.values())[-1] if self.embeddings else None


def checked_predictions(
    probabilities: Any,
    labels: Any = None,
    *,
    images: Any = None,
    embeddings: Any = None,
    classes: Sequence[str] | None = None,
    columns: Mapping[str, Any] | None = None,
) -> Predictions:
    """Arrays, tensors or lists as `Predictions`.

    Args:
        probabilities: (N, K), after softmax.
        labels: (N,) whole numbers from 0 to K - 1.
        images: (N, C, H, W) uint8.
        embeddings: (N, D), or a dict of them by layer, the deepest one last.
        classes: (K,) names; None: their numbers.
        columns: name -> (N,) values.

    Raises:
        InvalidSetting: for numbers that are no probabilities, labels out of range, NaN, other lengths, no image at all:
            one sentence that names the first row where it is so.

    Example:
        >>> checked_predictions([[0.9, 0.1], [0.2, 0.8]], [0, 0]).right
        array([ True, False])
    """
    table = _probabilities(_array(probabilities, "probabilities"))
    count, wide = table.shape
    names = tuple(map(str, classes)) if classes is not None else tuple(map(str, range(wide)))
    if len(names) != wide:
        raise InvalidSetting(
            "classes", f"{len(names)} class names for {wide} columns of probabilities; give one for each"
        )
    layers = embeddings if isinstance(embeddings, Mapping) else {"embeddings": embeddings}
    return Predictions(
        table,
        names,
        None if labels is None else _labels(_array(labels, "labels"), count, wide),
        None if images is None else _images(_array(images, "images"), count),
        {str(k): _embedding(_array(v, "embeddings"), count) for k, v in layers.items() if v is not None},
        {str(k): _column(str(k), np.asarray(v), count) for k, v in (columns or {}).items()},
    )


def _array(values: Any, field_name: str) -> np.ndarray:
    try:
        return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)
    except (ValueError, TypeError) as error:
        raise InvalidSetting(
            field_name, f"{field_name} cannot be read as one array: {error}; give equal rows of numbers"
        ) from error


def _probabilities(table: np.ndarray) -> np.ndarray:
    name = "probabilities"
    if table.ndim != 2 or table.dtype.kind not in "fiu" or table.shape[1] < 2:
        raise InvalidSetting(
            name,
            f"{name} of shape {table.shape} and type {table.dtype}: give numbers (N, K) of K classes, K >= 2",
        )
    if not len(table):
        raise InvalidSetting(name, f"{name} of shape {table.shape} are of no image: give at least one row")
    table = np.ascontiguousarray(table, np.float32)
    for start in range(0, len(table), _CHUNK):
        rows = table[start : start + _CHUNK]
        _refuse(
            name, start, ~np.isfinite(rows).all(axis=1), "has a value that is NaN or infinite", "leave it out"
        )
        outside = ((rows < 0) | (rows > 1 + _OFF)).any(axis=1)
        _refuse(name, start, outside, "has values outside 0 to 1, as logits have", "give softmax(logits)")
        sums = rows.sum(axis=1, dtype=np.float64)
        off = np.abs(sums - 1) > _OFF
        told = f"sums to {sums[off.argmax()]:.4g}, not to 1"
        _refuse(name, start, off, told, "divide each row by its sum, or give softmax(logits)")
    return table


def _refuse(name: str, start: int, bad: Any, what: str, remedy: str) -> None:
    if bad.any():
        raise InvalidSetting(name, f"row {start + int(bad.argmax())} of {name} {what}; {remedy}")


def _labels(labels: np.ndarray, count: int, wide: int) -> np.ndarray:
    if labels.shape != (count,):
        raise InvalidSetting(
            "labels", f"labels of shape {labels.shape} for {count:,} rows of probabilities; give ({count},)"
        )
    if labels.dtype.kind not in "fiub":
        raise InvalidSetting(
            "labels",
            f"labels of type {labels.dtype}; give whole numbers from 0 to {wide - 1}, and names in classes",
        )
    if labels.dtype.kind == "f":
        part = ~np.isfinite(labels) | (labels != np.round(labels))
        _refuse("labels", 0, part, "is no whole number", f"give 0 to {wide - 1} for each image")
    bad = (labels < 0) | (labels >= wide)
    told = f"is {labels[bad.argmax()]}, and there are {wide} classes"
    _refuse("labels", 0, bad, told, f"use 0 to {wide - 1}, and leave images without a label out")
    return labels.astype(np.int64)


def _images(images: np.ndarray, count: int) -> np.ndarray:
    if images.ndim != 4 or images.dtype != np.uint8 or len(images) != count or 0 in images.shape:
        raise InvalidSetting(
            "images",
            f"images of shape {images.shape} and type {images.dtype} for {count:,} rows of probabilities; "
            f"give ({count}, C, H, W) uint8",
        )
    return images


def _embedding(values: np.ndarray, count: int) -> np.ndarray:
    if values.ndim != 2 or len(values) != count or values.dtype.kind not in "fiu" or not values.shape[1]:
        raise InvalidSetting(
            "embeddings",
            f"embeddings of shape {values.shape} and type {values.dtype} for {count:,} rows of probabilities; "
            f"give numbers ({count}, D)",
        )
    values = np.ascontiguousarray(values, np.float32)
    bad = ~np.isfinite(values).all(axis=1)
    _refuse("embeddings", 0, bad, "has a value that is NaN or infinite", "leave the image out")
    return values


def _column(name: str, values: np.ndarray, count: int) -> np.ndarray:
    if values.shape != (count,):
        raise InvalidSetting(
            "columns",
            f"column {name!r} has shape {values.shape} for {count:,} rows of probabilities; give one value a row",
        )
    return values
