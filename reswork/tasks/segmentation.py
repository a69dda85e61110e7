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
from reswork.tasks.body import body_fields
from reswork.tasks.output import check_output_shape
from reswork.tasks.task import Evaluation

if TYPE_CHECKING:
    from reswork.training.recipe import Recipe


_RIGHT = 0.9  # of the pixels of an image
_NEAR = 0.0075  # of the image's diagonal: how far a boundary may be off (Csurka 2013)


@dataclass(frozen=True)
class Segmentation:
    """One class for each pixel: targets (N, H, W) uint8, outputs (N, K, H, W) logits, learned by cross-entropy.

    Of volumes (N, D, H, W) and (N, K, D, H, W): their points are called pixels too.

    Pixels of 255 count nowhere: not in the loss, not in what its mean is over, not in a metric. The headline is the
    mean IoU: of each class the pixels where mask and truth agree, over those that either has, from one count over the
    whole split, then the mean over classes. A class that is neither in the truth nor in an answer has no IoU and is
    left out of the mean; one that is answered but not there counts as 0. An evaluation has the IoU of each class as
    ``iou/<class>`` and in ``by_class``, and the table ``confusion`` (K, K) int64, pixels, row: the true class.

    Boundary F1 judges outlines alone, which IoU of large areas hardly sees: of each class the pixels that have a
    neighbour of another class, how many of the answer's lie within a few pixels of the truth's (precision), and the
    other way round (recall), again from one count over the whole split, as ``boundary/<class>``. The few are 0.75 % of
    the image's diagonal, at least one, along rows, columns and diagonals alike.

    Reference:
        Everingham et al. 2015, The PASCAL Visual Object Classes Challenge, section 4.2: IoU of a class over all images.
        Csurka et al. 2013, What is a good evaluation measure for semantic segmentation?, section 3: boundary F1.
    """

    kind = "segmentation"
    metrics = (
        Metric("mean_iou", "mean IoU", ".1%", True,
               "Of each class the pixels where answer and truth agree, over those that either has; mean over classes."),
        Metric("dice", "Dice", ".1%", True,
               "Twice the pixels where answer and truth agree, over those of both together; mean over classes."),
        Metric("boundary_f1", "boundary F1", ".1%", True,
               "How much of the outlines is drawn where it should be, within a few pixels; mean over classes."),
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
        dims = "" if len(wanted) == 4 else f", dims={len(wanted) - 2}"
        build = f"rw.unet(config) or rw.fcn(config), in_channels={channels}, num_classes={classes}{dims}"
        check_output_shape(model, output, wanted, "logits", f"{data.name} has masks", "head", build)

    def head(self, data: Dataset) -> dict[str, Any]:
        """The fields of `ResNetConfig` that follow from the data."""
        return {**body_fields(data), "num_classes": len(data.classes), "head": "unet"}

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
        return MaskAnswers(masks, best.values.flatten(1).mean(1).cpu().numpy())

    def right(self, output: Tensor, targets: Tensor) -> Tensor:
        """Whether at least nine tenths of the pixels that count have their class."""
        counts = targets != IGNORED
        right = ((output.argmax(1) == targets) & counts).flatten(1).sum(1)
        return right >= _RIGHT * counts.flatten(1).sum(1)

    def explained(self, output: Tensor, reference: Tensor | None = None) -> Tensor:
        """Of each class the mean logit over the pixels that are answered with it, or over all where none is."""
        judged = (output if reference is None else reference).detach()
        chosen = F.one_hot(judged.argmax(1), output.shape[1]).movedim(-1, 1).to(output.dtype)  # (N, K, H, W)
        count = chosen.flatten(2).sum(2)
        inside = (output * chosen).flatten(2).sum(2) / count.clamp(min=1)
        return torch.where(count.expand_as(inside) > 0, inside, output.flatten(2).mean(2))


class MaskMeter:
    """Counts pixels: true class against answered class, in one table for the whole split.

    Args:
        classes: names.
        device: of outputs and masks.
    """

    def __init__(self, classes: tuple[str, ...], device: torch.device) -> None:
        self._classes = classes
        self._confusion = torch.zeros(len(classes), len(classes), dtype=torch.int64, device=device)
        self._boundaries = torch.zeros(len(classes), 4, dtype=torch.int64, device=device)
        self._losses: list[Tensor] = []

    def update(self, output: Tensor, targets: Tensor) -> None:
        """Count one more batch."""
        self._losses.append(
            F.cross_entropy(output, targets.long(), ignore_index=IGNORED, reduction="sum").double()
        )
        self._confusion += _confusion(output, targets)
        answered = torch.where(targets == IGNORED, IGNORED, output.argmax(1)).to(torch.uint8)
        self._boundaries += boundary_counts(answered, targets, len(self._classes))

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
            **self._outlines(),
            "pixel_accuracy": int(table.trace()) / pixels,
            **{f"iou/{name}": float(iou[index]) for index, name in enumerate(self._classes) if there[index]},
        }
        return Evaluation(metrics, iou, {"confusion": table.numpy()})

    def _outlines(self) -> dict[str, float]:
        """Boundary F1 of each class that has a boundary in the truth or the answers, and their mean."""
        hit, answered, found, true = self._boundaries.cpu().double().unbind(1)
        # 2 P R / (P + R) with P = hit / answered, R = found / true; 0 where either is
        both = hit * true + found * answered
        scores = torch.where(both > 0, 2 * hit * found / both.clamp(min=1), 0.0).tolist()
        there = ((answered + true) > 0).tolist()
        each = {
            f"boundary/{name}": score
            for name, score, is_there in zip(self._classes, scores, there, strict=True)
            if is_there
        }
        return {"boundary_f1": sum(each.values()) / len(each), **each} if each else {}


def boundary_counts(answered: Tensor, truth: Tensor, classes: int) -> Tensor:
    """How many pixels of the boundaries in the answer are near those in the truth, and the other way round.

    Args:
        answered: masks (N, H, W) uint8, or of volumes (N, D, H, W); `IGNORED` where the truth is.
        truth: the same.
        classes: K.

    Returns:
        (K, 4) int64: of the answer's boundary those near the truth's, and all; of the truth's boundary those
        near the answer's, all of the truth's.
    """
    reach = max(1, round(_NEAR * sum(length**2 for length in truth.shape[1:]) ** 0.5))
    edges = [_boundary(mask) for mask in (answered, truth)]
    found = []
    for k in range(classes):
        own, true = (edge & (mask == k) for edge, mask in zip(edges, (answered, truth), strict=True))
        found += [(own & _near(true, reach)).sum(), own.sum(), (true & _near(own, reach)).sum(), true.sum()]
    return torch.stack(found).view(classes, 4)


def _boundary(mask: Tensor) -> Tensor:
    """Pixels beside one of another class, bool; the image's edge and ignored pixels make no boundary."""
    edge = torch.zeros_like(mask, dtype=torch.bool)
    for axis in range(1, mask.dim()):
        count = mask.shape[axis] - 1
        first, second = mask.narrow(axis, 0, count), mask.narrow(axis, 1, count)
        differs = (first != second) & (first != IGNORED) & (second != IGNORED)
        edge.narrow(axis, 0, count).logical_or_(differs)
        edge.narrow(axis, 1, count).logical_or_(differs)
    return edge


def _near(edge: Tensor, reach: int) -> Tensor:
    """Pixels so far or less from one of these, in rows, columns and diagonals, bool."""
    near = edge[:, None].float()
    for axis in range(
        near.dim() - 2
    ):  # one axis after the other: a square's maximum is that of rows, then of columns
        flat = near.movedim(axis + 2, -1)
        pooled = F.max_pool1d(flat.reshape(-1, 1, flat.shape[-1]), 2 * reach + 1, stride=1, padding=reach)
        near = pooled.view(flat.shape).movedim(-1, axis + 2)
    return near[:, 0] > 0


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
