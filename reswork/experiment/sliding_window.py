"""A classifier of cut-outs, slid over images: what a detector has to be better than."""

import math
import time
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from reswork.datasets.augmentation import normalise
from reswork.datasets.conversion import assembled
from reswork.datasets.dataset import Dataset, Split
from reswork.datasets.targets import NO_BOX
from reswork.errors import InvalidSetting
from reswork.models.config import ResNetConfig
from reswork.models.network import ResNet, resnet
from reswork.tasks.average_precision import box_iou, without_doubles
from reswork.tasks.detection import LEAST_SCORE, BoxMeter, Detections, chosen_boxes
from reswork.training.evaluation import evaluating
from reswork.training.loop import fit
from reswork.training.recipe import Recipe

_SIDES = (0.15, 0.5, 0.85)  # quantiles of the true boxes' sides that windows have
_STEP = 0.25  # of a window's side, from one to the next
_NOTHING_IOU = 0.3  # of a cut-out with every true box, below which it shows nothing
_CUT_OUTS = 3  # of the ground, for each true box
_MOST_DOUBLE = 0.3  # IoU of two windows on one thing: they fit badly, so that doubles overlap little
_WINDOWS = 100  # of an image, the best before double ones go
_BATCH = 4_096


@dataclass(frozen=True)
class SlidingWindow:
    """How far a slid classifier gets.

    Attributes:
        metrics: of detection, on the test split.
        accuracy: of the classifier on cut-outs of test images.
        seconds: to learn and to answer.
        windows: in each image.
        found: its boxes in the test images.
    """

    metrics: dict[str, float]
    accuracy: float
    seconds: float
    windows: int
    found: Detections


def sliding_window(
    data: Dataset,
    config: ResNetConfig | None = None,
    recipe: Recipe | None = None,
    *,
    window: int = 16,
    seed: int = 0,
) -> SlidingWindow:
    """Learn to tell true boxes and the ground from cut-outs, then ask at every place of each test image in three sizes.

    Windows are squares. What counts is COCO's precision, as for `reswork.tasks.Detection`.

    Args:
        data: with boxes.
        config: of the classifier; None: a ResNet-8.
        recipe: of its training; None: a few passes over the cut-outs.
        window: side in pixels to which each cut-out is scaled, 8 to 64.
        seed: of cut-outs and training.

    Raises:
        InvalidSetting: data without boxes.

    Reference:
        Viola and Jones 2001; Dalal and Triggs 2005, section 6, whose window is slid over an image in several sizes.
    """
    if data.target_kind != "boxes":
        raise InvalidSetting("data", f"{data.name} has {data.target_kind}: a sliding window needs boxes")
    if not 8 <= window <= 64:
        raise InvalidSetting("window", f"window={window} pixels: choose 8 to 64, such as 16")
    begin, device = time.perf_counter(), data.train.device
    generator = torch.Generator().manual_seed(seed)
    sides = _window_sides(data.train.boxes.cpu())
    classes = (*data.classes, "nothing")
    train, test = (
        _cut_outs(part, len(data.classes), sides, window, generator) for part in (data.train, data.test)
    )
    crops = assembled("cut-outs", train, test, classes, "Cut out of images with boxes").to(device)
    config = replace(
        config or ResNetConfig(depth=8),
        in_channels=data.input_shape[0], num_classes=len(classes), head="classifier",
    )  # fmt: skip
    torch.manual_seed(seed)
    model = resnet(config).to(device)
    for _ in fit(model, crops, recipe or _recipe(seed)):
        pass
    accuracy = float(
        (_answers(model, crops, crops.test.images).argmax(1) == crops.test.labels).float().mean()
    )
    places = _windows(sides, data.input_shape[1:]).to(device)
    meter, parts = BoxMeter(data.classes), []
    for images, targets in zip(data.test.images.split(16), data.test.boxes.split(16), strict=True):
        found = _slid(model, crops, images, places, window)
        meter.count_boxes(found, targets)
        parts.append(found)
    joined = Detections(
        *(torch.cat([getattr(part, name) for part in parts]) for name in ("boxes", "labels", "scores"))
    )
    return SlidingWindow(meter.metrics()[0], accuracy, time.perf_counter() - begin, len(places), joined)


def _recipe(seed: int) -> Recipe:
    return Recipe(
        epochs=8, batch_size=128, optimizer="adam", learning_rate=0.003, weight_decay=0.0, schedule="one_cycle",
        compile="off", seed=seed,
    )  # fmt: skip


def _window_sides(boxes: Tensor) -> list[float]:
    """Sides of windows in pixels: quantiles of the longer side of true boxes."""
    there = boxes[boxes[..., 4] != NO_BOX]
    longer = (there[:, 2:4] - there[:, :2]).amax(1)
    return sorted({float(each) for each in np.quantile(longer.numpy(), _SIDES).round().clip(4)})


def _windows(sides: list[float], size: tuple[int, ...]) -> Tensor:
    """Squares of all sides over an image, (W, 4), a quarter of a side apart."""
    found = []
    for side in sides:
        starts = [
            np.linspace(0, max(length - side, 0), max(1, math.ceil((length - side) / (side * _STEP)) + 1))
            for length in size
        ]
        top, left = np.meshgrid(*starts, indexing="ij")
        found.append(np.stack([left, top, left + side, top + side], 2).reshape(-1, 4))
    return torch.from_numpy(np.concatenate(found).astype(np.float32))


def _squares(boxes: Tensor) -> Tensor:
    """The square around each box (B, 4), of its longer side and about its middle."""
    middle, half = (
        (boxes[:, :2] + boxes[:, 2:4]) / 2,
        (boxes[:, 2:4] - boxes[:, :2]).amax(1, keepdim=True) / 2,
    )
    return torch.cat([middle - half, middle + half], 1)


def _cut_outs(
    part: Split, nothing: int, sides: list[float], window: int, generator: torch.Generator
) -> Split:
    """True boxes and squares of the ground, which is a class of its own, scaled to windows."""
    boxes = part.boxes.cpu()
    rows, places = (boxes[..., 4] != NO_BOX).nonzero(as_tuple=True)
    truths = boxes[rows, places]
    count = _CUT_OUTS * len(truths)
    side = torch.tensor(sides)[torch.randint(len(sides), (count,), generator=generator)]
    room = torch.tensor(part.images.shape[2:]).flip(0) - side.unsqueeze(1)  # (n, 2) for x and y
    corner = torch.rand((count, 2), generator=generator) * room.clamp(min=0)
    ground = torch.cat([corner, corner + side.unsqueeze(1)], 1)
    of_image = torch.randint(len(boxes), (count,), generator=generator)
    overlaps = box_iou(ground.unsqueeze(1), boxes[of_image][..., :4]).squeeze(1)
    is_free = torch.where(boxes[of_image][..., 4] != NO_BOX, overlaps, 0.0).amax(1) < _NOTHING_IOU
    every = torch.cat([_squares(truths), ground[is_free]])
    images = torch.cat([rows, of_image[is_free]])
    labels = torch.cat([truths[:, 4].long(), torch.full((int(is_free.sum()),), nothing)])
    return Split(_scaled(part.images.cpu(), images, every, window), labels)


def _scaled(images: Tensor, rows: Tensor, boxes: Tensor, window: int) -> Tensor:
    """Cut-outs scaled to one size, uint8 (B, C, window, window)."""
    from torchvision.ops import roi_align  # which takes a second to import

    with_rows = torch.cat([rows.float().unsqueeze(1), boxes], 1)
    found = roi_align(images.float(), with_rows, window, sampling_ratio=2, aligned=True)
    return found.round().clamp(0, 255).to(torch.uint8)


def _answers(model: ResNet, crops: Dataset, cut: Tensor) -> Tensor:
    """Probabilities of all classes, (B, K + 1)."""
    with evaluating(model), torch.no_grad():
        parts = [
            model(normalise(each, crops.mean, crops.std)).float().softmax(1) for each in cut.split(_BATCH)
        ]
    return torch.cat(parts)


def _slid(model: ResNet, crops: Dataset, images: Tensor, places: Tensor, window: int) -> Detections:
    """The windows of some images that show something, double ones taken out."""
    count = len(images)
    rows = torch.arange(count, device=images.device).repeat_interleave(len(places))
    cut = _scaled(images, rows, places.repeat(count, 1), window)
    chances = _answers(model, crops, cut)[:, :-1].view(count, len(places), -1)  # (N, W, K)
    best = chances.flatten(1).topk(min(_WINDOWS, chances[0].numel()))
    labels = best.indices % chances.shape[2]
    boxes = places[best.indices // chances.shape[2]]
    stays = without_doubles(boxes, labels, _MOST_DOUBLE) & (best.values >= LEAST_SCORE)
    return chosen_boxes(boxes, labels, torch.where(stays, best.values, 0.0))
