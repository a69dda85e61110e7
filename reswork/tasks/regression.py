"""Regression: one or several values for each input."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reswork.datasets.dataset import Dataset
from reswork.errors import InvalidSetting
from reswork.results.answers import ValueAnswers
from reswork.results.metrics import Metric
from reswork.tasks.body import body_fields
from reswork.tasks.output import check_output_shape
from reswork.tasks.task import Evaluation

if TYPE_CHECKING:
    from reswork.training.recipe import Recipe

_NEAR = 0.5  # standard deviations of the training values


@dataclass(frozen=True)
class Regression:
    """T values for each input: targets (N,) or (N, T) float32, outputs (N, T), learned by the mean squared error.

    Targets are standardised (`Dataset.target_scale`), so that a rate fits whatever their unit is. The headline is R²,
    the mean over the values where there are several; of a single batch it is over that batch. RMSE and MAE are in the
    values' own unit, the mean over the values.

    Reference:
        scikit-learn's r2_score, mean_squared_error and mean_absolute_error with ``multioutput="uniform_average"``.
    """

    kind = "regression"
    metrics = (
        Metric("r2", "R²", ".3f", True,
               "The share of the values' variance that the answers explain: 1 is perfect, 0 as good as their mean."),
        Metric("rmse", "RMSE", ".4g", False, "The root of the mean squared error, in the values' own unit."),
        Metric("mae", "mean error", ".4g", False, "How far off an answer is on average, in the values' own unit."),
    )  # fmt: skip

    def check_data(self, data: Dataset) -> None:
        """Refuse targets that are no values.

        Raises:
            InvalidSetting: in one sentence.
        """
        if data.target_kind != "values":
            raise InvalidSetting(
                "task", f"the targets of {data.name} are {data.target_kind}; regression learns from values"
            )

    def check_recipe(self, recipe: "Recipe") -> None:
        """Refuse what is about classes.

        Raises:
            InvalidSetting: in one sentence.
        """
        for name, off in (("label_smoothing", 0), ("class_weights", None)):
            value = getattr(recipe, name)
            if value != off:
                raise InvalidSetting(
                    name, f"{name}={value!r} is about classes, and the targets are values; choose {off!r}"
                )

    def check_output(self, model: nn.Module, output: object, data: Dataset) -> None:
        """Refuse what is not (N, T) values.

        Raises:
            InvalidSetting: in one sentence.
        """
        values = len(data.classes)
        needs, build = f"{data.name} has {values} value(s)", f"num_classes={values}"
        check_output_shape(model, output, (2, values), "values", needs, "num_classes", build)

    def head(self, data: Dataset) -> dict[str, Any]:
        """The fields of `ResNetConfig` that follow from the data."""
        return {**body_fields(data), "num_classes": len(data.classes), "head": "classifier"}

    def call(self, model: Callable[..., Any], inputs: Tensor, targets: Tensor | None = None) -> Any:
        """Values (N, T), float32."""
        output = model(inputs)
        return output.float() if isinstance(output, Tensor) else output

    def loss(
        self, output: Tensor, targets: Tensor, recipe: "Recipe", class_weights: Tensor | None = None
    ) -> Tensor:
        """Mean squared error over inputs and values."""
        return F.mse_loss(output, targets.view_as(output))

    def weight(self, targets: Tensor, class_weights: Tensor | None = None) -> float | Tensor:
        """Inputs."""
        return len(targets)

    def score(self, output: Tensor, targets: Tensor) -> Tensor:
        """R² within the batch."""
        found, truth = output.detach(), targets.view_as(output)
        off = (found - truth).square().sum(0)
        spread = (truth - truth.mean(0)).square().sum(0)
        return (1 - off / spread.clamp(min=torch.finfo(torch.float32).eps)).mean()

    def meter(self, data: Dataset, device: torch.device) -> "ValueMeter":
        """R², RMSE and MAE, by torchmetrics."""
        return ValueMeter(data, device)

    def answers(self, output: Tensor) -> ValueAnswers:
        """The values, standardised as the targets are."""
        return ValueAnswers(output.detach().float().cpu().numpy())

    def right(self, output: Tensor, targets: Tensor) -> Tensor:
        """Whether all values are at most half a standard deviation off."""
        return ((output - targets.view_as(output)).abs() <= _NEAR).all(1)

    def explained(self, output: Tensor, reference: Tensor | None = None) -> Tensor:
        """The values themselves."""
        return output


class ValueMeter:
    """Compares values with the truth.

    Args:
        data: with its scale, to tell errors in its unit.
        device: of both.
    """

    def __init__(self, data: Dataset, device: torch.device) -> None:
        from torchmetrics import MeanAbsoluteError, MeanSquaredError, R2Score  # half a thousand modules

        count = len(data.classes)
        options: dict[str, Any] = {"sync_on_compute": False}
        self._r2 = R2Score(**options).to(device)
        self._squares = MeanSquaredError(num_outputs=count, **options).to(device)
        self._distances = MeanAbsoluteError(num_outputs=count, **options).to(device)
        self._scale = np.asarray(data.target_scale[1] if data.target_scale else (1.0,) * count)
        self._inputs = 0

    def update(self, output: Tensor, targets: Tensor) -> None:
        """Count one more batch."""
        truth = targets.view_as(output)
        one = output.shape[1] == 1
        for metric in (self._r2, self._squares, self._distances):
            metric.update(*(each.squeeze(1) if one else each for each in (output, truth)))
        self._inputs += len(targets)

    def compute(self) -> Evaluation:
        """The metrics of all batches so far."""
        squares = np.atleast_1d(self._squares.compute().double().cpu().numpy())
        distances = np.atleast_1d(self._distances.compute().double().cpu().numpy())
        metrics = {
            "loss": float(squares.mean()),
            "rmse": float((np.sqrt(squares) * self._scale).mean()),
            "mae": float((distances * self._scale).mean()),
        }
        if self._inputs > 1:
            metrics["r2"] = float(self._r2.compute())
        return Evaluation(metrics)
