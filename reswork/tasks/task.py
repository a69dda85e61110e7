"""`Task`: what is learned, as far as training, records and panels need to know."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from reswork.datasets.dataset import Dataset
from reswork.results.answers import Answers
from reswork.results.metrics import Metric

if TYPE_CHECKING:
    from reswork.training.recipe import Recipe


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How good a model is on a split.

    Attributes:
        metrics: ``loss`` and the task's metrics by name; a metric that is not defined on these images is left out.
        by_class: (K,) float64, how well each class is found, 0 to 1; NaN for one that is not in the split.
        tables: arrays that go with them, such as ``confusion`` (K, K), row: the true class, column: the predicted.
    """

    metrics: Mapping[str, float]
    by_class: np.ndarray = field(default_factory=lambda: np.zeros(0))
    tables: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def loss(self) -> float:
        """Mean loss."""
        return self.metrics["loss"]


class Meter(Protocol):
    """Collects outputs of a split batch by batch; on their device."""

    def update(self, output: Any, targets: Tensor) -> None:
        """Count one more batch."""

    def compute(self) -> Evaluation:
        """What all batches so far give."""


class Task(Protocol):
    """What is learned: how an output is judged, and what it says.

    A task has no state. Training, recorders, records on disk and panels ask it, so that none of them knows what a
    target is.

    Attributes:
        kind: its name in ``run.json`` and in a worker's job.
        metrics: what judges a model, the most important one first; that one is the headline.
    """

    @property
    def kind(self) -> str:
        """Its name."""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """What judges a model, the headline first."""

    def check_data(self, data: Dataset) -> None:
        """Refuse a data set that has other targets.

        Raises:
            InvalidSetting: in one sentence.
        """

    def check_recipe(self, recipe: "Recipe") -> None:
        """Refuse settings that make no sense for this task.

        Raises:
            InvalidSetting: in one sentence.
        """

    def check_output(self, model: nn.Module, output: object, data: Dataset) -> None:
        """Refuse a model that does not give what the loss takes.

        Args:
            model: whose output it is.
            output: for the first two training images.
            data: to be learned from.

        Raises:
            InvalidSetting: in one sentence.
        """

    def head(self, data: Dataset) -> dict[str, Any]:
        """The fields of `ResNetConfig` that follow from the data."""

    def call(self, model: Callable[..., Any], inputs: Tensor, targets: Tensor | None = None) -> Any:
        """The model's output for inputs; in single precision where it is a tensor.

        Args:
            model: any that fits the task.
            inputs: (N, C, H, W) float32, normalised, or as the data set's inputs are.
            targets: for a model whose loss is a part of it.
        """

    def loss(
        self, output: Any, targets: Tensor, recipe: "Recipe", class_weights: Tensor | None = None
    ) -> Tensor:
        """The mean loss of a batch, () float32.

        Args:
            output: of the model.
            targets: of the batch.
            recipe: its label smoothing.
            class_weights: (K,) what each class counts; the mean is then a weighted one.
        """

    def weight(self, targets: Tensor, class_weights: Tensor | None = None) -> float | Tensor:
        """How much that mean is over, such as images or valid pixels; adds up over the parts of a batch."""

    def score(self, output: Any, targets: Tensor) -> Tensor:
        """The headline metric of a batch, () float32, without graph; stays on the device."""

    def meter(self, data: Dataset, device: torch.device) -> Meter:
        """Counts the outputs of a whole split."""

    def answers(self, output: Any) -> Answers:
        """What an output says, as plain arrays."""

    def right(self, output: Any, targets: Tensor) -> Tensor:
        """Whether each image is answered well enough to be called right, (N,) bool."""

    def explained(self, output: Any, reference: Any = None) -> Tensor:
        """The numbers that an attribution method explains, (N, K) float32 with graph: one for each class.

        Args:
            output: of the model.
            reference: output for the images as they are, where ``output`` is for changed ones; None: the same.
        """
