"""How well masks are answered: by class, by size, near borders and inside, and for which images worst."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reswork.datasets.dataset import Dataset
from reswork.datasets.targets import IGNORED
from reswork.reporting.answers import outputs
from reswork.results.mask_scores import SIZES, MaskScores
from reswork.tasks import task_for

WORST = 12
_BORDER = 2  # pixels on each side of a border


def mask_scores(
    model: nn.Module,
    data: Dataset,
    *,
    worst: int = WORST,
    border: int = _BORDER,
    layers: tuple[str, ...] = (),
    stopped: Callable[[], bool] = lambda: False,
) -> MaskScores:
    """Count the pixels of a data set's test images once, in every way.

    Args:
        model: gives (N, K, H, W) logits.
        data: with masks; ignored pixels count nowhere.
        worst: how many of the worst images to keep with their answers.
        border: pixels on each side of a border between true classes that count as near it.
        layers: whose pooled outputs become embeddings.
        stopped: asked between batches.

    Raises:
        Stopped: when ``stopped`` says so.
    """
    task, wide = task_for(data), len(data.classes)
    meter = task.meter(data, data.test.images.device)
    tables: list[np.ndarray] = []  # (n, 3, K): both, true, answered
    rights: list[np.ndarray] = []
    near = np.zeros((2, 2), np.int64)  # inside and near: all, right
    embedded: dict[str, list[np.ndarray]] = {name: [] for name in layers}
    for output, targets, signals in outputs(model, data, data.test, layers, stopped=stopped):
        for name in layers:
            embedded[name].append(signals[name])
        task.check_output(model, output[:2], data) if len(output) > 1 else None
        meter.update(output, targets)
        answer = output.argmax(1)
        tables.append(_counts(answer, targets, wide).cpu().numpy())
        rights.append(task.right(output, targets).cpu().numpy())
        counted, close, right = targets != IGNORED, near_border(targets, border), answer == targets
        for row, part in enumerate((counted & ~close, counted & close)):
            near[row] += int(part.sum()), int((part & right).sum())
    evaluation = meter.compute()
    table = np.concatenate(tables)
    image_iou = _mean_iou(table)
    order = np.argsort(np.where(np.isnan(image_iou), np.inf, image_iou), kind="stable")[:worst]
    by_size, borders = _by_size(table)
    with np.errstate(invalid="ignore"):
        inside, boundary = near[:, 1] / near[:, 0]
    return MaskScores(
        evaluation.metrics, evaluation.by_class, by_size, borders, float(boundary), float(inside), border,
        float(near[1, 0] / max(near[:, 0].sum(), 1)), image_iou, np.concatenate(rights), order,
        _answers(model, data, order), evaluation.tables["confusion"],
        {name: np.concatenate(parts) for name, parts in embedded.items()},
    )  # fmt: skip


def near_border(masks: Tensor, width: int) -> Tensor:
    """Pixels at most so far from one of another class, (N, H, W) bool; ignored pixels make no border."""
    values = masks.float()[:, None]
    known = masks[:, None] != IGNORED
    side, pad = 2 * width + 1, width
    high = F.max_pool2d(torch.where(known, values, -1.0), side, 1, pad)
    low = -F.max_pool2d(torch.where(known, -values, -float(IGNORED)), side, 1, pad)
    return ((high > low) & (high >= 0))[:, 0]


def _counts(answer: Tensor, targets: Tensor, wide: int) -> Tensor:
    """(n, 3, K) int64 pixels of each image: where answer and truth agree, of the truth, of the answer."""
    counted = targets != IGNORED
    spare = torch.full_like(answer, wide)
    chosen = [
        torch.where(counted & (answer == targets), answer, spare),
        torch.where(counted, targets.long(), spare),
        torch.where(counted, answer, spare),
    ]
    rows = torch.stack(chosen, 1).flatten(2)  # (n, 3, P)
    found = torch.zeros(*rows.shape[:2], wide + 1, dtype=torch.int64, device=rows.device)
    return found.scatter_add_(2, rows, torch.ones_like(rows))[..., :wide]


def _iou(table: np.ndarray) -> np.ndarray:
    """(..., K) of counts (..., 3, K); NaN where neither has the class."""
    both, true, answered = table[..., 0, :], table[..., 1, :], table[..., 2, :]
    with np.errstate(invalid="ignore"):
        found: np.ndarray = both / (true + answered - both)
    return found


def _mean_iou(table: np.ndarray) -> np.ndarray:
    iou = _iou(table)
    known = ~np.isnan(iou)
    with np.errstate(invalid="ignore"):
        found: np.ndarray = np.where(known, iou, 0).sum(axis=1) / known.sum(axis=1)
    return found


def _by_size(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """IoU of each class in thirds of the images that show it, by its area, and the areas between them."""
    wide = table.shape[2]
    areas = table[:, 1] / np.maximum(table[:, 1].sum(axis=1, keepdims=True), 1)  # (N, K)
    found, borders = np.full((wide, len(SIZES)), np.nan), np.full((wide, 2), np.nan)
    for k in range(wide):
        rows = np.flatnonzero(areas[:, k] > 0)
        if len(rows) < len(SIZES):
            continue
        borders[k] = np.quantile(areas[rows, k], (1 / 3, 2 / 3))
        size = np.searchsorted(borders[k], areas[rows, k])
        for third in range(len(SIZES)):
            if (size == third).any():
                found[k, third] = _iou(table[rows[size == third]].sum(axis=0))[k]
    return found, borders


def _answers(model: nn.Module, data: Dataset, rows: np.ndarray) -> np.ndarray:
    if not len(rows):
        return np.zeros((0, *data.test.images.shape[2:]), np.uint8)
    split = data.test.take(torch.from_numpy(rows).to(data.test.images.device))
    return np.concatenate(
        [output.argmax(1).to(torch.uint8).cpu().numpy() for output, _, _ in outputs(model, data, split)]
    )
