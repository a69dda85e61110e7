"""Boxes judged as COCO judges them: double ones taken out, matched with the truth, mean average precision."""

import torch
from torch import Tensor

from reswork.datasets.targets import NO_BOX

THRESHOLDS = tuple((50 + 5 * step) / 100 for step in range(10))  # of IoU, 0.5 to 0.95


def box_iou(first: Tensor, second: Tensor) -> Tensor:
    """Of each box with each other one, (..., D, 4) and (..., M, 4) to (..., D, M): common area over that of both."""
    a, b = first.unsqueeze(-2), second.unsqueeze(-3)
    sides = torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])
    common = sides.clamp(min=0).prod(-1)
    areas = [(each[..., 2:] - each[..., :2]).prod(-1) for each in (a, b)]
    return common / (areas[0] + areas[1] - common).clamp(min=torch.finfo(common.dtype).tiny)


def without_doubles(boxes: Tensor, labels: Tensor, most_iou: float) -> Tensor:
    """Which boxes stay where a better one of the same class lies on the same thing, (N, D) bool.

    Never waits for the device: so many operations on the whole batch as each image has boxes.

    Args:
        boxes: (N, D, 4), of each image the best first.
        labels: (N, D).
        most_iou: of two boxes that both stay.
    """
    overlaps = (box_iou(boxes, boxes) > most_iou) & (labels.unsqueeze(1) == labels.unsqueeze(2))  # (N, D, D)
    overlaps = overlaps.triu(1)
    stays = torch.ones_like(labels, dtype=torch.bool)
    for index in range(boxes.shape[1]):
        stays = stays & ~(overlaps[:, index] & stays[:, index : index + 1])
    return stays


def matched(boxes: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """Whether each box finds a true one of its class that no better box has found, (N, D, T) bool, for `THRESHOLDS`.

    Args:
        boxes: (N, D, 4), of each image the best first.
        labels: (N, D).
        targets: (N, M, 5), see `reswork.datasets.targets`.
    """
    ious = box_iou(boxes.double(), targets[..., :4].double())  # (N, D, M)
    can_be = (labels.unsqueeze(2) == targets[..., 4].unsqueeze(1)) & (targets[..., 4] != NO_BOX).unsqueeze(1)
    ious = torch.where(can_be, ious, -1.0).unsqueeze(2)  # (N, D, 1, M)
    least = torch.stack([torch.full((), each, dtype=ious.dtype, device=ious.device) for each in THRESHOLDS])
    enough = ious >= least.unsqueeze(1)  # (N, D, T, M)
    free = torch.ones_like(enough[:, 0])  # (N, T, M)
    number = torch.arange(targets.shape[1], device=targets.device)
    found = []
    for index in range(boxes.shape[1]):
        possible = enough[:, index] & free
        best = torch.where(possible, ious[:, index], -1.0).argmax(2, keepdim=True)  # (N, T, 1)
        taken = possible & (number == best)
        free = free & ~taken
        found.append(taken.any(2))
    return torch.stack(found, 1) if found else labels.new_zeros((*labels.shape, len(THRESHOLDS))).bool()


def average_precisions(scores: Tensor, labels: Tensor, hits: Tensor, truths: Tensor) -> Tensor:
    """The average precision of each class at each of `THRESHOLDS`, (K, T) float64; NaN without a true box.

    Precision at 101 recalls, at each the best that is reached at this or a higher recall.

    Args:
        scores: (D,), of all boxes of all images, in the order of the images; 0 where there is no box.
        labels: (D,) int64.
        hits: (D, T) bool, from `matched`.
        truths: (K,) true boxes of each class.

    Reference:
        Lin et al. 2014, arXiv:1405.0312, and pycocotools, whose numbers these are.
    """
    scores, order = scores.sort(descending=True, stable=True)
    labels, hits = labels[order], hits[order]
    recalls = torch.arange(101, dtype=torch.float64, device=scores.device) / 100
    found = []
    for label, count in enumerate(truths.unbind()):
        is_own = (labels == label) & (scores > 0)  # (D,)
        right = (hits & is_own.unsqueeze(1)).cumsum(0).T.double()  # (T, D)
        precision = torch.where(is_own, right / is_own.cumsum(0).clamp(min=1), 0.0)
        best = precision.flip(1).cummax(1).values.flip(1) if len(scores) else precision
        recall = right / count  # NaN or infinite without a true box, and not used then
        place = torch.searchsorted(recall.nan_to_num(posinf=0.0).contiguous(), recalls.repeat(len(right), 1))
        best = torch.cat([best, best.new_zeros(len(right), 1)], 1)  # behind the last: never reached
        found.append(torch.where(count > 0, best.gather(1, place).mean(1), torch.nan))
    return torch.stack(found)
