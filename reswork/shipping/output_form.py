"""What an exported model gives: scores of classes, an embedding, or a map of what is unlike good images."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from reswork.models.layout import EMBEDDED
from reswork.tasks.anomalies import error_maps


@dataclass(frozen=True)
class OutputForm:
    """Of one task.

    Attributes:
        name: of the output.
        meaning: how it is used, for the card.
        limits: sentences for the card.
        is_scores: whether it has a score for each class in its second dimension; only then can answers be named,
            compared and served.
    """

    name: str
    meaning: str
    limits: tuple[str, ...]
    is_scores: bool = True


_SCORES = OutputForm(
    "logits",
    "before softmax over the classes",
    (
        "It names one of its classes for every picture, also for one that shows none of them.",
        "A probability of 90 % was not checked to be right in 90 of 100 cases; `reswork report` says how far it is.",
    ),
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
    ),
    "anomalies": OutputForm(
        "map",
        "higher where an image is unlike the good ones; the mean of its highest twentieth is the score of the image",
        (
            "It knows good images alone: what is new, other light included, is unlike them whether it is good or bad.",
        ),
        is_scores=False,
    ),
}


def output_form(kind: str) -> OutputForm:
    """What an exported model of a task gives."""
    return _OTHERS.get(kind, _SCORES)


def as_shipped(network: nn.Module, kind: str) -> nn.Module:
    """The network with an output as `output_form` says; itself where that are scores."""
    made = {"verification": Embedding, "anomalies": ErrorMap}.get(kind)
    return network if made is None else made(network).eval()


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
