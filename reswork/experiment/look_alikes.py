"""Verification and search with a trained embedding: among identities that it has never seen."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reswork.datasets.augmentation import normalise
from reswork.datasets.dataset import Dataset
from reswork.errors import InvalidSetting
from reswork.models.layout import EMBEDDED
from reswork.tasks.roc import Roc, roc
from reswork.training.evaluation import evaluating

_AT_ONCE = 500


@dataclass(frozen=True, eq=False)
class Verified:
    """Pairs of test images, how alike they are, and how well that tells one identity from two.

    Attributes:
        pairs: (P, 2) int64, numbers of test images.
        alike: (P,) float64, cosines, -1 to 1.
        same: (P,) bool, whether both show one identity.
        roc: the curve of these.
    """

    pairs: np.ndarray
    alike: np.ndarray
    same: np.ndarray
    roc: Roc

    @property
    def equal_error(self) -> float:
        """The rate at which as many pairs of one identity are refused as pairs of two are accepted."""
        return self.roc.equal_error

    def accepted(self, wrongly: float = 0.01) -> float:
        """TAR: share of pairs of one identity that is accepted where at most so many pairs of two are (FAR)."""
        return self.roc.true_at(wrongly)

    def threshold(self, wrongly: float = 0.01) -> float:
        """The cosine from which on a pair is accepted then."""
        return self.roc.threshold_at(wrongly)


def embeddings(model: nn.Module, images: Tensor, data: Dataset) -> Tensor:
    """The embedding of each image, of length 1.

    Args:
        model: of the task verification; or any other, whose whole answer is then the embedding.
        images: uint8, (N, C, H, W).
        data: whose mean and deviation the model was trained with.

    Returns:
        (N, E) float32 on the CPU.

    Raises:
        InvalidSetting: a model that gives no row of numbers for an image.
    """
    device, found = next(model.parameters()).device, []
    config = getattr(model, "config", None)
    is_embedding = getattr(config, "head", None) == "embedding"
    with torch.no_grad(), evaluating(model):
        for part in images.split(_AT_ONCE):
            output = model(normalise(part.to(device), data.mean, data.std))
            if not isinstance(output, Tensor) or output.dim() != 2:
                raise InvalidSetting(
                    "model", f"{type(model).__name__} gives no row of numbers for an image: give an embedding"
                )
            found.append(F.normalize((output[:, :EMBEDDED] if is_embedding else output).float()).cpu())
    return torch.cat(found)


def verified(model: nn.Module, data: Dataset) -> Verified:
    """How well a model tells the identities of a test split apart, by the list of pairs or by all pairs.

    Args:
        model: as of `embeddings`.
        data: with identities; where a list of pairs was given, ``extras["test_pairs"]``, those are judged.

    Raises:
        InvalidSetting: targets that are no identities, pairs of one kind only, a model that gives no embedding.
    """
    labels = data.test.labels.cpu()
    unit = embeddings(model, data.test.images, data).double()
    listed = data.extras.get("test_pairs")
    pairs = torch.triu_indices(len(labels), len(labels), 1).T if listed is None else listed[:, :2].cpu()
    alike = (unit[pairs[:, 0]] * unit[pairs[:, 1]]).sum(1)
    same = labels[pairs[:, 0]] == labels[pairs[:, 1]]
    return Verified(pairs.numpy(), alike.numpy(), same.numpy(), roc(alike, same))


@dataclass(frozen=True, eq=False)
class Found:
    """The images that are most like another one.

    Attributes:
        images: (M,) int64, numbers of test images, the most alike first.
        similarities: (M,) float32, cosines.
        identities: (M,) int64, whom they show.
    """

    images: np.ndarray
    similarities: np.ndarray
    identities: np.ndarray


def search(model: nn.Module, data: Dataset, image: int | Tensor, count: int = 5) -> Found:
    """The test images that are most like an image.

    Args:
        model: as of `embeddings`.
        data: with identities.
        image: the number of a test image, which is left out then; or uint8, (C, H, W).
        count: how many, 1 to as many as there are.

    Raises:
        InvalidSetting: an image that is not there, or another count.
    """
    gallery, labels = data.test.images, data.test.labels.cpu().numpy()
    is_number = isinstance(image, int)
    if is_number and not 0 <= image < len(labels):
        raise InvalidSetting("image", f"image={image} is not there; choose 0 to {len(labels) - 1}")
    most = len(labels) - is_number
    if not 1 <= count <= most:
        raise InvalidSetting("count", f"count={count}: choose 1 to {most}")
    asked = gallery[image] if isinstance(image, int) else image
    unit = embeddings(model, torch.cat([asked[None].to(gallery.device), gallery]), data)
    alike = (unit[1:] @ unit[0]).numpy()
    order = np.argsort(-alike, kind="stable")
    order = order[order != image][:count] if is_number else order[:count]
    return Found(order, alike[order], labels[order])
