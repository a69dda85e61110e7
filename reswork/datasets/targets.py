"""What a network shall answer for each input: a class, one for each pixel of an image, values, an image, or boxes."""

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from reswork.datasets.inputs import ONE, input_kind
from reswork.datasets.mapped import in_parts
from reswork.errors import InvalidSetting

TargetKind = Literal["labels", "masks", "values", "images", "boxes"]
IGNORED = (
    255  # a pixel of a mask that counts nowhere: not in the loss, not in a metric, not in `class_counts`
)
MOST_MASK_CLASSES = 255  # the numbers 0 to 254
NO_BOX = -1  # in place of a class, in rows that an image with fewer boxes leaves over


def kind_of(inputs: Tensor, targets: Tensor) -> TargetKind:
    """Which kind of targets these inputs have.

    =========  ========  ==============  ====================================================
    kind       dtype     shape           values
    =========  ========  ==============  ====================================================
    labels     int64     (N,)            numbers of classes, from 0
    masks      uint8     (N, H, W)       numbers of classes, from 0; `IGNORED` is none; of volumes (N, D, H, W)
    values     float32   (N,), (N, T)    T numbers, standardised over the training split
    images     uint8     (N, C, sH, sW)  bytes, s times as high and wide as the inputs (1 to 4)
    boxes      float32   (N, M, 5)       left, top, right, bottom in pixels, class; `NO_BOX` where there is none
    =========  ========  ==============  ====================================================

    Raises:
        InvalidSetting: another type or shape, or not one target for each input.
    """
    if targets.dtype == torch.int64 and targets.dim() == 1:
        kind: TargetKind = "labels"
    elif targets.dtype == torch.uint8 and targets.dim() == (4 if inputs.dim() == 5 else 3):
        kind = "masks"
    elif targets.dtype == torch.float32 and targets.dim() in (1, 2):
        kind = "values"
    elif targets.dtype == torch.uint8 and targets.dim() == 4:
        kind = "images"
    elif targets.dtype == torch.float32 and targets.dim() == 3 and targets.shape[2] == 5:
        kind = "boxes"
    else:
        raise InvalidSetting(
            "targets",
            f"targets of type {targets.dtype} and shape {tuple(targets.shape)}: give labels, torch.int64, (N,), "
            "masks, torch.uint8, (N, H, W), values, torch.float32, (N,) or (N, T), images, torch.uint8, "
            "(N, C, sH, sW), or boxes, torch.float32, (N, M, 5)",
        )
    if len(inputs) != len(targets):
        raise InvalidSetting(
            "targets",
            f"{len(targets):,} {kind} for {len(inputs):,} {ONE[input_kind(inputs)]}s: give one for each",
        )
    if kind == "masks" and input_kind(inputs) not in ("images", "volumes"):
        raise InvalidSetting(
            "targets", f"masks for {input_kind(inputs)}: only images and volumes have a class for each pixel"
        )
    if kind == "masks" and targets.shape[1:] != inputs.shape[2:]:
        sizes = ["x".join(map(str, size)) for size in (targets.shape[1:], inputs.shape[2:])]
        raise InvalidSetting(
            "targets",
            f"masks of {sizes[0]} pixels for {input_kind(inputs)} of {sizes[1]}: give both one size",
        )
    if kind in ("images", "boxes") and input_kind(inputs) != "images":
        told = "images to come out" if kind == "images" else "boxes around things"
        raise InvalidSetting("targets", f"{kind} for {input_kind(inputs)}: only images have {told}")
    if kind == "images":
        enlargement(inputs, targets)
    return kind


def enlargement(images: Tensor, targets: Tensor) -> int:
    """How many times as high and wide as the images their targets are, 1 for equally large ones.

    Raises:
        InvalidSetting: not a whole number of times in both directions, or other channels.
    """
    scale = targets.shape[2] // max(images.shape[2], 1)
    if (
        targets.shape[1] != images.shape[1]
        or scale < 1
        or targets.shape[2:] != tuple(scale * length for length in images.shape[2:])
    ):
        raise InvalidSetting(
            "targets",
            f"target images of {tuple(targets.shape[1:])} for images of {tuple(images.shape[1:])} (C, H, W): give as "
            "many channels, and 1, 2, 3 or 4 times the height and the width",
        )
    return scale


def check_classes(split: str, kind: TargetKind, targets: Tensor, classes: int) -> None:
    """Refuse numbers that belong to no class.

    Raises:
        InvalidSetting: such a number, masks in which every pixel is ignored, or values that are not finite or not
            as many as they have names.
    """
    if kind == "images":
        return
    if kind == "boxes":
        _check_boxes(split, targets, classes)
        return
    if kind == "values":
        count = targets.shape[1] if targets.dim() == 2 else 1
        if count != classes:
            raise InvalidSetting(
                "classes", f"{classes} names for {count} value(s) of the {split} split: give one for each"
            )
        if not bool(torch.isfinite(targets).all()):
            raise InvalidSetting(
                "targets", f"values of the {split} split are missing or infinite: leave those out"
            )
        return
    if kind == "labels":
        low, high = (int(value) for value in targets.aminmax())
    else:
        # as bytes: the ignored 255 becomes 0
        low, high = 0, max(int((part + 1).amax()) for part in in_parts(targets)) - 1
        if high < 0:
            raise InvalidSetting("masks", f"every pixel of the {split} split is ignored: mark some classes")
    if low < 0 or high >= classes:
        raise InvalidSetting(
            kind,
            f"{kind} from {low} to {high} in the {split} split: {classes} classes "
            f"have the numbers 0 to {classes - 1}",
        )


def _check_boxes(split: str, boxes: Tensor, classes: int) -> None:
    is_there = boxes[..., 4] != NO_BOX
    there = boxes[is_there]
    if not len(there):
        raise InvalidSetting("boxes", f"no image of the {split} split has a box: give at least one")
    if not bool(torch.isfinite(there).all()):
        raise InvalidSetting("boxes", f"boxes of the {split} split are missing or infinite: leave those out")
    if bool((there[:, 2:4] <= there[:, :2]).any()):
        raise InvalidSetting(
            "boxes",
            f"a box of the {split} split is empty: give left, top, right, bottom with left < right and top < bottom",
        )
    low, high = float(there[:, 4].min()), float(there[:, 4].max())
    if low < 0 or high >= classes or bool((there[:, 4] % 1 != 0).any()):
        raise InvalidSetting(
            "boxes",
            f"classes of boxes from {low:g} to {high:g} in the {split} split: {classes} classes have the numbers 0 to "
            f"{classes - 1}",
        )


def class_counts(kind: TargetKind, targets: Tensor, classes: int) -> np.ndarray:
    """How often each class is there, int64, (classes,): inputs for labels, pixels that count for masks, boxes.

    For values, which are there for each input, the inputs; for images, which have no classes, nothing.
    """
    if kind in ("values", "images"):
        return np.full(classes, len(targets), np.int64)
    if kind == "boxes":
        labels = targets[..., 4].flatten()
        return torch.bincount(labels[labels != NO_BOX].long(), minlength=classes)[:classes].cpu().numpy()
    if kind == "labels":
        return torch.bincount(targets, minlength=classes)[:classes].cpu().numpy()
    counts = torch.zeros(256, dtype=torch.int64, device=targets.device)
    for part in in_parts(targets):
        counts += torch.bincount(part.flatten(), minlength=256)
    return counts[:classes].cpu().numpy()


def strata(kind: TargetKind, targets: Tensor, classes: int) -> np.ndarray:
    """A class for each input by which a choice of inputs is balanced, int64, (N,).

    For values and images all alike. For labels themselves, for masks the class of fewest pixels in all that this mask
    shows, for boxes the rarest class of an image's boxes: a choice that is balanced by those has rare classes in it.
    """
    if kind in ("values", "images"):
        return np.zeros(len(targets), np.int64)
    if kind == "labels":
        return targets.cpu().numpy()
    if kind == "boxes":
        numbers = torch.arange(classes)
        shown = (targets[..., 4].cpu().unsqueeze(2) == numbers).any(1).numpy()  # (N, classes)
    else:
        shown = torch.stack(
            [torch.bincount(mask.flatten(), minlength=256)[:classes] > 0 for mask in targets.cpu()]
        ).numpy()  # (N, classes)
    often = class_counts(kind, targets, classes)
    return np.where(shown, often, often.max() + 1).argmin(1)  # (N,)
