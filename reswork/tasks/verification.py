"""Verification: whether two images show the same one, also of those that were never seen in training."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reswork.datasets.dataset import Dataset
from reswork.errors import InvalidSetting
from reswork.models.layout import EMBEDDED
from reswork.results.answers import IdentityAnswers
from reswork.results.metrics import Metric
from reswork.tasks.output import check_output_shape
from reswork.tasks.roc import roc
from reswork.tasks.task import Evaluation

if TYPE_CHECKING:
    from reswork.training.recipe import Recipe

MARGIN, SCALE = 0.3, 16.0  # radians; ArcFace takes 0.5 and 64 for a hundred thousand identities
FAR = 0.01
MOST_IMAGES = 2_000  # whose pairs are counted: two million


@dataclass(frozen=True)
class Verification:
    """Whether two images show the same identity: targets (N,) int64, outputs (N, 64 + K), learned by a margin loss.

    The first 64 numbers are the embedding, of length 1; the cosine of two embeddings is how alike two images are. The
    other K are the cosines to a direction for each identity of the training split; only the loss asks for them. The
    test split holds other identities, so that nothing can be known by heart.

    An evaluation compares each image with each other. Its ``loss`` is that of the training with the mean of the other
    images of an identity in the place of a learned direction, without the margin.

    Reference:
        arXiv 1801.07698 (ArcFace), equation 3: the margin is added to the angle; arXiv 1801.09414 (CosFace). TAR at a
        FAR: NIST's and LFW's protocol of verification, arXiv 1708.08197.
    """

    kind = "verification"
    metrics = (
        Metric("tar", "TAR at 1 % FAR", ".1%", True,
               "The share of pairs of one identity that is accepted where 1 % of the pairs of two is too."),
        Metric("eer", "equal error rate", ".2%", False,
               "The rate at which as many pairs of one identity are refused as pairs of two are accepted."),
        Metric("auc", "area under ROC", ".4f", True,
               "How often a pair of one identity is more alike than a pair of two; 0.5 is chance."),
        Metric("rank1", "found first", ".1%", True,
               "The share of images whose most alike other image shows the same identity."),
    )  # fmt: skip

    def check_data(self, data: Dataset) -> None:
        """Refuse targets that are no identities, and too few of them.

        Raises:
            InvalidSetting: in one sentence.
        """
        if data.target_kind != "labels" or data.input_kind != "images":
            raise InvalidSetting(
                "task",
                f"{data.name} has {data.input_kind} with {data.target_kind}; verification learns from images of "
                "identities, see datasets.identities",
            )
        known = data.train.labels.unique()
        if len(known) < 2 or int(known[-1]) != len(known) - 1:
            raise InvalidSetting(
                "labels",
                f"the training split has {len(known)} identities with numbers up to {int(known[-1])}: give at least "
                "two, numbered from 0 without gaps",
            )
        counts = data.test.labels.unique(return_counts=True)[1]
        if len(counts) < 2 or int(counts.max()) < 2:
            raise InvalidSetting(
                "labels",
                f"the test split has {len(counts)} identities with at most {int(counts.max())} image(s) each: there "
                "must be two, one of them with two images",
            )

    def check_recipe(self, recipe: "Recipe") -> None:
        """Refuse what would blur identities.

        Raises:
            InvalidSetting: in one sentence.
        """
        for name, off in (("mixup", 0), ("label_smoothing", 0), ("class_weights", None)):
            value = getattr(recipe, name)
            if value != off:
                raise InvalidSetting(
                    name, f"{name}={value!r} does not go with a margin between identities; choose {off!r}"
                )

    def check_output(self, model: nn.Module, output: object, data: Dataset) -> None:
        """Refuse what is not (N, 64 + K).

        Raises:
            InvalidSetting: in one sentence.
        """
        wanted, build = (2, EMBEDDED + _identities(data)), "rw.resnet(rw.config_for(data))"
        needs = f"{data.name} needs an embedding and a cosine for each identity to learn from"
        check_output_shape(model, output, wanted, "an embedding and cosines", needs, "head", build)

    def head(self, data: Dataset) -> dict[str, Any]:
        """The fields of `ResNetConfig` that follow from the data."""
        return {
            "in_channels": data.input_shape[0],
            "num_classes": _identities(data),
            "head": "embedding",
        }

    def call(self, model: Callable[..., Any], inputs: Tensor, targets: Tensor | None = None) -> Any:
        """Embeddings and cosines (N, 64 + K), float32."""
        output = model(inputs)
        return output.float() if isinstance(output, Tensor) else output

    def loss(
        self, output: Tensor, targets: Tensor, recipe: "Recipe", class_weights: Tensor | None = None
    ) -> Tensor:
        """Cross-entropy of the scaled cosines, the angle to the true identity made larger by the margin."""
        cosines = output[:, EMBEDDED:]
        true = F.one_hot(targets, cosines.shape[1]).bool()
        near = cosines.clamp(-1 + 1e-6, 1 - 1e-6)
        wider = (near.acos() + MARGIN).cos()
        # beyond half a turn a larger angle would have a larger cosine again: go on falling there
        beyond = near - MARGIN * math.sin(MARGIN)
        harder = torch.where(near > math.cos(math.pi - MARGIN), wider, beyond)
        return F.cross_entropy(SCALE * torch.where(true, harder, cosines), targets)

    def weight(self, targets: Tensor, class_weights: Tensor | None = None) -> float | Tensor:
        """Images."""
        return len(targets)

    def score(self, output: Tensor, targets: Tensor) -> Tensor:
        """TAR at 1 % FAR over the pairs of the batch; not a number where it has no pair of one identity."""
        alike, same = _pairs(output.detach()[:, :EMBEDDED], targets)
        others = alike.masked_fill(same, -2).sort(descending=True).values
        last = (FAR * (~same).sum()).long().clamp(max=max(len(others) - 1, 0))
        above = others.gather(0, last.view(1)) if len(others) else alike.new_zeros(1)
        return (same & (alike > above)).sum() / same.sum()

    def meter(self, data: Dataset, device: torch.device) -> "PairMeter":
        """Compares all images of the split."""
        return PairMeter()

    def answers(self, output: Tensor) -> IdentityAnswers:
        """The embeddings, and how alike each identity of the training split is."""
        found = output.detach().float().cpu().numpy()
        return IdentityAnswers(found[:, :EMBEDDED], found[:, EMBEDDED:])

    def right(self, output: Tensor, targets: Tensor) -> Tensor:
        """Whether the most alike other image among these shows the same identity."""
        return found_first(output[:, :EMBEDDED], targets)

    def explained(self, output: Tensor, reference: Tensor | None = None) -> Tensor:
        """How alike each identity of the training split is, (N, K) cosines."""
        return output[:, EMBEDDED:]


class PairMeter:
    """Compares all images of a split, or 2,000 of them, evenly chosen."""

    def __init__(self) -> None:
        self._found: list[tuple[Tensor, Tensor]] = []

    def update(self, output: Tensor, targets: Tensor) -> None:
        """Take one more batch."""
        self._found.append((output[:, :EMBEDDED].detach(), targets))

    def compute(self) -> Evaluation:
        """The metrics of all batches so far."""
        embeddings, labels = (torch.cat(each) for each in zip(*self._found, strict=True))
        return Evaluation(verification_metrics(embeddings, labels))


def verification_metrics(embeddings: Tensor, labels: Tensor) -> dict[str, float]:
    """The loss and the metrics of any embeddings, by comparing each image with each other.

    Args:
        embeddings: (N, E), of any length; they are brought to length 1.
        labels: (N,) int64, identities.
    """
    unit, labels = _some(embeddings, labels)
    metrics = {
        "loss": float(_loss_of_unseen(unit, labels)),
        "rank1": float(found_first(unit, labels).double().mean()),
    }
    alike, same = _pairs(unit, labels)
    if bool(same.any()) and not bool(same.all()):
        curve = roc(alike, same)
        metrics |= {"tar": curve.true_at(FAR), "eer": curve.equal_error, "auc": curve.area}
    return metrics


def accepting(embeddings: Tensor, labels: Tensor, false: float = FAR) -> float:
    """The cosine from which on a pair counts as one identity where so many pairs of two at most do, too; 1 at most.

    Args:
        embeddings: (N, E), of any length.
        labels: (N,) int64, identities, of which one at least has two images.
        false: 0 to 1.
    """
    return min(1.0, roc(*_pairs(*_some(embeddings, labels))).threshold_at(false))


def _some(embeddings: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Embeddings of length 1 and their identities, evenly chosen where there are many."""
    if len(labels) > MOST_IMAGES:
        chosen = torch.linspace(0, len(labels) - 1, MOST_IMAGES, device=labels.device).round().long()
        embeddings, labels = embeddings[chosen], labels[chosen]
    return F.normalize(embeddings.float()), labels


def found_first(embeddings: Tensor, labels: Tensor) -> Tensor:
    """Whether the most alike other image shows the same identity, (N,) bool; embeddings of length 1."""
    alike = embeddings @ embeddings.T
    alike.fill_diagonal_(-2)
    return labels[alike.argmax(1)] == labels


def _pairs(embeddings: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine of each pair of images, (P,), and whether both show one identity; embeddings of length 1."""
    first, second = torch.triu_indices(len(labels), len(labels), 1, device=labels.device)
    return (embeddings @ embeddings.T)[first, second], labels[first] == labels[second]


def _loss_of_unseen(unit: Tensor, labels: Tensor) -> Tensor:
    """The loss where each identity's direction is the mean of its images but the one that is asked about."""
    _, numbers, counts = labels.unique(return_inverse=True, return_counts=True)
    sums = torch.zeros(len(counts), unit.shape[1], device=unit.device).index_add_(0, numbers, unit)
    cosines = unit @ F.normalize(sums).T  # (N, K)
    own = (F.normalize(sums[numbers] - unit) * unit).sum(1)
    cosines[torch.arange(len(labels), device=labels.device), numbers] = own
    several = counts[numbers] > 1
    return (
        F.cross_entropy(SCALE * cosines[several], numbers[several])
        if bool(several.any())
        else unit.new_zeros(())
    )


def _identities(data: Dataset) -> int:
    return int(data.train.labels.max()) + 1
