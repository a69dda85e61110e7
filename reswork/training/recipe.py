"""`Recipe`: the settings of a training, checked, frozen and readable from JSON."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Self, get_args

from reswork.datasets.augmentation import Augmentation
from reswork.errors import InvalidSetting
from reswork.models.channel_rows import split_channels
from reswork.settings_text import settings_from

OptimizerName = Literal["sgd", "adam", "adamw", "muon"]
ScheduleName = Literal["constant", "step", "cosine", "one_cycle"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
Switch = Literal["auto", "on", "off"]
NormStatistics = Literal["batch", "kept"]

_FORMER = {"target_accuracy": "target_score"}  # names in files that were written before
_LARGEST = 1e300  # whole numbers beyond cannot be compared with others as floats


class LayerNumbers(Mapping[str, float]):
    """A number for each of some layers, by layer name; a dict that stays as it is and can be hashed.

    Example:
        >>> LayerNumbers({"layer1": 0.1, "fc": 1.0})
        {'fc': 1.0, 'layer1': 0.1}
    """

    def __init__(self, values: Mapping[str, float] | None = None) -> None:
        self._values = dict(sorted((values or {}).items()))

    def __getitem__(self, layer: str) -> float:
        return self._values[layer]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __hash__(self) -> int:
        return hash(tuple(self._values.items()))

    def __repr__(self) -> str:
        return repr(self._values)


def innermost(name: str, layers: Iterable[str]) -> str | None:
    """The longest of some layer names that is a layer or weight itself, or that it lies within; None: there is none.

    Example:
        >>> innermost("layer1.0.conv1.weight", ("layer1", "layer1.0", "layer10", "fc"))
        'layer1.0'
    """
    around = [layer for layer in layers if name == layer or name.startswith(f"{layer}.")]
    return max(around, key=len, default=None)


@dataclass(frozen=True)
class Recipe:
    """Everything that decides how a network is trained; equal recipes give equal losses.

    The defaults follow He et al.: SGD with momentum 0.9, learning rate 0.1, weight decay 1e-4, batches
    of 128. Adam and AdamW want a learning rate near 0.001 and read ``momentum`` as their first beta; Muon wants one
    near 0.01.

    Args:
        epochs: passes over the training split; not used where ``steps`` is given.
        steps: optimizer updates; None: as the epochs make it.
        batch_size: images per update. The last, smaller batch of an epoch is left out (other images
            each time); a training split smaller than a batch is one batch.
        optimizer: ``"sgd"``, ``"adam"``, ``"adamw"`` or ``"muon"``, which is AdamW for the first and the last layer,
            norms and biases, and makes the steps of all other weights orthogonal: see `reswork.training.muon`.
        learning_rate: peak of the schedule.
        momentum: fraction of the last update that is kept, 0 to below 1.
        nesterov: look ahead along the momentum; SGD only.
        weight_decay: pull of the weights towards zero, per unit of learning rate.
        decay_norm_and_bias: False spares norms' and biases' parameters (those of one dimension) the decay.
        schedule: course of the learning rate; see `reswork.training.schedules`.
        warmup_epochs: epochs of linear rise at the beginning, fractions allowed.
        milestones: fractions of the run at which ``"step"`` lowers the rate.
        decay_factor: what ``"step"`` multiplies it by.
        label_smoothing: share of each target spread over all classes, 0 to below 1.
        mixup: alpha of the beta distribution that mixes pairs of images; 0: none.
        clip_norm: largest norm of all gradients together; None: as it comes.
        ema: decay of an exponential moving average of the weights, which is what gets evaluated, such
            as 0.999; None: none.
        augmentation: what is done to training images.
        image_scale: side of the training images at the beginning, as a share of their own, such as 0.5; 1: as they
            are. Smaller images cost less: a quarter at half of the side. They are made smaller after the augmentation
            and grow by 4 pixels at a time; evaluations take all images as they are.
        full_size_at: fraction of the run from which on training images have their own size.
        seed: of all the randomness.
        deterministic: only algorithms that repeat to the bit, and a mode chosen by rule, not by timing.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"`` ...
        precision: of the matrix work; ``"fp16"`` scales the loss.
        channels_last: memory format of images and weights.
        compile: torch.compile; ``"auto"``: in a run of more than 20 minutes that it pays for, after the first
            20 steps; ``"on"``: from the first step on. Where the compiler fails the run goes on without it.
        accumulate: parts that each batch is cut into to need less memory; the update stays one per
            batch, batch norm sees each part by itself.
        checkpoint_activations: compute blocks twice instead of keeping their activations.
        target_score: value of the task's headline metric on the test split, such as an accuracy of 0.9, whose first
            reaching is noted as convergence.
        layer_rates: factors on the learning rate of some layers and all that is in them, such as
            ``{"layer1": 0.1, "fc": 10}``, by layer name (the dotted `named_modules` path); the longest name
            that fits decides, and layers that none fits have the rate itself.
        frozen: layers that stand still with all that is in them, such as ``("conv1", "bn1", "layer1")``: no
            gradient, no weight decay, and their norms keep the statistics that they came with. Single channels of
            a convolution, linear layer or norm: ``"layer1.0.conv1[3, 7]"``.
        unfreeze_epochs: epochs after which frozen layers, or parts of them, join the training, fractions
            allowed, such as ``{"layer1": 2}``. The optimizer begins afresh for them; the rate is the
            schedule's of that step.
        norm_statistics: ``"batch"``: norms that learn use the mean and variance of each batch, and their running
            statistics follow, as is usual. ``"kept"``: all norms keep the running statistics that they came with and
            use these, while their weights may learn; for networks that were trained before, and batches too small
            to be measured.
        class_weights: what each class counts in the training loss, which becomes the weighted mean:
            ``"balanced"`` (rare classes more, see `reswork.training.class_weights`), a number above 0 for each
            class, or None: all alike. The loss of an evaluation counts all alike.

    Raises:
        InvalidSetting: naming the field, the value, what is accepted.

    Example:
        >>> Recipe(epochs=2) == Recipe.from_json(Recipe(epochs=2).to_json())
        True
    """

    epochs: int = 5
    steps: int | None = None
    batch_size: int = 128
    optimizer: OptimizerName = "sgd"
    learning_rate: float = 0.1
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 1e-4
    decay_norm_and_bias: bool = True
    schedule: ScheduleName = "cosine"
    warmup_epochs: float = 0.0
    milestones: tuple[float, ...] = (0.5, 0.75)
    decay_factor: float = 0.1
    label_smoothing: float = 0.0
    mixup: float = 0.0
    clip_norm: float | None = None
    ema: float | None = None
    augmentation: Augmentation = field(default_factory=Augmentation)
    image_scale: float = 1.0
    full_size_at: float = 0.5
    seed: int = 0
    deterministic: bool = False
    device: str = "auto"
    precision: Precision = "auto"
    channels_last: bool | Literal["auto"] = "auto"
    compile: Switch = "auto"
    accumulate: int = 1
    checkpoint_activations: bool = False
    target_score: float | None = None
    layer_rates: Mapping[str, float] = field(default_factory=LayerNumbers)
    frozen: tuple[str, ...] = ()
    unfreeze_epochs: Mapping[str, float] = field(default_factory=LayerNumbers)
    norm_statistics: NormStatistics = "batch"
    class_weights: Literal["balanced"] | tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        for name in ("milestones", "frozen", "class_weights"):
            value: object = getattr(self, name)
            if isinstance(value, list):  # as JSON has it
                object.__setattr__(self, name, tuple(value))
        self._check_sizes()
        self._check_numbers()
        self._check_choices()
        self._check_layers()
        for name in ("layer_rates", "unfreeze_epochs"):
            object.__setattr__(self, name, LayerNumbers(getattr(self, name)))

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON values."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        lists = {name: list(value) for name, value in values.items() if isinstance(value, tuple)}
        dicts = {name: dict(value) for name, value in values.items() if isinstance(value, LayerNumbers)}
        return {**values, **lists, **dicts, "augmentation": self.augmentation.to_dict()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The recipe that `to_dict` described; fields that are missing keep their defaults."""
        known = {each.name for each in fields(cls)}
        data = {_FORMER.get(name, name): value for name, value in data.items()}
        for name in data:
            if name not in known:
                raise InvalidSetting(
                    name, f"{name} is not a setting of a recipe; choose {', '.join(sorted(known))}"
                )
        values = dict(data)
        if isinstance(values.get("augmentation"), Mapping):
            values["augmentation"] = Augmentation.from_dict(values["augmentation"])
        return cls(**values)

    def to_json(self) -> str:
        """The settings as JSON text."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The recipe that `to_json` wrote.

        Raises:
            InvalidSetting: for a text that describes no recipe.
        """
        return cls.from_dict(settings_from(text, "recipe", "a recipe"))

    def _check_sizes(self) -> None:
        _whole("epochs", self.epochs, 1)
        _whole("batch_size", self.batch_size, 2)
        _whole("seed", self.seed, 0)
        _whole("accumulate", self.accumulate, 1)
        if self.steps is not None:
            _whole("steps", self.steps, 1)
        if self.seed >= 2**63:
            raise InvalidSetting("seed", f"seed={self.seed} is too large; choose a whole number below 2**63")
        if 2 * self.accumulate > self.batch_size:
            raise InvalidSetting(
                "accumulate",
                f"accumulate={self.accumulate} cuts batches of {self.batch_size} into parts of "
                f"fewer than two images, which batch norm cannot use; choose at most {self.batch_size // 2}",
            )

    def _check_numbers(self) -> None:
        for name in ("learning_rate", "momentum", "weight_decay"):
            check_live_setting(name, getattr(self, name))
        _between("warmup_epochs", self.warmup_epochs, 0.0, math.inf)
        _between("label_smoothing", self.label_smoothing, 0.0, 1.0)
        _between("mixup", self.mixup, 0.0, 100.0)
        _between("decay_factor", self.decay_factor, 0.0, 1.0, closed=True)
        if self.clip_norm is not None:
            _above_zero("clip_norm", self.clip_norm)
        if self.ema is not None:
            _between("ema", self.ema, 0.0, 1.0)
        if self.target_score is not None:
            _between("target_score", self.target_score, 0.0, 1.0, closed=True)
        for name in ("image_scale", "full_size_at"):
            _above_zero(name, getattr(self, name))
            _between(name, getattr(self, name), 0.0, 1.0, closed=True)
        given = self.milestones
        fractions = isinstance(given, tuple) and all(isinstance(x, float) and 0 < x < 1 for x in given)
        if not fractions or list(given) != sorted(given):
            raise InvalidSetting(
                "milestones",
                f"milestones={self.milestones} must be growing fractions of the run between 0 and 1, "
                "such as (0.5, 0.75)",
            )

    def _check_choices(self) -> None:
        _one_of("optimizer", self.optimizer, get_args(OptimizerName))
        _one_of("schedule", self.schedule, get_args(ScheduleName))
        _one_of("precision", self.precision, get_args(Precision))
        _one_of("compile", self.compile, get_args(Switch))
        _one_of("norm_statistics", self.norm_statistics, get_args(NormStatistics))
        _one_of("channels_last", self.channels_last, (True, False, "auto"))
        for name in ("nesterov", "decay_norm_and_bias", "deterministic", "checkpoint_activations"):
            _one_of(name, getattr(self, name), (True, False))
        if not isinstance(self.augmentation, Augmentation):
            raise InvalidSetting(
                "augmentation", f"augmentation={self.augmentation!r} must be an Augmentation"
            )
        if not isinstance(self.device, str) or not self.device:
            raise InvalidSetting(
                "device", f"device={self.device!r} must be a name such as 'auto', 'cpu' or 'cuda'"
            )
        if self.image_scale < 1 and self.compile == "on":
            raise InvalidSetting(
                "image_scale",
                f"image_scale={self.image_scale!r} changes the size of the images, for each of which code is compiled "
                "anew; choose compile='off' or 'auto', or image_scale=1",
            )
        if self.nesterov and (self.optimizer != "sgd" or self.momentum == 0):
            raise InvalidSetting(
                "nesterov", "nesterov=True needs optimizer='sgd' and a momentum above 0, such as momentum=0.9"
            )

    def _check_layers(self) -> None:
        if not _are_names(self.frozen):
            raise InvalidSetting(
                "frozen", f"frozen={self.frozen!r} must be layer names, such as ('conv1', 'bn1', 'layer1')"
            )
        whole = [layer for layer, channels in map(_split_frozen, self.frozen) if not channels]
        for name, what in (
            ("layer_rates", "factor on the learning rate"),
            ("unfreeze_epochs", "number of epochs"),
        ):
            _layer_numbers(name, getattr(self, name), what)
        for layer in self.unfreeze_epochs:
            if innermost(layer, whole) is None:
                raise InvalidSetting(
                    "unfreeze_epochs",
                    f"unfreeze_epochs names {layer!r}, which is not frozen; name one of "
                    f"frozen={tuple(whole)!r} or what is within, or freeze it too",
                )
        weights = self.class_weights
        are_numbers = isinstance(weights, tuple) and bool(weights) and all(map(_is_above_zero, weights))
        if not (weights is None or weights == "balanced" or are_numbers):
            raise InvalidSetting(
                "class_weights",
                f"class_weights={weights!r} must be 'balanced', a number above 0 for each class, or None",
            )


def steps_per_epoch(recipe: Recipe, images: int) -> int:
    """Optimizer updates in one pass over so many training images."""
    return max(1, images // recipe.batch_size)


def total_steps(recipe: Recipe, images: int) -> int:
    """Optimizer updates of the whole run on so many training images."""
    return recipe.steps if recipe.steps is not None else recipe.epochs * steps_per_epoch(recipe, images)


def check_live_setting(name: str, value: object) -> None:
    """Refuse a learning rate, momentum or weight decay that no optimizer can use."""
    if name == "learning_rate":
        _above_zero(name, value)
    elif name == "momentum":
        _between(name, value, 0.0, 1.0)
    elif name == "weight_decay":
        _between(name, value, 0.0, math.inf)
    else:
        raise InvalidSetting(
            name,
            f"{name} cannot be changed while a run goes on; choose learning_rate, momentum or weight_decay",
        )


def _split_frozen(name: str) -> tuple[str, tuple[int, ...]]:
    try:
        return split_channels(name)
    except InvalidSetting as error:
        raise InvalidSetting("frozen", error.message) from None


def _are_names(values: object) -> bool:
    return isinstance(values, tuple) and all(isinstance(each, str) and each for each in values)


def _layer_numbers(name: str, values: object, what: str) -> None:
    """Refuse what is not a number above 0 for each layer."""
    if not isinstance(values, Mapping) or not _are_names(tuple(values)):
        raise InvalidSetting(
            name, f"{name}={values!r} must give layers by name a {what}, such as {{'fc': 2}}"
        )
    for layer, value in values.items():
        if not _is_above_zero(value):
            raise InvalidSetting(
                name,
                f"{name} gives {layer!r} {value!r}; the {what} must be above 0, and a layer that shall not learn "
                "belongs in frozen",
            )


def _is_above_zero(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= _LARGEST


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _LARGEST:
        raise InvalidSetting(name, f"{name}={value!r} is not a finite number")
    return value


def _whole(name: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InvalidSetting(name, f"{name}={value!r} must be a whole number of at least {least}")


def _above_zero(name: str, value: object) -> None:
    if _number(name, value) <= 0:
        raise InvalidSetting(name, f"{name}={value!r} must be above 0")


def _between(name: str, value: object, low: float, high: float, *, closed: bool = False) -> None:
    number = _number(name, value)
    if number < low or number > high or (number == high and not closed):
        span = f"at least {low:g}" if math.isinf(high) else f"{low:g} to {'' if closed else 'below '}{high:g}"
        raise InvalidSetting(name, f"{name}={value!r} must be {span}")


def _one_of(name: str, value: object, choices: tuple[object, ...]) -> None:
    if not any(value is choice or (isinstance(value, str) and value == choice) for choice in choices):
        raise InvalidSetting(name, f"{name}={value!r} is unknown; choose {', '.join(map(repr, choices))}")
