"""Labelled images decide between networks that have the same weights."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from reswork.datasets.augmentation import normalise
from reswork.datasets.dataset import Dataset
from reswork.errors import InvalidSetting
from reswork.models.adapted import ACTIVATIONS, Details, details_fit
from reswork.store.fitted_weights import FittedWeights

_MOST_IMAGES = 256
_CLEAR = 0.05  # the loss must fall by this share before another network is taken
_MOST_CHANGES = 3
_OTHERS: Mapping[str, tuple[object, ...]] = {
    "norm_groups": (None, 32, 16, 8, 4, 2, 1),
    "stride_in_1x1": (False, True),
    "stem_stride": (None, 1, 2),
    "stem_pooling": (None, False, True),
    "last_stride": (2, 1),
    "dilated_stages": (0, 1, 2),
    "anti_aliasing": ("none", "average", "blur"),
    "activation": tuple(ACTIVATIONS),
    "norm_eps": (None, 1e-3),
}


@dataclass(frozen=True)
class Trial:
    """How a network with some details answers labelled images.

    Attributes:
        details: what is otherwise than usual; empty: nothing.
        accuracy: fraction right.
        loss: mean cross-entropy.
    """

    details: Mapping[str, object]
    accuracy: float
    loss: float


def trials(
    fitted: FittedWeights, given: Mapping[str, Any], data: Dataset | tuple[Tensor, Tensor]
) -> tuple[Trial, ...]:
    """The networks that were tried, the best first.

    From the usual one on, the change of one detail that lowers the loss most is taken, as long as it lowers it clearly.

    Args:
        fitted: the weights.
        given: details that are known and stay.
        data: whose test images are used, or normalised images (N, C, H, W) with labels (N,); at most 256 of them.

    Raises:
        InvalidSetting: for data that this network cannot be asked about.
    """
    images, labels = _labelled(data)
    if fitted.outputs is None or (len(labels) and int(labels.max()) >= fitted.outputs):
        raise InvalidSetting(
            "data",
            f"the labels go up to {int(labels.max())} and the network gives {fitted.outputs or 'no'} logits; "
            "give images with the classes that it was trained on, or leave data= away",
        )
    if images.shape[1] != fitted.config.in_channels:
        raise InvalidSetting(
            "data",
            f"the images have {images.shape[1]} channels, and the network takes {fitted.config.in_channels}",
        )
    best = replace(fitted.details, **given)
    tried: dict[Details, Trial] = {}

    def loss(details: Details) -> float:
        if details not in tried:
            tried[details] = _trial(fitted, details, images, labels)
        return tried[details].loss

    free = [name for name in details_fit(fitted.config) if name not in given]
    for _ in range(_MOST_CHANGES):
        others: list[Details] = [
            replace(best, **{name: value})  # type: ignore[arg-type]
            for name in free
            for value in _OTHERS[name]
            if value != getattr(best, name)
        ]
        least = min(others, key=loss, default=best)
        if loss(least) > loss(best) * (1 - _CLEAR):
            break
        best = least
    if math.isinf(loss(best)):
        raise InvalidSetting("data", f"no network could take images of shape {tuple(images.shape[1:])}")
    first = tried[best]
    return (
        first,
        *sorted((each for each in tried.values() if each is not first), key=lambda each: each.loss),
    )


@torch.no_grad()
def _trial(fitted: FittedWeights, details: Details, images: Tensor, labels: Tensor) -> Trial:
    """An infinite loss where the network cannot have these details, or not take the images."""
    try:
        model = fitted.model(details)
        logits = torch.cat([model(part) for part in images.split(64)]).float()
    except (InvalidSetting, RuntimeError):
        return Trial(details.changed, 0.0, math.inf)
    loss = float(F.cross_entropy(logits, labels))
    return Trial(
        details.changed,
        float((logits.argmax(1) == labels).float().mean()),
        math.inf if math.isnan(loss) else loss,
    )


def _labelled(data: Dataset | tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    if isinstance(data, Dataset):
        split = data.test if len(data.test) else data.train
        chosen = torch.randperm(len(split), generator=torch.Generator().manual_seed(0))[:_MOST_IMAGES]
        return normalise(split.inputs[chosen], data.mean, data.std), split.labels[chosen]
    images, labels = data
    if images.dim() != 4 or not images.is_floating_point() or len(images) != len(labels) or not len(images):
        raise InvalidSetting(
            "data",
            f"images of shape {tuple(images.shape)} and {images.dtype} with {len(labels)} labels: give normalised "
            "images (N, C, H, W) as float with one label each, or a data set",
        )
    return images[:_MOST_IMAGES], torch.as_tensor(labels)[:_MOST_IMAGES].long()
