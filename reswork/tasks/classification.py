"""Classification: one class for each image."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reswork.datasets.dataset import Dataset
from reswork.errors import InvalidSetting
from reswork.results.answers import ClassAnswers
from reswork.results.metrics import Metric
from reswork.tasks.body import body_fields
from reswork.tasks.output import check_output_shape
from reswork.tasks.task import Evaluation, Meter

if TYPE_CHECKING:
    from torchmetrics import MetricCollection

    from reswork.training.recipe import Recipe

_METRICS: tuple[Metric, ...] = (
    Metric("top1", "accuracy", ".1%", True, "The share of images that are named right."),
    Metric("top5", "top-5 accuracy", ".1%", True, "The share with the right answer among the five best guesses."),
    Metric("precision", "precision", ".1%", True, "Of what is called a class, the share that is right; mean of all."),
    Metric("recall", "recall", ".1%", True, "Of the images of a class, the share that is found; mean over classes."),
    Metric("f1", "F1", ".1%", True, "The harmonic mean of precision and recall; mean over classes."),
)  # fmt: skip


@dataclass(frozen=True)
class Classification:
    """One class for each image: targets (N,) int64, outputs (N, K) logits, learned by cross-entropy.

    The headline metric is ``top1``, the share of images named right. An evaluation has the table ``confusion`` (K, K)
    int64, row: the true class, column: the predicted one.
    """

    kind = "classification"
    metrics = _METRICS

    def check_data(self, data: Dataset) -> None:
        """Refuse targets that are no labels, and labels without a class.

        Raises:
            InvalidSetting: in one sentence.
        """
        if data.target_kind != "labels":
            raise InvalidSetting(
                "task",
                f"{data.name} has {data.target_kind}; classification learns from one label for each input",
            )
        classes = len(data.classes)
        for name, split in (("training", data.train), ("test", data.test)):
            if not len(split.labels):
                continue
            low, high = (int(value) for value in split.labels.aminmax())
            if low < 0 or high >= classes:
                raise InvalidSetting(
                    "labels",
                    f"the {name} labels go from {low} to {high}, but there are {classes} classes; "
                    f"use 0 to {classes - 1}, or name all classes",
                )

    def check_recipe(self, recipe: "Recipe") -> None:
        """All settings make sense."""

    def check_output(self, model: nn.Module, output: object, data: Dataset) -> None:
        """Refuse what is not (N, K) logits.

        Raises:
            InvalidSetting: in one sentence.
        """
        classes = len(data.classes)
        needs, build = f"{data.name} has {classes} classes", f"num_classes={classes}"
        check_output_shape(model, output, (2, classes), "logits", needs, "num_classes", build)

    def head(self, data: Dataset) -> dict[str, Any]:
        """The fields of `ResNetConfig` that follow from the data."""
        return {**body_fields(data), "num_classes": len(data.classes), "head": "classifier"}

    def call(self, model: Callable[..., Any], inputs: Tensor, targets: Tensor | None = None) -> Any:
        """Logits (N, K), float32."""
        output = model(inputs)
        return output.float() if isinstance(output, Tensor) else output

    def loss(
        self, output: Tensor, targets: Tensor, recipe: "Recipe", class_weights: Tensor | None = None
    ) -> Tensor:
        """Mean cross-entropy, with the recipe's label smoothing."""
        return F.cross_entropy(output, targets, weight=class_weights, label_smoothing=recipe.label_smoothing)

    def weight(self, targets: Tensor, class_weights: Tensor | None = None) -> float | Tensor:
        """Images, or the sum of their classes' weights."""
        return len(targets) if class_weights is None else class_weights[targets].sum()

    def score(self, output: Tensor, targets: Tensor) -> Tensor:
        """Fraction right."""
        return (output.detach().argmax(1) == targets).float().mean()

    def meter(self, data: Dataset, device: torch.device) -> Meter:
        """Accuracy, precision, recall, F1 and confusion, by torchmetrics."""
        return ClassMeter(len(data.classes), device)

    def answers(self, output: Tensor) -> ClassAnswers:
        """The probability of each class."""
        return ClassAnswers(output.detach().float().softmax(1).cpu().numpy())

    def right(self, output: Tensor, targets: Tensor) -> Tensor:
        """Whether the most probable class is the true one."""
        return output.argmax(1) == targets

    def explained(self, output: Tensor, reference: Tensor | None = None) -> Tensor:
        """The logits themselves."""
        return output


class ClassMeter:
    """Counts logits against labels.

    Args:
        classes: K.
        device: of both.
    """

    def __init__(self, classes: int, device: torch.device) -> None:
        self._metrics = _collection(classes).to(device)
        self._losses: list[Tensor] = []
        self._images = 0

    def update(self, output: Tensor, targets: Tensor) -> None:
        """Count one more batch."""
        self._losses.append(F.cross_entropy(output, targets, reduction="sum"))
        self._metrics.update(output, targets)
        self._images += len(targets)

    def compute(self) -> Evaluation:
        """The metrics of all batches so far."""
        values = self._metrics.compute()
        confusion = values.pop("confusion").cpu().numpy().astype(np.int64)
        loss = float(torch.stack(self._losses).sum()) / self._images
        metrics = {"loss": loss, **{name: float(value) for name, value in values.items()}}
        with np.errstate(invalid="ignore", divide="ignore"):
            found = np.diag(confusion) / confusion.sum(axis=1)
        return Evaluation(metrics, found, {"confusion": confusion})


def _collection(classes: int) -> "MetricCollection":
    from torchmetrics import MetricCollection  # half a thousand modules
    from torchmetrics import classification as by_class

    k = max(2, classes)
    options: dict[str, Any] = {"num_classes": k, "validate_args": False, "sync_on_compute": False}
    return MetricCollection(
        {
            "top1": by_class.MulticlassAccuracy(average="micro", **options),
            "top5": by_class.MulticlassAccuracy(average="micro", top_k=min(5, k), **options),
            "precision": by_class.MulticlassPrecision(average="macro", **options),
            "recall": by_class.MulticlassRecall(average="macro", **options),
            "f1": by_class.MulticlassF1Score(average="macro", **options),
            "confusion": by_class.MulticlassConfusionMatrix(**options),
        },
        compute_groups=[["top1"], ["top5"], ["precision", "recall", "f1"], ["confusion"]],
    )
