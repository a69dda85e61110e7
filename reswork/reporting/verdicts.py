"""`Verdicts`: what became of each image, as much as two reports need to be compared; written into a report's JSON."""

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from reswork.reporting.predictions import Predictions

_TYPES = {
    "labels": "<i4",
    "predicted": "<i4",
    "own": "<f4",
    "confidence": "<f4",
    "in_top5": "|u1",
    "iou": "<f4",
}


@dataclass(frozen=True, eq=False)
class Verdicts:
    """Of N images; of masks only ``iou``.

    Attributes:
        labels: (N,) the true class.
        predicted: (N,) the class that is named.
        own: (N,) probability of the true class.
        confidence: (N,) probability of the named class.
        in_top5: (N,) 1 where the true class is among the five most probable ones.
        iou: (N,) mean IoU of each image; NaN where it has none.
    """

    labels: np.ndarray
    predicted: np.ndarray
    own: np.ndarray
    confidence: np.ndarray
    in_top5: np.ndarray
    iou: np.ndarray

    @classmethod
    def of(cls, given: Predictions) -> "Verdicts":
        """Of a classifier's answers, with labels."""
        labels, table = given.known_labels, given.probabilities
        own = table[np.arange(len(labels)), labels]
        larger = (table > own[:, None]).sum(axis=1)
        none = np.zeros(0)
        return cls(labels, given.predicted, own, given.confidence, (larger < 5).astype(np.uint8), none)

    @classmethod
    def of_masks(cls, iou: np.ndarray) -> "Verdicts":
        """Of masks, by the mean IoU of each image."""
        none = np.zeros(0)
        return cls(none, none, none, none, none, iou)

    @property
    def right(self) -> np.ndarray:
        """(N,) bool, whether the named class is the true one."""
        found: np.ndarray = self.predicted == self.labels
        return found

    def packed(self) -> dict[str, str]:
        """As texts for JSON: base64 of little-endian numbers, of the types that `schema` names."""
        return {
            each.name: b64encode(
                np.ascontiguousarray(getattr(self, each.name), _TYPES[each.name]).tobytes()
            ).decode()
            for each in fields(self)
        }

    @classmethod
    def unpacked(cls, given: Mapping[str, Any]) -> "Verdicts":
        """What `packed` made.

        Raises:
            ValueError: something else.
        """
        arrays = {name: np.frombuffer(b64decode(str(given[name])), kind) for name, kind in _TYPES.items()}
        return cls(**arrays)


def fingerprint(images: np.ndarray | None, targets: np.ndarray | None) -> dict[str, str | None]:
    """Sha256 of images and of targets, each with its shape; None for what there is not."""
    return {"images": _digest(images), "targets": _digest(targets)}


def _digest(values: np.ndarray | None) -> str | None:
    if values is None:
        return None
    digest = hashlib.sha256(repr(values.shape).encode())
    for start in range(0, len(values), 1024):
        digest.update(np.ascontiguousarray(values[start : start + 1024]).tobytes())
    return digest.hexdigest()
