"""`report`: what a trained model gets wrong, section by section."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from torch import nn

from reswork.datasets.dataset import Dataset
from reswork.errors import InvalidSetting
from reswork.reporting.answers import (
    Stopped,
    first_seconds,
    model_of,
    outputs,
    predictions_of,
    reference_embeddings,
    reference_rows,
    stage_layers,
)
from reswork.reporting.embedding_map import embedding_map
from reswork.reporting.mask_scores import mask_scores
from reswork.reporting.planned import Planned
from reswork.reporting.predictions import Predictions, checked_predictions
from reswork.reporting.sections import SECTIONS, Section, Subject
from reswork.reporting.slices import chosen_slice
from reswork.reporting.thresholds import THRESHOLDS, Threshold
from reswork.results.confidence import Calibration, Coverage
from reswork.results.data_findings import AlikeClasses, Duplicates, LabelIssues, Outliers
from reswork.results.embedding_map import EmbeddingMap, Projection
from reswork.results.mask_scores import MaskScores
from reswork.results.robustness import Robustness
from reswork.results.scores import ClassScores, Mistakes
from reswork.results.slices import Slice, Slices

if TYPE_CHECKING:
    from reswork.reporting.comparison import ReportComparison

_TRAINING = 1_000  # training images on a map
_MOST_COLUMNS = 30  # of a table, by which its rows are parted


class Report:
    """What a model gets wrong; each part is computed when it is first asked for, and kept.

    Walk over `fill` for all parts one by one; not to go on, or `stop` from elsewhere, ends it, and what is there stays.
    Made by `report`.

    Attributes:
        name: of the model or of what was given.
    """

    def __init__(self, subject: Subject, name: str = "") -> None:
        self.name = name
        self._subject = subject
        self._asked_to_stop = False
        self._found: dict[str, Any] = {}
        self._candidates: dict[str, Any] = {}  # of sections with a threshold: what it is moved over
        self._thresholds: dict[str, float] = {}
        self._kept: dict[str, Slice] = {}
        self._took: dict[str, float] = {}
        subject.stopped = lambda: self._asked_to_stop

    def __repr__(self) -> str:
        parts = [f"{each.name}{'' if each.done else f' (about {each.seconds:.0f} s)'}" for each in self.plan()
                 if not each.missing]  # fmt: skip
        return f"<Report of {self._subject.count:,} images: {', '.join(parts)}>"

    @property
    def classes(self) -> tuple[str, ...]:
        """Their names."""
        return self._subject.classes

    @property
    def count(self) -> int:
        """Images."""
        return self._subject.count

    @property
    def judged(self) -> bool:
        """Whether the truth is known, so that there are metrics."""
        return self._subject.is_masks or self._subject.has("labels")

    @property
    def is_masks(self) -> bool:
        """Whether there is a class for each pixel."""
        return self._subject.is_masks

    @property
    def model(self) -> nn.Module | None:
        """The network; None where predictions were given."""
        return self._subject.model

    @property
    def layers(self) -> tuple[str, ...]:
        """Whose outputs are at hand as embeddings, the deepest last; the model is asked now, if it was not yet."""
        self._ask()
        return tuple(self._subject.embeddings)

    @property
    def columns(self) -> Mapping[str, np.ndarray]:
        """Name -> (N,) what is known of each image."""
        given = self._subject.predictions
        known = self._subject.columns if given is None else given.columns
        return {name: np.asarray(values) for name, values in known.items()}

    @property
    def right(self) -> np.ndarray | None:
        """(N,) bool, whether each image is answered right; None where the truth is not known."""
        self._ask()
        return self._subject.right

    @property
    def data(self) -> Dataset | None:
        """The data set; None where predictions were given."""
        return self._subject.data

    @property
    def images(self) -> np.ndarray | None:
        """(N, C, H, W) uint8, the images; None where there are none."""
        if self._subject.data is not None:
            return self._subject.data.test.images.cpu().numpy()
        return self.predictions.images

    @property
    def predictions(self) -> Predictions:
        """The answers; a model is asked for them now, if it was not yet.

        Raises:
            InvalidSetting: it answers with masks.
        """
        subject = self._subject
        if subject.is_masks:
            raise InvalidSetting("data", "the targets are masks, of which there are no probabilities to keep")
        self._ask()
        return subject.answers

    def _ask(self) -> None:
        """Have the model look at all images, once."""
        subject = self._subject
        if subject.predictions is not None or subject.masks is not None:
            return
        begin = perf_counter()
        if subject.is_masks:
            layers = stage_layers(subject.network, subject.dataset)
            subject.masks = mask_scores(
                subject.network, subject.dataset, layers=layers, stopped=subject.stopped
            )
        else:
            subject.predictions = predictions_of(
                subject.network, subject.dataset, columns=subject.columns, stopped=subject.stopped
            )
        subject.image_seconds = (perf_counter() - begin) / subject.count

    def plan(self) -> tuple[Planned, ...]:
        """Every section in order: what it costs or cost, or what it lacks."""
        subject = self._subject
        if subject.model is not None and not subject.image_seconds:
            subject.image_seconds = first_seconds(subject.model, subject.dataset)
        asking = (
            0.0
            if subject.is_masks or subject.predictions is not None
            else subject.image_seconds * subject.count
        )
        found = []
        for section in SECTIONS:
            missing, done = section.missing(subject), section.name in self._found
            seconds = self._took[section.name] if done else section.seconds(subject)
            if not done and not missing and section.name == "scores":
                seconds += asking
            found.append(Planned(section.name, section.title, seconds, missing, done))
        return tuple(found)

    def fill(self, names: Sequence[str] | None = None) -> Iterator[str]:
        """Compute what is not there yet, and name each section when it is ready.

        Args:
            names: of some sections; None: all for which there is what they need.

        Raises:
            InvalidSetting: a section that is not known, or that lacks something.
        """
        self._asked_to_stop = False
        chosen = [_section(name) for name in names] if names is not None else [
            section for section in SECTIONS if not section.missing(self._subject)
        ]  # fmt: skip
        for section in chosen:
            if self._asked_to_stop:
                return
            try:
                self._get(section.name)
            except Stopped:
                return
            if section.name in self._found:
                yield section.name

    def stop(self) -> None:
        """End `fill` at its next look, from any thread; what is computed stays."""
        self._asked_to_stop = True

    @property
    def metrics(self) -> dict[str, float]:
        """The numbers that judge the model, by name: ``loss``, ``top1`` and the like, and ``ece``."""
        if self._subject.is_masks:
            return dict(self.masks().metrics)
        return {**self.scores().metrics, "ece": self.calibration().whole.ece}

    def scores(self) -> ClassScores:
        """Precision, recall and F1 by class, the confusion matrix and its order."""
        return cast(ClassScores, self._get("scores"))

    def masks(self) -> MaskScores:
        """IoU by class and by size, near borders and inside, and the worst images."""
        return cast(MaskScores, self._get("masks"))

    def calibration(self) -> Calibration:
        """Whether confidence means what it says, and the temperature that mends it."""
        return cast(Calibration, self._get("calibration"))

    def coverage(self) -> Coverage:
        """Accuracy when the least confident answers are held back."""
        return cast(Coverage, self._get("coverage"))

    def mistakes(self) -> Mistakes:
        """Wrong answers, the most confident first."""
        return cast(Mistakes, self._get("mistakes"))

    def slices(self) -> Slices:
        """Where it is worse than elsewhere, the worst first."""
        return cast(Slices, self._get("slices"))

    def label_issues(self) -> LabelIssues:
        """Labels that are probably wrong, the surest first."""
        return cast(LabelIssues, self._get("label_issues"))

    def alike_classes(self) -> AlikeClasses:
        """Classes that the model can hardly tell apart."""
        return cast(AlikeClasses, self._get("alike_classes"))

    def outliers(self) -> Outliers:
        """Images that are far from all others, the farthest first."""
        return cast(Outliers, self._get("outliers"))

    def duplicates(self) -> Duplicates:
        """Images that are there twice, within the test split or in both."""
        return cast(Duplicates, self._get("duplicates"))

    def pair(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        """The two images (C, H, W) of one row of `duplicates`."""
        found, images = self.duplicates(), self.images
        assert images is not None
        others = self._subject.train_images if found.other_split[row] else images
        return images[found.first[row]], others[found.second[row]]

    def threshold(self, name: str) -> tuple[float, float, float]:
        """Where the threshold of a section stands, and between which numbers it makes a difference.

        Args:
            name: ``"label_issues"``, ``"outliers"`` or ``"duplicates"``.

        Raises:
            InvalidSetting: a section without one.
        """
        moved = _threshold(name)
        self._get(name)
        return (self._thresholds[name], *moved.span(self._candidates[name]))

    def move_threshold(self, name: str, value: float) -> Any:
        """Cut the findings of a section elsewhere, from now on, in files too; nothing is computed anew.

        Args:
            name: as for `threshold`.
            value: the new one.

        Returns:
            The findings.

        Raises:
            InvalidSetting: a section without one, or a value that is no number.
        """
        moved = _threshold(name)
        if not np.isfinite(value):
            raise InvalidSetting("value", f"value={value} is no threshold; give a number")
        self._get(name)
        self._thresholds[name] = float(value)
        self._found[name] = moved.at(self._candidates[name], float(value))
        return self._found[name]

    @property
    def kept_slices(self) -> tuple[Slice, ...]:
        """What `keep_slice` was given."""
        return tuple(self._kept.values())

    def keep_slice(self, name: str, images: Any) -> Slice:
        """Keep some images under a name, with how often they are wrong; they are part of every file that is saved.

        Args:
            name: of the slice; one of that name is replaced.
            images: (M,) numbers of test images.

        Raises:
            InvalidSetting: no name, no image, or numbers that are none of an image.

        Example:
            >>> found = report(probabilities=[[0.9, 0.1], [0.4, 0.6], [0.3, 0.7]], labels=[0, 0, 1])
            >>> kept = found.keep_slice("doubtful", [1, 2])
            >>> kept.errors, kept.rate, kept.elsewhere
            (1, 0.5, 0.0)
        """
        rows = np.unique(np.asarray(images))
        if not name.strip():
            raise InvalidSetting("name", "the slice has no name; give it one, such as 'red cars'")
        if not len(rows) or rows.dtype.kind not in "iu" or rows[0] < 0 or rows[-1] >= self.count:
            raise InvalidSetting(
                "images", f"the slice needs whole numbers from 0 to {self.count - 1:,}, one or more"
            )
        self._kept[name] = chosen_slice(name, rows.astype(np.int64), self.right)
        return self._kept[name]

    def robustness(self) -> Robustness:
        """The score under images that get worse."""
        return cast(Robustness, self._get("robustness"))

    def embedding(
        self, layer: str | None = None, method: Projection = "pca", *, training: bool = False
    ) -> EmbeddingMap:
        """Where the model puts the images, in two dimensions.

        Args:
            layer: one of `layers`, or any other layer of the model; None: the deepest stage.
            method: ``"pca"``; ``"tsne"``, which takes half a minute for 3,000 images; ``"umap"``, which needs the extra
                ``umap``.
            training: lay up to 1,000 training images out together with them, which shows whether the splits lie apart.

        Raises:
            InvalidSetting: a layer that is not there, a package that is missing, or no training images to ask for.
        """
        if layer is None and method == "pca" and not training:
            return cast(EmbeddingMap, self._get("embedding"))
        self._ask()
        known = self._subject.embeddings
        name = layer if layer is not None else next(reversed(list(known)), "")
        key = f"embedding/{name}/{method}{'/training' if training else ''}"
        if key not in self._found:
            values = known[name] if name in known else self._embedded(name)
            others, rows = self._of_training(name) if training else (None, None)
            self._found[key] = embedding_map(
                values, layer=name, method=method, training=others, training_images=rows
            )
        return cast(EmbeddingMap, self._found[key])

    def _of_training(self, layer: str) -> tuple[np.ndarray, np.ndarray]:
        """What a layer makes of a sample of the training images, and their numbers."""
        subject = self._subject
        if subject.model is None or subject.data is None:
            raise InvalidSetting(
                "training", "training images are laid out where a model and its data are given"
            )
        asked = reference_embeddings(
            subject.model, subject.data, (layer,), _TRAINING, stopped=subject.stopped
        )
        return asked[layer], reference_rows(subject.data, _TRAINING)

    def _embedded(self, layer: str) -> np.ndarray:
        subject = self._subject
        if subject.model is None or subject.data is None:
            known = ", ".join(map(repr, subject.embeddings)) or "none"
            raise InvalidSetting("layer", f"layer={layer!r} has no embeddings here; there are: {known}")
        asked = outputs(subject.model, subject.data, subject.data.test, (layer,), stopped=subject.stopped)
        return np.concatenate([signals[layer] for _, _, signals in asked])

    def found(self, name: str) -> Any:
        """What a section found, or None where it was not computed."""
        return self._found.get(name)

    def against(self, other: "Report | Mapping[str, Any] | str | Path") -> "ReportComparison":
        """What got better and what worse than in another report on the same test images.

        Args:
            other: the old report, or the JSON that was saved of it: the file, or what is in it.

        Raises:
            InvalidSetting: it is of other images, labels or classes, or has no labels.

        Example:
            >>> old = report(probabilities=[[0.9, 0.1], [0.4, 0.6], [0.3, 0.7]], labels=[0, 0, 1])
            >>> new = report(probabilities=[[0.9, 0.1], [0.6, 0.4], [0.3, 0.7]], labels=[0, 0, 1])
            >>> found = new.against(old)
            >>> round(found.headline.difference, 3), found.headline.error_reduction, found.mended.tolist()
            (0.333, 1.0, [1])
        """
        from reswork.reporting.comparison import compare

        return compare(self, other)

    def record(self) -> dict[str, Any]:
        """What another report can be compared with; `save` writes it into every JSON, with the sections."""
        from reswork.reporting.saving import record

        return record(self)

    def save(self, path: str | Path, *, against: "ReportComparison | None" = None) -> Path:
        """Write what there is; sections that were not asked for yet are computed.

        Args:
            path: ``.html`` for one page that needs no network, ``.json`` for all numbers, or a folder for lists as CSV.
            against: what `Report.against` gave, to be in page and numbers too.

        Raises:
            InvalidSetting: another ending, or a file that cannot be written.
        """
        from reswork.reporting.saving import save_report

        return save_report(self, Path(path), against)

    def _get(self, name: str) -> Any:
        if name not in self._found:
            section, begin = _section(name), perf_counter()
            missing = section.missing(self._subject)
            if missing:
                raise InvalidSetting(name, f"{section.title!r} {missing}")
            if {"labels", "truth", "embeddings", "masks"} & set(section.needs):
                self._ask()
                missing = section.missing(self._subject)  # a model may turn out to have no blocks
                if missing:
                    raise InvalidSetting(name, f"{section.title!r} {missing}")
            found = section.compute(self._subject)
            if name in THRESHOLDS:
                self._candidates[name], self._thresholds[name] = found, THRESHOLDS[name].usual(found)
                found = THRESHOLDS[name].at(found, self._thresholds[name])
            self._found[name] = found
            self._took[name] = perf_counter() - begin
        return self._found[name]


def report(
    model: Any = None,
    data: Dataset | None = None,
    *,
    probabilities: Any = None,
    labels: Any = None,
    images: Any = None,
    embeddings: Any = None,
    classes: Sequence[str] | None = None,
    columns: Mapping[str, Any] | None = None,
    train_images: Any = None,
    robustness_images: int = 300,
) -> Report:
    """What a trained model gets wrong on a test split, and what is odd about its data.

    Give a model with its data, or what another framework predicted. Nothing is computed before it is asked for; each
    part says beforehand what it costs (`Report.plan`).

    Args:
        model: any network that takes the data set's images, normalised; a run, or an opened checkpoint. It stays as
            it was.
        data: labels or masks; its test split is judged, its training images are searched for leaks. Of signals, rows of
            a table and texts with labels the report has what needs no images; a table's columns part its rows.
        probabilities: (N, K), after softmax, instead of a model.
        labels: (N,) 0 to K - 1, with probabilities; None: the report has what needs none.
        images: (N, C, H, W) uint8, with probabilities.
        embeddings: (N, D) with probabilities, or a dict of them by layer, the deepest last.
        classes: (K,) names, with probabilities.
        columns: name -> (N,) values that are known of each test image, to look for slices in. The size of the object is
            added where the data set knows boxes or masks of its images.
        train_images: (M, C, H, W) uint8 with probabilities: to search for leaks.
        robustness_images: sample for the curves of worse images.

    Raises:
        InvalidSetting: neither or both were given, or arrays that make no sense, in one sentence.

    Example:
        >>> found = report(probabilities=[[0.9, 0.1], [0.4, 0.6], [0.3, 0.7]], labels=[0, 0, 1])
        >>> round(found.metrics["top1"], 3), found.mistakes().images.tolist()
        (0.667, [1])
    """
    if (model is None) == (probabilities is None):
        what = "neither a model nor" if model is None else "both a model and"
        raise InvalidSetting(
            "model",
            f"{what} probabilities: give report(model, data), or report(probabilities=..., labels=...)",
        )
    if probabilities is not None:
        if data is not None:
            raise InvalidSetting(
                "data", "data goes with a model; with probabilities give labels=, images=, classes="
            )
        given = checked_predictions(
            probabilities, labels, images=images, embeddings=embeddings, classes=classes, columns=columns
        )
        subject = Subject(
            given.classes, len(given), given, train_images=_train_images(train_images, given.images)
        )
        return Report(subject, "predictions")
    if not isinstance(data, Dataset):
        raise InvalidSetting(
            "data", f"data is a {type(data).__name__}: give a data set, such as rw.datasets.folder(path)"
        )
    if data.task is not None:
        kinds = {"verification": "identities", "anomalies": "masks of what is wrong"}
        raise InvalidSetting(
            "data",
            f"the targets of {data.name} are {kinds.get(data.task, data.task)}: a report is about classes; rw.verified "
            "and rw.tasks.anomaly_metrics judge the others",
        )
    if data.target_kind not in ("labels", "masks"):
        raise InvalidSetting(
            "data",
            f"{data.name} has {data.target_kind}; a report is about classes, so give data with labels or masks",
        )
    network = model_of(model)
    name = getattr(model, "name", "") or type(network).__name__
    if data.input_kind != "images":
        return Report(_without_images(network, data, columns), name)
    subject = Subject(
        data.classes, len(data.test), model=network, data=data, train_images=data.train.images.cpu().numpy(),
        robustness_images=robustness_images, columns={**_object_sizes(data), **(columns or {})},
    )  # fmt: skip
    return Report(subject, name)


def _without_images(network: nn.Module, data: Dataset, columns: Mapping[str, Any] | None) -> Subject:
    """What is to be told of signals, rows of a table and texts: their answers, and of rows their columns."""
    if data.target_kind != "labels":
        raise InvalidSetting(
            "data",
            f"the inputs of {data.name} are {data.input_kind} with {data.target_kind}: a report on "
            f"{data.target_kind} is of images; the metrics of a run and rw.tasks.baselines(data) judge others",
        )
    own = {}
    if data.input_kind == "tables":
        values = data.test.inputs.cpu().numpy()
        own = {each: values[:, k] for k, each in enumerate(data.features[:_MOST_COLUMNS])}
    predictions = predictions_of(network, data, (), columns={**own, **(columns or {})})
    return Subject(data.classes, len(data.test), predictions)


def _train_images(images: Any, test: np.ndarray | None) -> np.ndarray | None:
    if images is None:
        return None
    array = np.asarray(images)
    if test is None or array.dtype != np.uint8 or array.shape[1:] != test.shape[1:]:
        wanted = "images=, too" if test is None else f"(M, {', '.join(map(str, test.shape[1:]))}) uint8"
        raise InvalidSetting(
            "train_images", f"train_images of shape {array.shape} and type {array.dtype}: give {wanted}"
        )
    return array


def _object_sizes(data: Dataset) -> dict[str, np.ndarray]:
    """Share of each test image that its object covers, where the data set has ``test_masks`` or ``test_boxes``."""
    count, area = len(data.test), int(np.prod(data.input_shape[1:]))
    masks, boxes = (data.extras.get(f"test_{kind}") for kind in ("masks", "boxes"))
    if masks is not None and masks.shape == (count, *data.input_shape[1:]):
        return {"size of the object": (masks > 0).flatten(1).sum(1).cpu().numpy() / area}
    if boxes is not None and boxes.shape == (count, 4):
        sides = (boxes[:, 2:] - boxes[:, :2]).clamp(
            min=0
        )  # x and y of the first pixel, and of the one behind the last
        return {"size of the object": sides.prod(1).cpu().numpy() / area}
    return {}


def _threshold(name: str) -> Threshold:
    if name not in THRESHOLDS:
        raise InvalidSetting("name", f"{name!r} has no threshold; choose {', '.join(map(repr, THRESHOLDS))}")
    return THRESHOLDS[name]


def _section(name: str) -> Section:
    for section in SECTIONS:
        if section.name == name:
            return section
    raise InvalidSetting(
        "names", f"{name!r} is no section; choose {', '.join(each.name for each in SECTIONS)}"
    )
