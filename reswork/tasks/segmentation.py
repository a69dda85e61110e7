"""Segmentation: one class for each pixel."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reswork.datasets.dataset import Dataset
from reswork.datasets.targets import IGNORED
from reswork.errors import InvalidSetting
from reswork.results.answers import MaskAnswers
from reswork.results.metrics import Metric
from reswork.tasks.output import check_output_shape
from reswork.tasks.task import Evaluation

if TYPE_CHECKING:
    from reswork.training.recipe import Recipe


_RIGHT = 0.9  # of the pixels of an image


@dataclass(frozen=True)
class Segmentation:
    """One class for each pixel: targets (N, H, W) uint8, outputs (N, K, H, W) logits, learned by cross-entropy.

    Pixels of 255 count nowhere: not in the loss, not in what its mean is over, not in a metric. The headline is the
    mean IoU: of each class the pixels where mask and truth agree, over those that either has, from one count over the
    whole split, then the mean over classes. A class that is neither in the truth nor in an answer has no IoU and is
    left out of the mean; one that is answered but not there counts as 0. An evaluation has the IoU of each class as
    ``iou/<class>`` and in ``by_class``, and the table ``confusion`` (K, K) int64, pixels, row: the true class.

    Reference:
        Everingham et al. 2015, The PASCAL Visual Object Classes Challenge, section 4.2: IoU of a class over all images.
    """

    kind = "segmentation"
    metrics = (
        Metric("mean_iou", "mean IoU", ".1%", True,
               "Of each class the pixels where answer and truth agree, over those that either has; mean over classes."),
        Metric("dice", "Dice", ".1%", True,
               "Twice the pixels where answer and truth agree, over those of both together; mean over classes."),
        Metric("pixel_accuracy", "pixel accuracy", ".1%", True, "The share of pixels that are named right."),
    )  # fmt: skip

    def check_data(self, data: Dataset) -> None:
        """Refuse targets that are no masks.

        Raises:
            InvalidSetting: in one sentence.
        """
        if data.target_kind != "masks":
            raise InvalidSetting(
                "task",
                f"{data.name} has {data.target_kind}; segmentation learns from masks, see datasets.masks",
            )

    def check_recipe(self, recipe: "Recipe") -> None:
        """Refuse mixup.

        Raises:
            InvalidSetting: in one sentence.
        """
        if recipe.mixup:
            raise InvalidSetting(
                "mixup",
                f"mixup={recipe.mixup} mixes images, and two masks over each other are no answer; choose 0",
            )

    def check_output(self, model: nn.Module, output: object, data: Dataset) -> None:
        """Refuse what is not (N, K, H, W) logits.

        Raises:
            InvalidSetting: in one sentence.
        """
        channels, classes = data.input_shape[0], len(data.classes)
        wanted = (2, classes, *data.input_shape[1:])
        build = f"rw.unet(config), in_channels={channels} and num_classes={classes}"
        check_output_shape(model, output, wanted, "logits", f"{data.name} has masks", "head", build)

    def head(self, data: Dataset) -> dict[str, Any]:
        """The fields of `ResNetConfig` that follow from the data."""
        return {"in_channels": data.input_shape[0], "num_classes": len(data.classes), "head": "unet"}

    def call(self, model: Callable[..., Any], inputs: Tensor, targets: Tensor | None = None) -> Any:
        """Logits (N, K, H, W), float32."""
        output = model(inputs)
        return output.float() if isinstance(output, Tensor) else output

    def loss(
        self, output: Tensor, targets: Tensor, recipe: "Recipe", class_weights: Tensor | None = None
    ) -> Tensor:
        """Mean cross-entropy over the pixels that count, 0 where none does."""
        total = F.cross_entropy(
            output,
            targets.long(),
            weight=class_weights,
            ignore_index=IGNORED,
            reduction="sum",
            label_smoothing=recipe.label_smoothing,
        )
        return total / self.weight(targets, class_weights)

    def weight(self, targets: Tensor, class_weights: Tensor | None = None) -> Tensor:
        """Pixels that count, or the sum of their classes' weights; never 0, so that nothing is divided by it."""
        counts = targets != IGNORED
        if class_weights is None:
            return counts.sum().float().clamp(min=1)
        weights = class_weights[targets.long().clamp(max=len(class_weights) - 1)] * counts
        return weights.sum().clamp(min=torch.finfo(torch.float32).tiny)

    def score(self, output: Tensor, targets: Tensor) -> Tensor:
        """Mean IoU over the classes that this batch shows or is answered with."""
        iou = _iou(_confusion(output.detach(), targets))
        return iou.nansum() / (~iou.isnan()).sum().clamp(min=1)

    def meter(self, data: Dataset, device: torch.device) -> "MaskMeter":
        """Counts pixels."""
        return MaskMeter(data.classes, device)

    def answers(self, output: Tensor) -> MaskAnswers:
        """The most probable class of each pixel."""
        best = output.detach().float().softmax(1).max(1)  # (N, H, W)
        masks = best.indices.to(torch.uint8).cpu().numpy()
        return MaskAnswers(masks, best.values.mean((1, 2)).cpu().numpy())

    def right(self, output: Tensor, targets: Tensor) -> Tensor:
        """Whether at least nine tenths of the pixels that count have their class."""
        counts = targets != IGNORED
        right = ((output.argmax(1) == targets) & counts).flatten(1).sum(1)
        return right >= _RIGHT * counts.flatten(1).sum(1)

    def explained(self, output: Tensor, reference: Tensor | None = None) -> Tensor:
        """Of each class the mean logit over the pixels that are answered with it, or over all where none is."""
        judged = (output if reference is None else reference).detach()
        chosen = F.one_hot(judged.argmax(1), output.shape[1]).movedim(-1, 1).to(output.dtype)  # (N, K, H, W)
        count = chosen.sum((2, 3))
        inside = (output * chosen).sum((2, 3)) / count.clamp(min=1)
        return torch.where(count.expand_as(inside) > 0, inside, output.mean((2, 3)))


class MaskMeter:
    """Counts pixels: true class against answered class, in one table for the whole split.

    Args:
        classes: names.
        device: of outputs and masks.
    """

    def __init__(self, classes: tuple[str, ...], device: torch.device) -> None:
        self._classes = classes
        self._confusion = torch.zeros(len(classes), len(classes), dtype=torch.int64, device=device)
        self._losses: list[Tensor] = []

    def update(self, output: Tensor, targets: Tensor) -> None:
        """Count one more batch."""
        self._losses.append(
            F.cross_entropy(output, targets.long(), ignore_index=IGNORED, reduction="sum").double()
        )
        self._confusion += _confusion(output, targets)

    def compute(self) -> Evaluation:
        """The metrics of all batches so far."""
        table = self._confusion.cpu()
        iou = _iou(table.double()).numpy()
        there = ~np.isnan(iou)
        pixels = int(table.sum())
        loss = float(torch.stack(self._losses).sum()) / max(pixels, 1)
        if not there.any():
            return Evaluation({"loss": loss}, iou, {"confusion": table.numpy()})
        metrics = {
            "loss": loss,
            "mean_iou": float(iou[there].mean()),
            "dice": float((2 * iou[there] / (1 + iou[there])).mean()),
            "pixel_accuracy": int(table.trace()) / pixels,
            **{f"iou/{name}": float(iou[index]) for index, name in enumerate(self._classes) if there[index]},
        }
        return Evaluation(metrics, iou, {"confusion": table.numpy()})


def _confusion(output: Tensor, targets: Tensor) -> Tensor:
    """(K, K) int64 pixels that count, row: the true class; without waiting for the device."""
    classes = output.shape[1]
    indices = targets.long() * classes + output.argmax(1)
    indices = torch.where(targets == IGNORED, classes * classes, indices).flatten()
    table = torch.zeros(classes * classes + 1, dtype=torch.int64, device=output.device)
    return table.scatter_add_(0, indices, torch.ones_like(indices))[:-1].view(classes, classes)


def _iou(table: Tensor) -> Tensor:
    """(K,) of each class, NaN where neither the truth nor an answer has it."""
    both = table.diagonal()
    return both / (table.sum(0) + table.sum(1) - both)
