"""What can be set of a study: numbers and words with a range, checked when they are given."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Self

from reswork.errors import InvalidSetting

if TYPE_CHECKING:
    from reswork.datasets.dataset import Dataset
    from reswork.models.config import ResNetConfig
    from reswork.training.recipe import Recipe


def setting(
    default: Any,
    label: str,
    what: str,
    *,
    least: float | None = None,
    most: float | None = None,
    choices: tuple[Any, ...] = (),
) -> Any:
    """A field of `Settings`.

    Args:
        default: the toy's value.
        label: as a form shows it.
        what: one sentence on what it does.
        least: smallest number that is accepted.
        most: largest.
        choices: the values that are accepted; empty: any number in the range.
    """
    about = {"label": label, "what": what, "least": least, "most": most, "choices": choices}
    return field(default=default, metadata=about)


@dataclass(frozen=True)
class Settings:
    """Of one study; the defaults are the toy, which takes seconds.

    Raises:
        InvalidSetting: naming the field, the value and what is accepted.
    """

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, list | range):
                value = tuple(value)
                object.__setattr__(self, each.name, value)
            if isinstance(each.default, float) and type(value) is int and abs(value) < 2**53:
                value = float(value)  # a form reads "1", and equal settings are kept as one
                object.__setattr__(self, each.name, value)
            _check(each.name, value, each.default, each.metadata)

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON values."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The other way round; a missing field keeps its default.

        Raises:
            InvalidSetting: for a field that there is not, or a wrong value.
        """
        known = [each.name for each in fields(cls)]
        for name in values:
            if name not in known:
                raise InvalidSetting(
                    str(name), f"{name!r} is not a setting of this study; choose {', '.join(known)}"
                )
        return cls(**values)


@dataclass(frozen=True)
class NetworkSettings(Settings):
    """What all studies have that train networks of the CIFAR form, however they do it."""

    width: int = setting(8, "Width", "channels of the first stage; the paper has 16", least=1, most=128)
    data: str = setting("digits", "Data", "what the networks learn", choices=("digits", "fashion", "cifar10"))
    epochs: int = setting(12, "Epochs", "passes over the training images", least=1, most=1000)
    augment: bool = setting(False, "Augment", "crops and mirror images, as in the paper")
    seeds: int = setting(
        3, "Seeds", "trainings of each kind; fewer than three leave the question open", least=1, most=50
    )

    def recipe(self, seed: int = 0, **more: Any) -> "Recipe":
        """How one of the networks is trained; all else as in He et al., section 4.2."""
        from reswork.datasets.augmentation import Augmentation
        from reswork.training.recipe import Recipe

        return Recipe(
            epochs=self.epochs,
            augmentation=Augmentation(crop_padding=4, flip=True) if self.augment else Augmentation(),
            seed=seed,
            precision="fp32",
            compile="off",
            channels_last=False,
            **more,
        )

    def dataset(self) -> "Dataset":
        """What is learned."""
        from reswork.datasets.loading import load

        return load(self.data)

    def config(self, depth: int, *, residual: bool = True, **more: Any) -> "ResNetConfig":
        """A network for that data."""
        from reswork.models.config import ResNetConfig

        channels = 3 if self.data == "cifar10" else 1
        return ResNetConfig(depth=depth, residual=residual, width=self.width, in_channels=channels, **more)


@dataclass(frozen=True)
class TrainingSettings(NetworkSettings):
    """With one learning rate and one schedule for all networks of a study."""

    learning_rate: float = setting(0.1, "Learning rate", "its peak", least=1e-6, most=10)
    schedule: str = setting(
        "one_cycle",
        "Schedule",
        "course of the learning rate; the paper: step",
        choices=("one_cycle", "cosine", "step"),
    )

    def recipe(self, seed: int = 0, **more: Any) -> "Recipe":
        """How one of the networks is trained."""
        return super().recipe(seed, learning_rate=self.learning_rate, schedule=self.schedule, **more)


@dataclass(frozen=True)
class SmallBatchSettings(TrainingSettings):
    """For studies whose networks are deep and many: more steps from the same number of images."""

    batch_size: int = setting(32, "Batch", "images of a step; the paper has 128", least=8, most=1024)

    def recipe(self, seed: int = 0, **more: Any) -> "Recipe":
        """As of all, with batches of that size."""
        return super().recipe(seed, batch_size=self.batch_size, **more)


PAPER: dict[str, Any] = {
    "width": 16,
    "data": "cifar10",
    "epochs": 164,
    "schedule": "step",
    "augment": True,
}  # He 2015, section 4.2


def _check(name: str, value: Any, default: Any, about: Mapping[str, Any]) -> None:
    if about["choices"]:
        for each in value if isinstance(default, tuple) else (value,):
            if each not in about["choices"]:
                raise InvalidSetting(
                    name, f"{name}={each!r} is unknown; choose {', '.join(map(repr, about['choices']))}"
                )
        if value == ():
            raise InvalidSetting(name, f"{name} is empty; give at least one")
    elif isinstance(default, tuple):
        if not isinstance(value, tuple) or not value:
            raise InvalidSetting(name, f"{name}={value!r} must be one or several numbers, such as {default}")
        if len(set(value)) < len(value):
            raise InvalidSetting(name, f"{name}={value!r} names a number twice; give each once")
        for each in value:
            _check_number(name, each, default[0], about)
    elif isinstance(default, bool):
        if not isinstance(value, bool):
            raise InvalidSetting(name, f"{name}={value!r} must be True or False")
    else:
        _check_number(name, value, default, about)


def _check_number(name: str, value: Any, default: Any, about: Mapping[str, Any]) -> None:
    whole = isinstance(default, int)
    fits = isinstance(value, int) or (isinstance(value, float) and not whole)
    least, most = about["least"], about["most"]
    if isinstance(value, bool) or not fits or not least <= value <= most:
        kind = "a whole number" if whole else "a number"
        raise InvalidSetting(name, f"{name}={value!r} must be {kind} from {least:g} to {most:g}")
