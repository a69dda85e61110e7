"""The sections of a report: what each needs, what it costs, how it is computed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from torch import nn

from reswork.datasets.dataset import Dataset
from reswork.reporting.alike_classes import alike_classes
from reswork.reporting.answers import reference_embeddings
from reswork.reporting.calibration import calibration, coverage
from reswork.reporting.corruptions import CORRUPTIONS
from reswork.reporting.duplicates import WEAKEST, duplicates
from reswork.reporting.embedding_map import embedding_map
from reswork.reporting.label_errors import label_issues
from reswork.reporting.outliers import outliers
from reswork.reporting.predictions import Predictions
from reswork.reporting.robustness import robustness
from reswork.reporting.scores import class_scores, mistakes
from reswork.reporting.slices import mask_slices, slices
from reswork.results.mask_scores import MaskScores

Need = Literal["labels", "truth", "images", "embeddings", "model", "masks"]

_MISSING: dict[Need, str] = {
    "labels": "one label for each image",
    "truth": "one label for each image, or a mask",
    "images": "the images",
    "embeddings": "embeddings, or a model with blocks",
    "model": "the model and its data",
    "masks": "a data set of masks",
}
_FLOPS = 2e10  # a second, of matrix products on two slow cores
REFERENCE = 5000  # training images, before which an image is an outlier
_DESCRIPTOR = 256  # numbers for each image that `duplicates` multiplies


@dataclass
class Subject:
    """What a report is about, and what has been found out so far that others need.

    Attributes:
        classes: names.
        count: images.
        predictions: None for masks, and until the model was asked.
        masks: what was counted of masks; None for labels, and until the model was asked.
        model: None where only predictions were given.
        data: likewise.
        train_images: (M, C, H, W) uint8 to look for leaks in; None where there are none.
        image_seconds: that the model takes for one image; 0 where it is not known.
        robustness_images: sample for the curves.
        columns: what is known of each test image, for a model that was not asked yet.
        stopped: asked by whatever takes long.
    """

    classes: tuple[str, ...]
    count: int
    predictions: Predictions | None = None
    masks: MaskScores | None = None
    model: nn.Module | None = None
    data: Dataset | None = None
    train_images: Any = None
    image_seconds: float = 0.0
    robustness_images: int = 300
    columns: Mapping[str, Any] = field(default_factory=dict)
    stopped: Callable[[], bool] = lambda: False

    @property
    def answers(self) -> Predictions:
        """The predictions."""
        assert self.predictions is not None
        return self.predictions

    @property
    def network(self) -> nn.Module:
        """The model."""
        assert self.model is not None
        return self.model

    @property
    def dataset(self) -> Dataset:
        """Its data."""
        assert self.data is not None
        return self.data

    @property
    def is_masks(self) -> bool:
        """Whether there is a class for each pixel."""
        return self.data is not None and self.data.target_kind == "masks"

    @property
    def embeddings(self) -> Mapping[str, np.ndarray]:
        """Layer name -> (N, D), as far as the model was asked."""
        answered = self.masks if self.is_masks else self.predictions
        return answered.embeddings if answered is not None else {}

    @property
    def right(self) -> np.ndarray | None:
        """(N,) bool, whether each image is answered right; None where the truth is not known."""
        if self.is_masks:
            return None if self.masks is None else self.masks.right
        known = self.predictions is not None and self.predictions.labels is not None
        return self.answers.right if known else None

    def has(self, need: Need) -> bool:
        """Whether something is there, or will be once the model was asked."""
        if need == "model":
            return self.model is not None
        if need == "masks":
            return self.is_masks
        if self.is_masks:
            return need in ("images", "truth") or (
                need == "embeddings" and (self.masks is None or bool(self.embeddings))
            )
        if self.predictions is None:
            return True
        parts = {
            "labels": self.predictions.labels,
            "truth": self.predictions.labels,
            "images": self.predictions.images,
            "embeddings": self.predictions.features,
        }
        return parts[need] is not None


@dataclass(frozen=True)
class Section:
    """One part of a report.

    Args:
        name: as in `Report`.
        title: of the section on a page.
        needs: without which it is left out.
        seconds: about how long it takes on two slow cores.
        compute: what it finds.
    """

    name: str
    title: str
    needs: tuple[Need, ...]
    seconds: Callable[[Subject], float]
    compute: Callable[[Subject], Any]

    def missing(self, subject: Subject) -> str:
        """What would have to be given, in words; empty where all is there."""
        lacking = [_MISSING[need] for need in self.needs if not subject.has(need)]
        return f"needs {' and '.join(lacking)}" if lacking else ""


def _each(micros: float) -> Callable[[Subject], float]:
    return lambda subject: 0.1 + micros * 1e-6 * subject.count


def _pairs_seconds(subject: Subject) -> float:
    images = subject.count
    other = 0 if subject.train_images is None else len(subject.train_images)
    products = 4 * _DESCRIPTOR * images * (images / 2 + other)
    return 1e-4 * (images + other) + products / _FLOPS


def _curves_seconds(subject: Subject) -> float:
    strengths = sum(len(each.strengths) for each in CORRUPTIONS)
    return (subject.image_seconds + 3e-4) * strengths * min(subject.robustness_images, subject.count)


def _images(subject: Subject) -> Any:
    if subject.predictions is not None:
        return subject.predictions.images
    return subject.dataset.test.images.cpu().numpy()


def _outliers(subject: Subject) -> Any:
    """Before training images, where there are any."""
    if subject.model is None or subject.data is None:
        return outliers(subject.embeddings)
    return outliers(
        subject.embeddings,
        reference_embeddings(
            subject.model, subject.data, tuple(subject.embeddings), REFERENCE, stopped=subject.stopped
        ),
    )


def _outlier_seconds(subject: Subject) -> float:
    asked = 0 if subject.data is None else min(REFERENCE, len(subject.data.train))
    return 0.1 + asked * subject.image_seconds + 1e-8 * subject.count * (asked or subject.count)


def _map(subject: Subject) -> Any:
    layer, values = list(subject.embeddings.items())[-1]
    return embedding_map(values, layer=layer)


def _slices(subject: Subject) -> Any:
    if subject.masks is None:
        return slices(subject.answers)
    deepest = list(subject.embeddings.values())[-1] if subject.embeddings else None
    split = subject.dataset.test
    known = {name: np.asarray(values) for name, values in subject.columns.items()}
    return mask_slices(
        subject.masks.right,
        split.images.cpu().numpy(),
        split.masks.cpu().numpy(),
        deepest,
        subject.classes,
        known,
    )


SECTIONS: tuple[Section, ...] = (
    Section("scores", "Scores", ("labels",), _each(20), lambda s: class_scores(s.answers)),
    Section(
        "masks", "Scores of masks", ("masks",), lambda s: 0.1 + s.image_seconds * s.count,
        lambda s: s.masks,
    ),
    Section("calibration", "Calibration", ("labels",), _each(80), lambda s: calibration(s.answers)),
    Section("coverage", "Confidence of right and wrong", ("labels",), _each(5), lambda s: coverage(s.answers)),
    Section("mistakes", "Most confident mistakes", ("labels",), _each(1), lambda s: mistakes(s.answers)),
    Section("slices", "Where it is worse", ("truth",), _each(150), _slices),
    Section("label_issues", "Labels that may be wrong", ("labels",), _each(5), lambda s: label_issues(s.answers)),
    Section("alike_classes", "Classes that could be one", ("labels",), _each(5), lambda s: alike_classes(s.answers)),
    Section("embedding", "Embeddings", ("embeddings",), _each(10), _map),
    Section("outliers", "Images unlike all others", ("embeddings",), _outlier_seconds, _outliers),
    Section(
        "duplicates", "Images that are there twice", ("images",), _pairs_seconds,
        lambda s: duplicates(_images(s), s.train_images, threshold=WEAKEST, stopped=s.stopped),
    ),
    Section(
        "robustness", "Worse images", ("model",), _curves_seconds,
        lambda s: robustness(s.network, s.dataset, images=s.robustness_images, stopped=s.stopped),
    ),
)  # fmt: skip
