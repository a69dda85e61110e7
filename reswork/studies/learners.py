"""Learners of other kinds than residual networks, with the settings in which each is usually used."""

import pickle
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reswork.datasets.augmentation import normalise
from reswork.datasets.dataset import Dataset
from reswork.experiment.seed_runs import fresh_network
from reswork.models.network import resnet
from reswork.training.alone import train_alone
from reswork.training.recipe import Recipe

if TYPE_CHECKING:
    from sklearn.base import ClassifierMixin

Going = Generator[tuple[int, int], None, None]  # steps made, and how many there are


class Learner(Protocol):
    """Something that learns labels of images."""

    def learn(self, data: Dataset, *, epochs: int, seed: int) -> Going:
        """Learn from its training split; a network goes on from what it knows."""
        ...

    def named(self, images: Tensor) -> Tensor:
        """Class numbers, int64 (N,), of uint8 images (N, C, H, W)."""
        ...

    @property
    def bytes(self) -> int:
        """Size of what was learned."""
        ...


class NetworkLearner:
    """A network, trained by gradient descent; it can go on learning.

    Args:
        model: takes images (N, C, H, W), normalised, and gives logits (N, K).
        data: what it will see; mean and std are taken from it.
        recipe: without epochs and seed.
    """

    def __init__(self, model: nn.Module, data: Dataset, recipe: Recipe) -> None:
        self.model, self._recipe = model, recipe
        self._mean, self._std = data.mean, data.std

    def learn(self, data: Dataset, *, epochs: int, seed: int) -> Going:
        """See `Learner`."""
        yield from train_alone(self.model, data, replace(self._recipe, epochs=epochs, seed=seed))

    def named(self, images: Tensor) -> Tensor:
        """See `Learner`."""
        device = next(self.model.parameters()).device
        with torch.inference_mode():
            inputs = normalise(
                images.to(device), self._mean, self._std, torch.float32, torch.contiguous_format
            )
            return torch.cat([self.model(part).argmax(dim=1) for part in inputs.split(500)]).cpu()

    @property
    def bytes(self) -> int:
        """Of its parameters and buffers."""
        return sum(value.numel() * value.element_size() for value in self.model.state_dict().values())


class TableLearner:
    """One of scikit-learn, for which an image is a row of numbers; it learns all at once, and cannot go on.

    Args:
        make: gives it fresh, for a seed.
    """

    def __init__(self, make: "Callable[[int], ClassifierMixin]") -> None:
        self._make = make
        self._made: ClassifierMixin | None = None

    def learn(self, data: Dataset, *, epochs: int, seed: int) -> Going:
        """Learn anew; epochs mean nothing to it."""
        self._made = self._make(seed)
        yield 0, 1
        self._fitted.fit(_rows(data.train.images), data.train.labels.numpy())
        yield 1, 1

    def named(self, images: Tensor) -> Tensor:
        """See `Learner`."""
        return torch.from_numpy(np.asarray(self._fitted.predict(_rows(images)), np.int64))

    @property
    def bytes(self) -> int:
        """Of its pickle."""
        return len(pickle.dumps(self._made))

    @property
    def _fitted(self) -> Any:
        assert self._made is not None, "learn first"
        return self._made


def _rows(images: Tensor) -> np.ndarray:
    """(N, pixels) float32, 0 to 1."""
    return images.flatten(1).cpu().numpy().astype(np.float32) / 255


@dataclass(frozen=True)
class Kind:
    """A kind of learner.

    Attributes:
        name: for people.
        sees: ``"pixels in places"`` where it knows which pixels are neighbours, ``"a row of numbers"`` where not.
        make: a fresh one for data and a seed.
        goes_on: whether it can learn further from what it knows.
    """

    name: str
    sees: Literal["pixels in places", "a row of numbers"]
    make: Callable[[Dataset, int], Learner]
    goes_on: bool


class VisionTransformer(nn.Module):
    """Patches as tokens, a few layers of attention before the norm, the mean of all tokens as answer.

    Args:
        shape: (C, H, W) of the images.
        classes: number of logits.
        width: numbers of each token.
        depth: layers.
        heads: of attention.

    Reference:
        arXiv:2010.11929, section 3.1; with a mean instead of a class token.
    """

    def __init__(
        self, shape: tuple[int, ...], classes: int, width: int = 48, depth: int = 3, heads: int = 4
    ) -> None:
        super().__init__()
        side = max(1, min(shape[1:]) // 7) if min(shape[1:]) >= 14 else 2  # about seven patches a side
        self.patches = nn.Conv2d(shape[0], width, side, side)
        count = (shape[1] // side) * (shape[2] // side)
        self.places = nn.Parameter(0.02 * torch.randn(1, count, width))
        self.layers = nn.ModuleList([_AttentionLayer(width, heads) for _ in range(depth)])
        self.norm = nn.LayerNorm(width)
        self.fc = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Images (N, C, H, W) -> logits (N, K)."""
        x = self.patches(x).flatten(2).transpose(1, 2) + self.places  # (N, T, width)
        for layer in self.layers:
            x = layer(x)
        return self.fc(self.norm(x).mean(dim=1))


class _AttentionLayer(nn.Module):
    """Attention and a perceptron, each with a norm before and a shortcut around."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, width) -> the same."""
        q, k, v = (
            self.qkv(self.norm1(x)).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        )  # (N, heads, T, width / heads) each
        met = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = x + self.out(met)
        return x + self.mlp(self.norm2(x))


def plain_cnn(shape: tuple[int, ...], classes: int) -> nn.Module:
    """Two convolutions with pooling and two linear layers, as beginners' courses have it."""
    pixels = (shape[1] // 4) * (shape[2] // 4)
    return nn.Sequential(
        nn.Conv2d(shape[0], 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * pixels, 64),
        nn.ReLU(),
        nn.Linear(64, classes),
    )


def perceptron(shape: tuple[int, ...], classes: int) -> nn.Module:
    """Three hidden layers of 256, 128 and 64."""
    sizes = (shape[0] * shape[1] * shape[2], 256, 128, 64)
    layers: list[nn.Module] = [nn.Flatten()]
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], classes))


def kinds(depth: int, width: int, trees: int, rounds: int) -> tuple[Kind, ...]:
    """All kinds, the residual network last.

    Args:
        depth: of the residual network, 6n+2.
        width: channels of its first stage.
        trees: of the forest.
        rounds: of boosting, at the rate that XGBoost has by default.
    """
    adam = _recipe("adamw", 0.001)

    def network(make: Callable[[Dataset], nn.Module], recipe: Recipe) -> Callable[[Dataset, int], Learner]:
        def made(data: Dataset, seed: int) -> Learner:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                return NetworkLearner(make(data), data, recipe)

        return made

    def residual(data: Dataset, seed: int) -> Learner:
        one = resnet(depth=depth, width=width, in_channels=data.input_shape[0], num_classes=len(data.classes))
        return NetworkLearner(fresh_network(one, seed), data, _recipe("sgd", 0.1))

    return (
        Kind("logistic regression", "a row of numbers", _table(_logistic), False),
        Kind("random forest", "a row of numbers", _table(lambda seed: _forest(seed, trees)), False),
        Kind("gradient boosting", "a row of numbers", _table(lambda seed: _boosting(seed, rounds)), False),
        Kind(
            "perceptron",
            "a row of numbers",
            network(lambda data: perceptron(data.input_shape, len(data.classes)), adam),
            True,
        ),
        Kind(
            "plain CNN",
            "pixels in places",
            network(lambda data: plain_cnn(data.input_shape, len(data.classes)), adam),
            True,
        ),
        Kind(
            "vision transformer",
            "pixels in places",
            network(lambda data: VisionTransformer(data.input_shape, len(data.classes)), adam),
            True,
        ),
        Kind("residual network", "pixels in places", residual, True),
    )


def _recipe(optimizer: Literal["sgd", "adamw"], rate: float) -> Recipe:
    return Recipe(
        optimizer=optimizer,
        learning_rate=rate,
        schedule="one_cycle",
        weight_decay=1e-4 if optimizer == "sgd" else 0.01,
        batch_size=64,
        precision="fp32",
        compile="off",
        channels_last=False,
    )


def _table(make: "Callable[[int], ClassifierMixin]") -> Callable[[Dataset, int], Learner]:
    return lambda data, seed: TableLearner(make)


def _logistic(seed: int) -> "ClassifierMixin":
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=100, tol=1e-3, random_state=seed)


def _forest(seed: int, trees: int) -> "ClassifierMixin":
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(trees, random_state=seed, n_jobs=1)


def _boosting(seed: int, rounds: int) -> "ClassifierMixin":
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        max_iter=rounds, learning_rate=0.3, early_stopping=False, random_state=seed
    )
