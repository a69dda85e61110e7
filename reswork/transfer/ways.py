"""Ways to learn with or without the weights of a trained network, to be compared."""

from collections.abc import Generator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from reswork.datasets.augmentation import normalise
from reswork.datasets.dataset import Dataset, Split
from reswork.errors import InvalidSetting
from reswork.training.alone import train_alone
from reswork.training.evaluation import evaluating
from reswork.training.recipe import Recipe
from reswork.transfer.adoption import NormChoice
from reswork.transfer.stages import planned

_BATCH = 500


@dataclass(frozen=True)
class Way:
    """One way to learn, as a row of a comparison.

    Args:
        name: in the table.
        begins: ``"source"``: with the trained weights; ``"nothing"``: with new ones.
        rate: what the recipe's learning rate is multiplied by.
        frozen_to: as `fine_tune` takes it.
        rate_decay: likewise.
        unfreeze_every: likewise.
        norms: likewise.
        replay: images of each old class that are learned along with the new, in `forgetting`.
    """

    name: str
    begins: str = "source"
    rate: float = 1.0
    frozen_to: str | None = None
    rate_decay: float = 1.0
    unfreeze_every: float | None = None
    norms: NormChoice = "batch"
    replay: int = 0

    def __post_init__(self) -> None:
        if self.begins not in ("source", "nothing"):
            raise InvalidSetting("begins", f"begins={self.begins!r} is unknown; choose 'source' or 'nothing'")
        if isinstance(self.replay, bool) or not isinstance(self.replay, int) or self.replay < 0:
            raise InvalidSetting(
                "replay", f"replay={self.replay!r} must be a whole number of images of each old class"
            )
        if not 0 < self.rate < float("inf"):
            raise InvalidSetting(
                "rate", f"rate={self.rate!r} must be above 0; it is multiplied by the learning rate"
            )

    def recipe(self, model: nn.Module, recipe: Recipe, seed: int) -> Recipe:
        """The recipe of this way, for a network and a seed."""
        return planned(
            model,
            replace(recipe, seed=seed, learning_rate=recipe.learning_rate * self.rate),
            last=self.frozen_to,
            rate_decay=self.rate_decay,
            unfreeze_every=self.unfreeze_every,
            keep_statistics=self.norms != "batch",
        )


def learned(model: nn.Module, data: Dataset, recipe: Recipe) -> Generator[int, None, None]:
    """Train in place; yields after each step."""
    for step, _ in train_alone(model, data, recipe):
        yield step


def share_right(model: nn.Module, data: Dataset, split: Split) -> float:
    """Share of the images of a split that are named rightly, in evaluation mode, 0 to 1."""
    device = next(model.parameters()).device
    right = 0
    with evaluating(model), torch.no_grad():
        for inputs, labels in zip(split.inputs.split(_BATCH), split.targets.split(_BATCH), strict=True):
            right += int((model(_normalised(inputs.to(device), data)).argmax(1) == labels.to(device)).sum())
    return right / len(split)


def _normalised(inputs: Tensor, data: Dataset) -> Tensor:
    return normalise(inputs, data.mean, data.std, torch.float32, torch.contiguous_format)


def check_labels(data: Dataset) -> None:
    """Refuse data without classes.

    Raises:
        InvalidSetting: for masks, values or pictures.
    """
    if data.target_kind != "labels":
        raise InvalidSetting(
            "data",
            f"this compares accuracies, and the targets of {data.name} are {data.target_kind}; give labels",
        )


def check_seeds(seeds: int) -> None:
    """Refuse numbers of seeds that cannot be.

    Raises:
        InvalidSetting: for less than one.
    """
    if isinstance(seeds, bool) or not isinstance(seeds, int) or not 1 <= seeds <= 100:
        raise InvalidSetting("seeds", f"seeds={seeds!r} must be a whole number from 1 to 100")


def check_ways(ways: tuple[Way, ...]) -> None:
    """Refuse what are no ways, or ways of the same name.

    Raises:
        InvalidSetting: with what to do.
    """
    if not ways or not all(isinstance(way, Way) for way in ways):
        raise InvalidSetting("ways", f"ways={ways!r} must be rw.transfer.Way(...), one or more")
    names = [way.name for way in ways]
    if len(set(names)) != len(names):
        raise InvalidSetting("ways", f"two ways have the same name: {', '.join(names)}")
