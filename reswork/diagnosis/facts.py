"""`Facts`: what the rules are asked about, collected once, as plain numbers that JSON can hold."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal, Self, TypeVar, get_args

import numpy as np

from reswork.models.config import ResNetConfig
from reswork.training.recipe import Recipe

Part = Literal["settings", "course", "weights", "signals", "answers", "data"]
PARTS: tuple[Part, ...] = get_args(Part)
Kind = TypeVar("Kind")
_DIGITS = 5  # significant ones that a record keeps


@dataclass(frozen=True, eq=False)
class _Record:
    """Numbers, texts and arrays; lists become arrays where an array belongs."""

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if each.type is np.ndarray:
                object.__setattr__(self, each.name, np.asarray(value, np.float64))
            elif isinstance(value, list):  # as JSON has it
                object.__setattr__(self, each.name, tuple(value))

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {each.name: _plain(getattr(self, each.name)) for each in fields(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The other way round."""
        return cls(**values)


@dataclass(frozen=True, eq=False)
class Settings(_Record):
    """What was asked for."""

    recipe: Recipe | None = None
    config: ResNetConfig | None = None
    total_steps: int = 0

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        recipe, config = self.recipe, self.config
        return {
            "recipe": None if recipe is None else recipe.to_dict(),
            "config": None if config is None else config.to_dict(),
            "total_steps": self.total_steps,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The other way round."""
        recipe, config = values["recipe"], values["config"]
        return cls(
            None if recipe is None else Recipe.from_dict(recipe),
            None if config is None else ResNetConfig.from_dict(config),
            values["total_steps"],
        )


@dataclass(frozen=True, eq=False)
class Course(_Record):
    """How a training went: series of its history, thinned. n steps, m measurements of L layers, k of B blocks."""

    classes: int = 0
    steps: np.ndarray = field(default_factory=lambda: np.zeros(0))  # (n,)
    loss: np.ndarray = field(default_factory=lambda: np.zeros(0))  # (n,)
    score: np.ndarray = field(default_factory=lambda: np.zeros(0))  # (n,) of the batches
    rates: np.ndarray = field(default_factory=lambda: np.zeros(0))  # (r,) evenly over the run
    test_loss: np.ndarray = field(default_factory=lambda: np.zeros(0))  # of each epoch
    test_score: np.ndarray = field(default_factory=lambda: np.zeros(0))
    layers: tuple[str, ...] = ()
    gradients: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))  # (m, L) norms
    updates: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))  # (m, L) |dw| / |w|
    norms: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))  # (m, L) |w|
    branch: np.ndarray = field(
        default_factory=lambda: np.zeros((0, 0))
    )  # (k, B) root mean square; NaN without
    shortcut: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))  # (k, B)
    failure: str = ""  # what ended it


@dataclass(frozen=True, eq=False)
class Weights(_Record):
    """What stands in the network itself: L layers with weights, B batch norms."""

    layers: tuple[str, ...] = ()
    trainable: np.ndarray = field(default_factory=lambda: np.zeros(0))  # (L,) 0 or 1
    sizes: np.ndarray = field(default_factory=lambda: np.zeros(0))  # (L,) numbers in each
    norms: np.ndarray = field(default_factory=lambda: np.zeros(0))  # (L,)
    finite: bool = True
    half: str = ""  # "bfloat16" or "float16" where the weights are kept so
    batch_norms: tuple[str, ...] = ()
    untouched: np.ndarray = field(default_factory=lambda: np.zeros(0))  # (B,) mean 0 and variance 1 still
    stuck: tuple[str, ...] = ()  # layers that eval() leaves in training mode
    dropout: float = 0.0  # the largest chance of any dropout layer
    altered: tuple[str, ...] = ()  # layers that are not as the network's own settings say


@dataclass(frozen=True, eq=False)
class Signals(_Record):
    """What one batch of training images does in training mode: L layers, B blocks, S batch norms."""

    layers: tuple[str, ...] = ()
    gradients: np.ndarray = field(default_factory=lambda: np.zeros(0))  # (L,) norms
    lost: np.ndarray = field(default_factory=lambda: np.zeros(0))  # (L,) share of updates below half a unit
    blocks: tuple[str, ...] = ()
    dead: np.ndarray = field(default_factory=lambda: np.zeros(0))  # (B,) share of channels
    branch: np.ndarray = field(default_factory=lambda: np.zeros(0))  # (B,) root mean square; NaN without
    shortcut: np.ndarray = field(default_factory=lambda: np.zeros(0))  # (B,)
    identity: np.ndarray = field(default_factory=lambda: np.zeros(0))  # (B,) 1 where x itself is added
    norms: tuple[str, ...] = ()
    mismatch: np.ndarray = field(default_factory=lambda: np.zeros(0))  # (S,) kept against the batch's


@dataclass(frozen=True, eq=False)
class Answers(_Record):
    """What the network says to images of both splits, in evaluation mode unless it says otherwise."""

    classes: int = 0
    train_loss: float = np.nan
    train_score: float = np.nan
    test_loss: float = np.nan
    test_score: float = np.nan
    training_mode_score: float = np.nan  # of the training images, with the batch's own statistics
    training_mode_loss: float = np.nan
    confidence: float = np.nan  # mean highest probability, training images
    named: np.ndarray = field(default_factory=lambda: np.zeros(0))  # (K,) how often each class is the answer
    spread: float = np.nan  # of a logit over images, mean over classes
    range: float = np.nan  # highest logit above the mean of the others, mean over images
    scaled: float = np.nan  # deviation of the answers over that of what the last layer with weights gives
    low: float = np.nan  # smallest and largest output, and how far sums of an image are from 1
    high: float = np.nan
    sum_error: float = np.nan
    drift: float = np.nan  # between two passes over the same images, 0 to 1
    doubtful: float = np.nan  # share of training labels that network and neighbours both contradict
    doubtful_test: float = np.nan  # the same of the test labels
    matched_score: float = np.nan  # test score after the best renaming of the classes
    channel_score: float = np.nan  # test score with the best other order of channels
    channel_order: tuple[int, ...] = ()
    augmented_score: float = np.nan  # of the training images as the recipe augments them


@dataclass(frozen=True, eq=False)
class DataFacts(_Record):
    """What the data set itself says; C channels, K classes."""

    classes: int = 0
    images: int = 0
    test_images: int = 0
    counts: np.ndarray = field(default_factory=lambda: np.zeros(0))  # (K,) training images of each class
    test_counts: np.ndarray = field(default_factory=lambda: np.zeros(0))  # (K,) none: not counted
    input_mean: np.ndarray = field(default_factory=lambda: np.zeros(0))  # (C,) as the network sees it
    input_std: np.ndarray = field(default_factory=lambda: np.zeros(0))
    test_mean: np.ndarray = field(default_factory=lambda: np.zeros(0))
    test_std: np.ndarray = field(default_factory=lambda: np.zeros(0))
    blank: float = 0.0  # share of training images that are of nearly one grey
    neighbours: float = np.nan  # share of training images with the label of their nearest other
    neighbours_test: float = np.nan
    neighbours_matched: float = np.nan  # the same after the best renaming of the classes
    contrast_left: float = np.nan  # by the augmentation, mean over training images
    copies: float = 0.0  # share of test images that stand among the training images
    mean: tuple[float, ...] = ()  # as the data set declares them, and as the pixels have them
    std: tuple[float, ...] = ()
    true_mean: tuple[float, ...] = ()
    true_std: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False)
class Facts:
    """All of it; a part that could not be had is None, and ``missing`` says why.

    Example:
        >>> facts = Facts(data=DataFacts(classes=2, counts=np.array([90.0, 10.0])))
        >>> Facts.from_dict(facts.to_dict()).data.counts.tolist()
        [90.0, 10.0]
    """

    settings: Settings | None = None
    course: Course | None = None
    weights: Weights | None = None
    signals: Signals | None = None
    answers: Answers | None = None
    data: DataFacts | None = None
    missing: Mapping[str, str] = field(default_factory=dict)
    _kinds: ClassVar[dict[str, type[_Record]]] = {
        "settings": Settings, "course": Course, "weights": Weights, "signals": Signals, "answers": Answers,
        "data": DataFacts,
    }  # fmt: skip

    @property
    def weights_per_image(self) -> float:
        """Numbers in the layers for each training image; NaN where one of both is not known."""
        if self.weights is None or self.data is None:
            return np.nan
        return float(self.weights.sizes.sum() / max(1, self.data.images))

    def to_dict(self) -> dict[str, Any]:
        """As JSON values, numbers rounded to five digits."""
        parts = {str(name): getattr(self, name) for name in PARTS}
        told = {name: None if part is None else part.to_dict() for name, part in parts.items()}
        return {**told, "missing": dict(self.missing)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The other way round."""
        parts = {
            name: None if values[name] is None else kind.from_dict(values[name])
            for name, kind in cls._kinds.items()
        }
        return cls(**parts, missing=values["missing"])  # type: ignore[arg-type]


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return [_plain(row) for row in value]
    if isinstance(value, float | np.floating):
        return float(f"{float(value):.{_DIGITS}g}")
    return list(value) if isinstance(value, tuple) else value


def known(part: Kind | None) -> Kind:
    """A part that a rule needs, and that it is therefore asked with."""
    if part is None:
        raise TypeError("a rule was asked without a part that it needs")
    return part
