"""Detection: which things are in an image, and a box around each."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reswork.datasets.dataset import Dataset
from reswork.datasets.targets import NO_BOX
from reswork.errors import InvalidSetting
from reswork.models.layout import BOX_STRIDE
from reswork.models.plan import ANCHOR_NUMBERS, BOX_NUMBERS
from reswork.results.answers import BoxAnswers
from reswork.results.metrics import Metric
from reswork.tasks.average_precision import average_precisions, box_iou, matched, without_doubles
from reswork.tasks.output import check_output_shape
from reswork.tasks.task import Evaluation

if TYPE_CHECKING:
    from reswork.training.recipe import Recipe

MOST_BOXES = 50  # of an image, the best ones
LEAST_SCORE = 0.05  # of a box that is counted
SURE = 0.4  # score of a box that is shown
MOST_IOU = 0.6  # of two boxes of a class that both stay
_RADIUS = 1.5  # places around the middle of a box that learn it, in strides
_TINY = 1e-7  # pixels; so that nothing is divided by 0
_HALF = 0  # of IoU's thresholds the first, 0.5
_THREE_QUARTERS = 5
_ANCHOR_IS, _ANCHOR_IS_NOT = 0.5, 0.4  # IoU from which on an anchor is a box's, and below which it is none's


@dataclass(frozen=True)
class Detections:
    """Boxes of some images, of each the best first; where there is none, the score is 0.

    Attributes:
        boxes: (N, D, 4) left, top, right, bottom in pixels.
        labels: (N, D) int64.
        scores: (N, D), 0 to 1.
    """

    boxes: Tensor
    labels: Tensor
    scores: Tensor


@dataclass(frozen=True)
class Detection:
    """A box and a class for each thing: targets (N, M, 5), outputs as `detector` or as `retinanet` gives them.

    Outputs (N, 5 + K, H / 4, W / 4) are learned as FCOS: a place within a box and near its middle shall give the
    distances to its edges (generalised IoU), its nearness to the middle (cross-entropy), and its class (focal loss,
    over all places); the losses of an image are divided by the number of its places within boxes. Where boxes overlap,
    the smaller one counts.

    Outputs (N, L, 12 + K) are learned as torchvision's RetinaNet: an anchor with an IoU of half with a box, or the best
    one of a box, shall become that box (absolute differences) and name its class (focal loss); those with less than
    0.4 name none, others learn nothing. Again divided by the image's own anchors with a box.

    Metrics are COCO's: the mean over classes and over ten thresholds of IoU of the average precision, from the best 50
    boxes of each image; the score of a box is the class's probability, or the root of that times the nearness. An
    evaluation has the average precision of each class as ``ap/<class>`` and in ``by_class``.

    Reference:
        arXiv 1904.01355 (FCOS), in the form of torchvision's: nearness learned and judged only within boxes;
        1708.02002 (RetinaNet).
    """

    kind = "detection"
    metrics = (
        Metric("map", "mAP", ".1%", True,
               "Average precision of boxes, mean over classes and over IoU thresholds from .5 to .95, as COCO counts."),
        Metric("map_50", "mAP at IoU .5", ".1%", True, "The same where half of both boxes' area has to be common."),
        Metric("map_75", "mAP at IoU .75", ".1%", True, "The same where three quarters have to be common."),
    )  # fmt: skip

    def check_data(self, data: Dataset) -> None:
        """Refuse targets that are no boxes.

        Raises:
            InvalidSetting: in one sentence.
        """
        if data.target_kind != "boxes":
            raise InvalidSetting(
                "task", f"{data.name} has {data.target_kind}; detection learns from boxes, see datasets.boxes"
            )

    def check_recipe(self, recipe: "Recipe") -> None:
        """Refuse what would take an image and its boxes apart.

        Raises:
            InvalidSetting: in one sentence.
        """
        settings = {
            "mixup": recipe.mixup,
            "label_smoothing": recipe.label_smoothing,
            "translate": recipe.augmentation.translate,
        }
        why = {
            "mixup": "mixes images, and two sets of boxes over each other are no answer",
            "label_smoothing": "is for classes that exclude each other, and boxes have none where nothing is",
            "translate": "mirrors in things that have no box; crop_padding shifts without",
        }
        for name, value in settings.items():
            if value:
                raise InvalidSetting(name, f"{name}={value} {why[name]}: choose {0 * value}")

    def check_output(self, model: nn.Module, output: object, data: Dataset) -> None:
        """Refuse what is neither (N, 5 + K, H / 4, W / 4) nor (N, L, 12 + K).

        Raises:
            InvalidSetting: in one sentence.
        """
        channels, height, width = data.input_shape
        if (
            isinstance(output, Tensor)
            and output.dim() == 3
            and output.shape[2] == ANCHOR_NUMBERS + len(data.classes)
        ):
            return
        wanted = (2, BOX_NUMBERS + len(data.classes), -(-height // BOX_STRIDE), -(-width // BOX_STRIDE))
        build = f"rw.detector(config) or rw.retinanet(config), in_channels={channels}, num_classes={len(data.classes)}"
        check_output_shape(model, output, wanted, "boxes", f"{data.name} has boxes", "head", build)

    def head(self, data: Dataset) -> dict[str, Any]:
        """The fields of `ResNetConfig` that follow from the data."""
        return {"in_channels": data.input_shape[0], "num_classes": len(data.classes), "head": "boxes"}

    def call(self, model: Callable[..., Any], inputs: Tensor, targets: Tensor | None = None) -> Any:
        """What the model says of each place or anchor, float32."""
        output = model(inputs)
        return output.float() if isinstance(output, Tensor) else output

    def loss(
        self, output: Tensor, targets: Tensor, recipe: "Recipe", class_weights: Tensor | None = None
    ) -> Tensor:
        """Mean over images of `box_losses`; a class's weight counts for what its places have to learn."""
        return box_losses(output, targets, class_weights).mean()

    def weight(self, targets: Tensor, class_weights: Tensor | None = None) -> float | Tensor:
        """Images."""
        return len(targets)

    def score(self, output: Tensor, targets: Tensor) -> Tensor:
        """Mean average precision over the classes that this batch shows; 0 where it shows none."""
        meter = BoxMeter(tuple(map(str, range(_logits(output).shape[2]))))
        meter.count(output.detach(), targets)
        return meter.precisions().nanmean().nan_to_num().float()

    def meter(self, data: Dataset, device: torch.device) -> "BoxMeter":
        """Keeps the boxes of each image."""
        return BoxMeter(data.classes)

    def answers(self, output: Tensor) -> BoxAnswers:
        """The boxes that it is sure of, one for each thing."""
        return sure_boxes(detections(output.detach()))

    def right(self, output: Tensor, targets: Tensor) -> Tensor:
        """Whether the boxes it is sure of are as many as the true ones, each of its class and with an IoU of .5."""
        found = detections(output)
        sure = _sure(found)
        hits = matched(found.boxes, found.labels, targets)[..., _HALF] & sure
        truths = (targets[..., 4] != NO_BOX).sum(1)
        return (hits.sum(1) == truths) & (sure.sum(1) == truths)

    def explained(self, output: Tensor, reference: Tensor | None = None) -> Tensor:
        """Of each class its logit at the place or anchor of the best box of that class, (N, K)."""
        judged = (output if reference is None else reference).detach()
        place = _scores(judged).argmax(1).expand(len(output), -1)  # (N, K)
        return _logits(output).gather(1, place.unsqueeze(1)).squeeze(1)


class BoxMeter:
    """Keeps the boxes of each image, and which of them find a true one.

    Args:
        classes: names.
    """

    def __init__(self, classes: tuple[str, ...]) -> None:
        self._classes = classes
        self._losses: list[Tensor] = []
        self._found: list[tuple[Tensor, Tensor, Tensor]] = []
        self._truths: list[Tensor] = []

    def update(self, output: Tensor, targets: Tensor) -> None:
        """Count one more batch."""
        self._losses.append(box_losses(output, targets).double())
        self.count(output, targets)

    def count(self, output: Tensor, targets: Tensor) -> None:
        """Count one more batch without its loss."""
        self.count_boxes(detections(output), targets)

    def count_boxes(self, found: Detections, targets: Tensor) -> None:
        """Count boxes that something else than a network of `detector` gives."""
        hits = matched(found.boxes, found.labels, targets)
        self._found.append((found.scores.flatten(), found.labels.flatten(), hits.flatten(0, 1)))
        numbers = torch.arange(len(self._classes), device=targets.device)
        self._truths.append((targets[..., 4].unsqueeze(2) == numbers).sum((0, 1)))

    def precisions(self) -> Tensor:
        """(K, T) of `average_precisions`."""
        parts = [torch.cat(part) for part in zip(*self._found, strict=True)]
        return average_precisions(parts[0], parts[1], parts[2], torch.stack(self._truths).sum(0))

    def metrics(self) -> tuple[dict[str, float], np.ndarray]:
        """The metrics without loss, and (K,) the average precision of each class."""
        table = self.precisions().cpu().numpy()
        there = ~np.isnan(table[:, 0])
        if not there.any():
            return {}, table[:, 0]
        of_class = table.mean(1)
        found = {
            "map": float(table[there].mean()),
            "map_50": float(table[there, _HALF].mean()),
            "map_75": float(table[there, _THREE_QUARTERS].mean()),
            **{f"ap/{name}": float(of_class[k]) for k, name in enumerate(self._classes) if there[k]},
        }
        return found, of_class

    def compute(self) -> Evaluation:
        """The metrics of all batches so far."""
        metrics, by_class = self.metrics()
        return Evaluation({"loss": float(torch.cat(self._losses).mean()), **metrics}, by_class)


def places(output: Tensor) -> Tensor:
    """X and y of each place in pixels of the image, (L, 2), row by row."""
    rows, columns = ((torch.arange(n, device=output.device) + 0.5) * BOX_STRIDE for n in output.shape[2:])
    return torch.stack(torch.meshgrid(columns, rows, indexing="xy"), 2).view(-1, 2)


def box_losses(output: Tensor, targets: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """The loss of each image, (N,) float32: see `Detection`."""
    if output.dim() == 3:
        return _anchor_losses(output, targets, class_weights)
    middles = places(output)  # (L, 2)
    answered = output.flatten(2).transpose(1, 2)  # (N, L, 5 + K)
    of_place, nearness = _assigned(middles, targets)  # (N, L, 5), (N, L)
    label = of_place[..., 4]
    inside = (label != NO_BOX).float()
    weights = inside
    wanted = (
        label.unsqueeze(2) == torch.arange(answered.shape[2] - BOX_NUMBERS, device=output.device)
    ).float()
    of_classes = _focal_loss(answered[..., BOX_NUMBERS:], wanted)  # (N, L, K)
    if class_weights is not None:
        of_classes, weights = of_classes * class_weights, (wanted * class_weights).sum(2)
    boxes = _around(middles, answered[..., :4])
    of_edges = 1 - _generalised_iou(boxes, of_place[..., :4])
    of_middle = F.binary_cross_entropy_with_logits(answered[..., 4], nearness, reduction="none")
    total = of_classes.sum((1, 2)) + ((of_edges + of_middle) * weights).sum(1)
    return total / inside.sum(1).clamp(min=1)


def detections(output: Tensor) -> Detections:
    """The boxes of each image without double ones; never waits for the device.

    Args:
        output: as `detector` or `retinanet` gives it.
    """
    return best_boxes(*candidates(output))


def candidates(output: Tensor) -> tuple[Tensor, Tensor]:
    """The box that each place or anchor means, (N, L, 4) within the image, and its score for each class, (N, L, K)."""
    scores = _scores(output)
    if output.dim() == 3:
        return output[..., :4], scores
    boxes = _around(places(output), output[:, :4].flatten(2).transpose(1, 2))
    height, width = (BOX_STRIDE * length for length in output.shape[2:])
    x, y = boxes[..., ::2].clamp(0, width), boxes[..., 1::2].clamp(0, height)
    return torch.stack((x, y), 3).flatten(2), scores  # left, top, right, bottom again


def best_boxes(boxes: Tensor, scores: Tensor) -> Detections:
    """The best boxes of each image without double ones, from its `candidates`."""
    classes = scores.shape[2]
    best = scores.flatten(1).topk(min(2 * MOST_BOXES, scores[0].numel()))
    place, labels = best.indices // classes, best.indices % classes
    boxes = boxes.gather(1, place.unsqueeze(2).expand(-1, -1, 4))
    stays = without_doubles(boxes, labels, MOST_IOU) & (best.values >= LEAST_SCORE)
    return chosen_boxes(boxes, labels, torch.where(stays, best.values, 0.0))


def sure_boxes(found: Detections) -> BoxAnswers:
    """The boxes that a network is sure of, one for each thing."""
    rows = torch.cat([found.boxes, found.labels.unsqueeze(2), found.scores.unsqueeze(2)], 2).cpu().numpy()
    chosen = _sure(found).cpu().numpy()
    return BoxAnswers(tuple(np.asarray(row[of], np.float32) for row, of in zip(rows, chosen, strict=True)))


def _sure(found: Detections) -> Tensor:
    """Which boxes are shown, (N, D) bool: of those of several classes around the same thing the best alone."""
    anything = torch.zeros_like(found.labels)
    return (found.scores >= SURE) & without_doubles(found.boxes, anything, MOST_IOU)


def chosen_boxes(boxes: Tensor, labels: Tensor, scores: Tensor) -> Detections:
    """The best boxes of each image in their order, (N, at most `MOST_BOXES`)."""
    order = scores.argsort(dim=1, descending=True, stable=True)[:, :MOST_BOXES]
    by_four = order.unsqueeze(2).expand(-1, -1, 4)
    return Detections(boxes.gather(1, by_four), labels.gather(1, order), scores.gather(1, order))


def _focal_loss(logits: Tensor, wanted: Tensor) -> Tensor:
    """Cross-entropy of each number, less where it is right already, and a quarter for what is there.

    Reference:
        arXiv 1708.02002, equation 5, with alpha 0.25 and gamma 2.
    """
    off = (logits.sigmoid() - wanted).abs()
    return (
        (0.75 - 0.5 * wanted)
        * off.square()
        * F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    )


def _generalised_iou(first: Tensor, second: Tensor) -> Tensor:
    """Of each box (..., 4) with the other one in its place: IoU, less the empty part of the box around both.

    Reference:
        arXiv 1902.09630, algorithm 1.
    """
    sides = torch.minimum(first[..., 2:], second[..., 2:]) - torch.maximum(first[..., :2], second[..., :2])
    common = sides.clamp(min=0).prod(-1)
    areas = [(each[..., 2:] - each[..., :2]).prod(-1) for each in (first, second)]
    either = areas[0] + areas[1] - common
    around = torch.maximum(first[..., 2:], second[..., 2:]) - torch.minimum(first[..., :2], second[..., :2])
    whole = around.prod(-1)
    return common / (either + _TINY) - (whole - either) / (whole + _TINY)


def _scores(output: Tensor) -> Tensor:
    """Of each class at each place, (N, L, K): root of probability times nearness; at each anchor the probability."""
    if output.dim() == 3:
        return _logits(output).sigmoid()
    chances = output[:, BOX_NUMBERS - 1 :].sigmoid().flatten(2).transpose(1, 2)  # (N, L, 1 + K)
    return (chances[..., 1:] * chances[..., :1]).sqrt()


def _logits(output: Tensor) -> Tensor:
    """Of each class at each place or anchor, (N, L, K)."""
    if output.dim() == 3:
        return output[..., ANCHOR_NUMBERS:]
    return output[:, BOX_NUMBERS:].flatten(2).transpose(1, 2)


def _anchor_losses(output: Tensor, targets: Tensor, class_weights: Tensor | None) -> Tensor:
    """The loss of each image, (N,), as torchvision's RetinaNet has it."""
    anchors, deltas, logits = output[..., 4:8].detach(), output[..., 8:12], _logits(output)
    there = targets[..., 4] != NO_BOX  # (N, M)
    shared = box_iou(anchors, targets[..., :4]) * there.unsqueeze(1)  # (N, L, M)
    best, of_box = shared.max(2)
    most = shared.amax(1, keepdim=True)
    is_most = ((shared == most) & (most > 0)).any(2)  # the anchors that a box has, though they be far off
    found = targets.gather(1, of_box.unsqueeze(2).expand(-1, -1, 5))
    inside = (best >= _ANCHOR_IS) | is_most
    learns = inside | (best < _ANCHOR_IS_NOT)
    wanted = torch.arange(logits.shape[2], device=output.device) == found[..., 4:]
    wanted = (wanted & inside.unsqueeze(2)).float()  # (N, L, K)
    of_classes, weights = _focal_loss(logits, wanted) * learns.unsqueeze(2), inside.float()
    if class_weights is not None:
        of_classes, weights = of_classes * class_weights, (wanted * class_weights).sum(2)
    sides = anchors[..., 2:] - anchors[..., :2]
    own = (found[..., 2:4] - found[..., :2]).clamp(min=_TINY)
    shift = found[..., :2] + own / 2 - anchors[..., :2] - sides / 2
    off = (deltas - torch.cat((shift / sides, (own / sides).log()), 2)).abs().sum(2)  # (N, L)
    return (of_classes.sum((1, 2)) + (off * weights).sum(1)) / inside.sum(1).clamp(min=1)


def _around(middles: Tensor, distances: Tensor) -> Tensor:
    """Boxes (..., L, 4) around places (L, 2) with distances (..., L, 4)."""
    return torch.cat((middles - distances[..., :2], middles + distances[..., 2:]), -1)


def _assigned(middles: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """The box that each place shall give, (N, L, 5), `NO_BOX` where none; and its nearness to the middle, (N, L)."""
    edges = targets[:, None, :, :4]  # (N, 1, M, 4)
    at = middles[None, :, None]  # (1, L, 1, 2)
    distances = torch.cat((at - edges[..., :2], edges[..., 2:] - at), -1)  # (N, L, M, 4)
    off = (at - (edges[..., :2] + edges[..., 2:]) / 2).abs().amax(3)  # (N, L, M)
    can_be = (distances.amin(3) > 0) & (off < _RADIUS * BOX_STRIDE) & (targets[:, None, :, 4] != NO_BOX)
    area = (edges[..., 2] - edges[..., 0]) * (edges[..., 3] - edges[..., 1])
    smallest = torch.where(can_be, area, torch.inf).argmin(2, keepdim=True)  # (N, L, 1)
    found = targets.gather(1, smallest.expand(-1, -1, 5))
    is_found = can_be.any(2)
    own = distances.gather(2, smallest.unsqueeze(3).expand(-1, -1, -1, 4)).squeeze(2).clamp(min=1e-6)
    sides = torch.stack((own[..., ::2], own[..., 1::2]), 2)  # (N, L, 2, 2): left and right, top and bottom
    nearness = (sides.amin(3) / sides.amax(3)).prod(2).sqrt()
    label = torch.where(is_found, found[..., 4], float(NO_BOX))
    return torch.cat((found[..., :4], label.unsqueeze(2)), 2), torch.where(is_found, nearness, 0.0)
