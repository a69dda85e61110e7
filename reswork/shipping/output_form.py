"""What an exported model takes in and gives: scores of classes, an embedding, a map, boxes, values or pictures."""

from dataclasses import dataclass
from typing import get_args

import torch
from torch import Tensor, nn

from reswork.datasets.dataset import Dataset
from reswork.models.layout import EMBEDDED
from reswork.shipping.engines import Format
from reswork.tasks.anomalies import error_maps
from reswork.tasks.detection import candidates


@dataclass(frozen=True)
class OutputForm:
    """Of one task.

    Attributes:
        name: of the output.
        meaning: how it is used, for the card.
        limits: sentences for the card.
        is_scores: whether it has a score for each class in its second dimension; only then is it written in every
            precision, and bundled.
        has_classes: whether what is said names classes.
        is_picture: whether it is a picture, for which one of any size goes in.
        formats: in which it is written, where pictures go in; other inputs as the first two.
    """

    name: str
    meaning: str
    limits: tuple[str, ...]
    is_scores: bool = True
    has_classes: bool = True
    is_picture: bool = False
    formats: tuple[Format, ...] = ("onnx", "torch")

    @property
    def is_served(self) -> bool:
        """Whether a server answers with it."""
        return self.has_classes or self.is_picture


_SCORES = OutputForm(
    "logits",
    "before softmax over the classes",
    (
        "It names one of its classes whatever it is given, also where that is none of them.",
        "A probability of 90 % was not checked to be right in 90 of 100 cases; `reswork report` says how far it is.",
    ),
    formats=get_args(Format),
)
_OTHERS = {
    "verification": OutputForm(
        "embedding",
        "of length 1; the dot product of two says how alike two images are, from -1 to 1",
        (
            "It must not be used to name, find or judge people who have not agreed: docs/look-alikes.md of reswork.",
            "The threshold holds for pairs as those of the test split; among many who are compared, some are always "
            "taken for another.",
        ),
        is_scores=False,
        has_classes=False,
    ),
    "anomalies": OutputForm(
        "map",
        "higher where an image is unlike the good ones; the mean of its highest twentieth is the score of the image",
        (
            "It knows good images alone: what is new, other light included, is unlike them whether it is good or bad.",
        ),
        is_scores=False,
        has_classes=False,
    ),
    "regression": OutputForm(
        "values",
        "in the unit in which they were learned",
        ("It does not say how sure it is.",),
        is_scores=False,
        has_classes=False,
    ),
    "detection": OutputForm(
        "boxes",
        "for each place that can have a thing: left, top, right and bottom as shares of the picture's sides, then the "
        "score of each class; `example.py` chooses the boxes that stay",
        (
            "It knows its classes alone; other things are left out, or taken for one of them.",
            "A score of 0.9 was not checked to be right in 90 of 100 cases.",
        ),
        is_scores=False,
    ),
    "restoration": OutputForm(
        "pictures",
        "0 is black and 1 white, as in what goes in; what is below or above is cut off, then rounded to bytes",
        (
            "What it adds is what usually stood there in the pictures that it learned from: it is no evidence of what "
            "did.",
            "Pictures that were made smaller, or are noisy, in another way than those that it learned from come out "
            "worse.",
        ),
        is_scores=False,
        has_classes=False,
        is_picture=True,
        formats=("onnx", "torch", "script"),
    ),
}


def output_form(kind: str) -> OutputForm:
    """What an exported model of a task gives."""
    return _OTHERS.get(kind, _SCORES)


def as_shipped(network: nn.Module, kind: str, data: Dataset) -> nn.Module:
    """The network as it is used elsewhere.

    Its output is as `output_form` says. Pictures come in normalised; other inputs as numbers in their own unit, texts
    as the numbers of their signs or words.
    """
    if data.input_kind != "images":
        network = OwnUnit(network, data)
    made = {"verification": Embedding, "anomalies": ErrorMap, "detection": Candidates}.get(kind)
    if kind == "regression":
        return Values(network, data).eval()
    return network.eval() if made is None else made(network).eval()


class Embedding(nn.Module):
    """Where an image lies among others: what the cosines of the identities that were learned are made of, (N, 64)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """The embeddings."""
        found: Tensor = self.network(images)[:, :EMBEDDED]
        return found.float()


class ErrorMap(nn.Module):
    """How far each pixel is from what an autoencoder gives back, (N, H, W)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """The maps."""
        return error_maps(torch.cat((self.network(images).float(), images), dim=1))


class Candidates(nn.Module):
    """The box that each place or anchor means, as shares of the image's sides, and its score for each class."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """(N, L, 4 + K)."""
        boxes, scores = candidates(self.network(images).float())
        height, width = images.shape[2:]
        x, y = boxes[..., ::2] / width, boxes[..., 1::2] / height
        return torch.cat((torch.stack((x, y), 3).flatten(2), scores), dim=2)


class OwnUnit(nn.Module):
    """A network of signals, volumes, rows of a table or texts that takes them as they are in their files."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, data: Dataset) -> None:
        super().__init__()
        self.network = network
        self._words = len(data.features) if data.input_kind == "tokens" else 0
        shape = (1, -1, *(1,) * (len(data.input_shape) - 1))
        if not self._words:
            self.register_buffer("mean", torch.tensor(data.mean).view(shape))
            self.register_buffer("std", torch.tensor(data.std).view(shape))

    def forward(self, inputs: Tensor) -> Tensor:
        """The network's output for float32 inputs."""
        plain = inputs.long().clamp(0, self._words - 1) if self._words else (inputs - self.mean) / self.std
        found: Tensor = self.network(plain)
        return found.float()


class Values(nn.Module):
    """What a network tells, in the unit in which it was learned, (N, T)."""

    def __init__(self, network: nn.Module, data: Dataset) -> None:
        super().__init__()
        self.network = network
        count = len(data.classes)
        mean, std = data.target_scale or ((0.0,) * count, (1.0,) * count)
        self.register_buffer("mean", torch.tensor(mean))
        self.register_buffer("std", torch.tensor(std))

    def forward(self, inputs: Tensor) -> Tensor:
        """The values."""
        found: Tensor = self.network(inputs).float() * self.std + self.mean
        return found
