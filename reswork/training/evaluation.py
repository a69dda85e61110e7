"""How good a network is on a split: accuracy, precision, recall, F1 and confusion, by torchmetrics."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reswork.datasets.augmentation import normalise
from reswork.datasets.dataset import Split
from reswork.training.modes import Mode
from reswork.training.ranks import ALONE, Ranks

if TYPE_CHECKING:
    from torchmetrics import MetricCollection


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What `evaluate` found.

    Attributes:
        metrics: ``loss`` (cross-entropy), ``top1``, ``top5`` (of at most as many as there are classes) and
            the averages over classes ``precision``, ``recall``, ``f1``; fractions from 0 to 1.
        confusion: (K, K) int64, row: the true class, column: the predicted one.
    """

    metrics: dict[str, float]
    confusion: np.ndarray

    @property
    def loss(self) -> float:
        """Mean cross-entropy."""
        return self.metrics["loss"]


def evaluate(
    model: nn.Module,
    split: Split,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    classes: int,
    mode: Mode | None = None,
    batch_size: int = 500,
    stopped: Callable[[], bool] = lambda: False,
    ranks: Ranks = ALONE,
) -> Evaluation | None:
    """Compare a network's answers with the labels of a split.

    The network computes in evaluation mode and comes back with each part in the mode that it had.

    Args:
        model: gives logits (N, K); on the split's device.
        split: uint8 images (N, C, H, W) and labels.
        mean: of each channel, 0 to 1.
        std: of each channel, 0 to 1.
        classes: K.
        mode: precision and memory format; None: as it comes.
        batch_size: images at once.
        stopped: asked between batches; true ends it.
        ranks: that share the batches; the first one counts the outputs of all, in the order of one process.

    Returns:
        The metrics, on other ranks than the first without a number; None if it was ended, or the split has no images.
    """
    mode = mode or Mode(str(split.images.device))
    metrics = _collection(classes).to(split.images.device)
    losses: list[Tensor] = []
    batches = list(zip(split.images.split(batch_size), split.labels.split(batch_size), strict=True))
    with evaluating(model), torch.no_grad():
        for place in range(0, len(batches) if len(split) else 0, ranks.count):
            if ranks.agree(stopped()):
                return None
            shared = batches[place : place + ranks.count]  # one for each rank
            own = None
            if ranks.index < len(shared):
                images = normalise(shared[ranks.index][0], mean, std, torch.float32, mode.memory_format)
                own = _logits(model, images, mode)
            labels = [each for _, each in shared]
            for logits, truth in zip(
                ranks.outputs(own, [len(each) for each in labels]), labels, strict=False
            ):
                losses.append(F.cross_entropy(logits, truth, reduction="sum"))
                metrics.update(logits, truth)
        if not len(split):
            return None
        if not ranks.is_first:
            return Evaluation({}, np.zeros((classes, classes), np.int64))
        values = metrics.compute()
        confusion = values.pop("confusion").cpu().numpy().astype(np.int64)
        loss = float(torch.stack(losses).sum()) / len(split)
    return Evaluation({"loss": loss, **{name: float(value) for name, value in values.items()}}, confusion)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[nn.Module]:
    """The model in evaluation mode; afterwards each submodule has its own flag again."""
    flags = [(module, module.training) for module in model.modules()]
    try:
        yield model.eval()
    finally:
        for module, flag in flags:
            module.training = flag


def _logits(model: nn.Module, images: Tensor, mode: Mode) -> Tensor:
    with mode.autocast():
        logits: Tensor = model(images)
    return logits.float()  # (N, K)


def _collection(classes: int) -> "MetricCollection":
    from torchmetrics import MetricCollection  # takes a second: not before somebody evaluates
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
