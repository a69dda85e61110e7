"""The faults: each plants itself in a plan, weakly or strongly, and names what else it truly brings about."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.doctor.plans import Plan, remade, tinted
from reswork.datasets.dataset import Split
from reswork.models.blocks import ResidualBlock
from reswork.training.events import StepDone

# strength: 0 weak, 1 strong, 2 and 3 of the second set, 4 and 5 of the third, 6 and 7 of the fourth, 8 and 9 of the
# fifth, 10 and 11 of the sixth, which only the kinds of `trainings.LABEL_KINDS` and `MISTAKEN_KINDS` have, -2 and -1 of
# the trials, which only four kinds have
Plant = Callable[[Plan, int], None]


@dataclass(frozen=True)
class Fault:
    """One kind of fault.

    Attributes:
        kind: the kind that the doctor has to find.
        plant: puts it into a plan.
        also: kinds that are as true of such a training; fixed before any rule was judged.
    """

    kind: str
    plant: Plant
    also: tuple[str, ...] = ()


FAULTS: list[Fault] = []


def _fault(*also: str) -> Callable[[Plant], Plant]:
    def add(plant: Plant) -> Plant:
        FAULTS.append(Fault(plant.__name__, plant, also))
        return plant

    return add


# a network of basic blocks, whatever those of the plan are
_BASIC: dict[str, None] = {"stage_blocks": None, "block": None}


class Wrapped(nn.Module):
    """A network with something before and behind it."""

    def __init__(
        self,
        body: nn.Module,
        before: Callable[[Tensor], Tensor] = lambda x: x,
        after: Callable[[Tensor], Tensor] = lambda x: x,
    ) -> None:
        super().__init__()
        self.body, self.before, self.after = body, before, after

    def forward(self, x: Tensor) -> Tensor:
        """Images to what comes behind."""
        return self.after(self.body(self.before(x)))


def _norms(model: nn.Module) -> list[nn.BatchNorm2d]:
    return [part for part in model.modules() if isinstance(part, nn.BatchNorm2d)]


def _blocks(model: nn.Module) -> list[ResidualBlock]:
    return [part for part in model.modules() if isinstance(part, ResidualBlock)]


@torch.no_grad()
def _scale(model: nn.Module, factor: float) -> nn.Module:
    for part in model.modules():
        if isinstance(part, nn.Conv2d):
            part.weight.mul_(factor)
    return model


# --- signals -----------------------------------------------------------------------------------------------


@_fault("underfitting")
def dead_units(plan: Plan, strength: int) -> None:
    """Norms' biases far below 0 for 60 or 90 % of the channels."""

    def before(model: nn.Module) -> nn.Module:
        with torch.no_grad():
            for norm in _norms(model):
                norm.bias[
                    : round(
                        (0.6, 0.9, 0.7, 0.85, 0.65, 0.8, 0.68, 0.86, 0.66, 0.88)[strength] * len(norm.bias)
                    )
                ] = -8.0
        return model

    plan.before = before


@_fault("underfitting")
def vanishing_gradients(plan: Plan, strength: int) -> None:
    """A plain net without norm, with sigmoids instead of ReLUs."""
    plan.config |= {
        "depth": (14, 20, 14, 26, 14, 20, 20, 32, 20, 26)[strength],
        **_BASIC,
        "residual": False,
        "norm": "none",
        "order": "post",
        "shortcut": None,
    }
    plan.recipe |= {"learning_rate": 0.02}

    def before(model: nn.Module) -> nn.Module:
        for part in model.modules():
            for name, child in part.named_children():
                if isinstance(child, nn.ReLU):
                    setattr(part, name, nn.Sigmoid())
        return model

    plan.before = before


@_fault("rate_too_high", "saturated_outputs")
def exploding_gradients(plan: Plan, strength: int) -> None:
    """A plain net without norm, whose weights begin two or three times too large."""
    plan.config |= {
        "depth": (14, 14, 20, 14, 14, 20, 14, 20, 14, 20)[strength],
        **_BASIC,
        "residual": False,
        "norm": "none",
        "order": "post",
        "shortcut": None,
    }
    plan.recipe |= {"learning_rate": 0.01}
    plan.before = lambda model: _scale(model, (2.0, 3.0, 2.5, 4.0, 2.2, 3.2, 2.3, 3.5, 2.4, 3.7)[strength])


def _branches_times(model: nn.Module, blocks: slice, factor: float) -> nn.Module:
    """What the branches of some blocks give is multiplied before it is added."""
    for block in _blocks(model)[blocks]:
        name = block.plan.branch[-1]
        setattr(block, name, nn.Sequential(getattr(block, name), Times(factor)))
    return model


class Times(nn.Module):
    """Times a number that is not learned."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return x * self.factor


class Detached(nn.Module):
    """No gradient comes back through it."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return x.detach()


@_fault()
def idle_branch(plan: Plan, strength: int) -> None:
    """The branch of the last block, or of all but the first, counts a thousandth."""
    blocks = slice(1 if strength % 2 else -1, None)
    plan.before = lambda model: _branches_times(
        model, blocks, (1e-3, 1e-3, 2e-3, 5e-4, 1.5e-3, 7e-4, 1.2e-3, 8e-4, 1.7e-3, 6e-4)[strength]
    )


@_fault()
def drowned_shortcut(plan: Plan, strength: int) -> None:
    """Every branch is multiplied by 30 or 100 before it is added."""
    plan.before = lambda model: _branches_times(
        model, slice(None), (30.0, 100.0, 40.0, 150.0, 50.0, 80.0, 35.0, 120.0, 45.0, 110.0)[strength]
    )


# --- learning rate and loss --------------------------------------------------------------------------------


@_fault("oscillating_loss", "dead_units", "no_warmup", "exploding_gradients")
def rate_too_high(plan: Plan, strength: int) -> None:
    """SGD at 5 or 30, all the way."""
    plan.recipe |= {
        "learning_rate": (5.0, 30.0, 6.0, 15.0, 5.5, 20.0, 4.5, 12.0, 7.0, 18.0, 4.0, 10.0)[strength],
        "schedule": "constant",
    }


@_fault("underfitting")
def rate_too_low(plan: Plan, strength: int) -> None:
    """SGD at 0.0003 or 0.00003."""
    plan.recipe |= {
        "learning_rate": (3e-4, 3e-5, 2e-4, 1e-5, 2.5e-4, 5e-5, 2.2e-4, 2e-5, 2.7e-4, 3.5e-5)[strength]
    }


@_fault("rate_too_high")
def no_warmup(plan: Plan, strength: int) -> None:
    """A high first rate that falls soon, without warm-up: the loss jumps, and then recovers."""
    plan.recipe |= {
        "learning_rate": (1.0, 2.0, 1.2, 2.5, 1.5, 3.0, 1.1, 2.8, 1.4, 2.3)[strength],
        "schedule": "cosine",
        "steps": 240,
    }


@_fault("underfitting")
def decayed_too_soon(plan: Plan, strength: int) -> None:
    """The rate falls to a hundredth after a tenth of the run, or after a twentieth."""
    plan.recipe |= {
        "schedule": "step", "decay_factor": 0.05, "learning_rate": 0.05,
        "milestones": ((0.06, 0.08), (0.02, 0.04), (0.05, 0.09), (0.03, 0.05), (0.07, 0.1), (0.025, 0.06),
                       (0.065, 0.09), (0.03, 0.045), (0.06, 0.085), (0.035, 0.05))[strength],
    }  # fmt: skip


@_fault("rate_too_high")
def oscillating_loss(plan: Plan, strength: int) -> None:
    """Momentum of 0.99 or 0.995 at a rate for 0.9."""
    plan.recipe |= {
        "momentum": (0.99, 0.997, 0.992, 0.995, 0.991, 0.996, 0.988, 0.994, 0.989, 0.9965, 0.985, 0.993)[
            strength
        ],
        "schedule": "constant",
        "steps": 200,
    }


@_fault("over_regularised")
def decay_kills(plan: Plan, strength: int) -> None:
    """Weight decay of 0.2 or 1 at rate 0.1."""
    plan.recipe |= {"weight_decay": (0.2, 1.0, 0.3, 0.7, 0.25, 0.5, 0.22, 0.6, 0.28, 0.8)[strength]}


# --- fit ---------------------------------------------------------------------------------------------------


@_fault()
def overfitting(plan: Plan, strength: int) -> None:
    """60 or 30 training images, learned by heart."""
    plan.data = plan.data.subset(train=(60, 30, 50, 25, 70, 40, 55, 35, 65, 45, 58, 28)[strength])


@_fault()
def underfitting(plan: Plan, strength: int) -> None:
    """Two channels, or one, in the first stage, and the others no wider."""
    plan.config |= {
        "width": (2, 1, 3, 1, 2, 1, 2, 1, 2, 1, 2, 1)[strength],
        "stage_blocks": ([1, 1], [1, 1], [1], [1, 1, 1], [1], [1, 1], [2], [2], [2, 1], [1, 2], [3], [2, 2])[strength],
        "depth": None, "form": "cifar", "block": None,
    }  # fmt: skip


@_fault("underfitting")
def over_regularised(plan: Plan, strength: int) -> None:
    """Dropout of 0.85, or labels smoothed by 0.9 with dropout 0.7."""
    plan.config |= {"dropout": (0.85, 0.7, 0.9, 0.75, 0.88, 0.8, 0.87, 0.72, 0.86, 0.78)[strength]}
    plan.recipe |= {"label_smoothing": (0.0, 0.9, 0.0, 0.8, 0.0, 0.7, 0.0, 0.85, 0.0, 0.75)[strength]}


# --- outputs -----------------------------------------------------------------------------------------------


@_fault("underfitting", "no_gradient", "dead_units")
def constant_outputs(plan: Plan, strength: int) -> None:
    """A ReLU behind the last layer, whose biases begin below 0."""

    def before(model: nn.Module) -> nn.Module:
        with torch.no_grad():
            model.fc.bias.fill_((-3.0, -10.0, -5.0, -20.0, -4.0, -15.0, -6.0, -12.0, -4.5, -18.0)[strength])  # type: ignore[union-attr]
        return Wrapped(model, after=F.relu)

    plan.before = before


@_fault("rate_too_high", "exploding_gradients", "underfitting")
def saturated_outputs(plan: Plan, strength: int) -> None:
    """The answers are multiplied by 100 or 1,000."""
    plan.before = lambda model: Wrapped(
        model,
        after=Times(
            (100.0, 1000.0, 60.0, 400.0, 80.0, 600.0, 70.0, 300.0, 90.0, 500.0, 50.0, 200.0)[strength]
        ),
    )


@_fault("underfitting")
def softmax_before_loss(plan: Plan, strength: int) -> None:
    """Sigmoids, or a softmax, behind the last layer."""
    last = (torch.sigmoid, _softmax, _steep, _twice, _gentle, _warm, _lowered, _cold, _raised, _cool)[
        strength
    ]
    plan.before = lambda model: Wrapped(model, after=last)


def _softmax(x: Tensor) -> Tensor:
    return x.softmax(1)


def _steep(x: Tensor) -> Tensor:
    return torch.sigmoid(2 * x)


def _twice(x: Tensor) -> Tensor:
    return x.softmax(1).softmax(1)


def _gentle(x: Tensor) -> Tensor:
    return torch.sigmoid(x / 2)


def _warm(x: Tensor) -> Tensor:
    return (x / 2).softmax(1)


def _lowered(x: Tensor) -> Tensor:
    return torch.sigmoid(x - 1)


def _cold(x: Tensor) -> Tensor:
    return (2 * x).softmax(1)


def _raised(x: Tensor) -> Tensor:
    return torch.sigmoid(x + 0.5)


def _cool(x: Tensor) -> Tensor:
    return (1.5 * x).softmax(1)


# --- inputs ------------------------------------------------------------------------------------------------


@_fault()
def unnormalised_inputs(plan: Plan, strength: int) -> None:
    """The mean is not taken off, or neither is done: images from 0 to 1."""
    mean, std = (np.array(each) for each in (plan.data.mean, plan.data.std))
    given = (
        (0 * mean, std), (0 * mean, 0 * std + 1), (mean / 4, std), (0 * mean, std / 2), (mean / 5, std),
        (0 * mean, 0.6 * std), (0 * mean, 0.8 * std), (0 * mean, 0.4 * std), (mean / 6, std), (0 * mean, 0.7 * std),
    )[strength]  # fmt: skip
    plan.data = replace(plan.data, mean=tuple(given[0].tolist()), std=tuple(given[1].tolist()))


@_fault("unnormalised_inputs")
def values_0_to_255(plan: Plan, strength: int) -> None:
    """Values of 0 to 255, with or without the mean."""
    channels = len(plan.data.mean)
    own, none = plan.data.mean, (0.0,) * channels
    mean = (own, none, own, (0.5,) * channels, none, own, none, own, (0.25,) * channels, none)[strength]
    plan.data = replace(
        plan.data,
        mean=mean,
        std=(1 / (255, 255, 100, 255, 150, 200, 120, 240, 130, 220)[strength],) * channels,
    )


@_fault("norm_statistics_wrong")
def test_inputs_differ(plan: Plan, strength: int) -> None:
    """Test images at half contrast, or as negatives."""
    images = plan.data.test.images
    factor = (0.4, 1.0, 0.6, 0.5, 0.5, 0.7, 0.45, 0.8, 0.55, 0.9, 0.48, 0.6)[strength]
    changed = (images.float() * factor).byte()
    changed = 255 - changed if strength % 2 else changed
    plan.data = replace(plan.data, test=Split(changed, plan.data.test.targets))


@_fault("test_inputs_differ")
def channels_swapped(plan: Plan, strength: int) -> None:
    """Training images are RGB, test images BGR, in light that is tinted a little or much."""
    data = tinted(plan.data, (0.5, 0.9, 0.6, 0.8, 0.55, 0.7, 0.52, 0.75, 0.58, 0.85)[strength])
    plan.config |= {"in_channels": 3}
    plan.data = replace(data, test=Split(data.test.images.flip(1), data.test.targets))


@_fault("underfitting")
def empty_inputs(plan: Plan, strength: int) -> None:
    """Whole numbers divided too early: images of 0 and 1, of 255."""
    divisor = (200, 255, 180, 254, 220, 253, 190, 252, 185, 251, 195, 250)[strength]
    splits = [Split(each.images // divisor, each.targets) for each in (plan.data.train, plan.data.test)]
    plan.data = remade(plan.data, *splits)


# --- norms and modes ---------------------------------------------------------------------------------------


@_fault()
def norm_statistics_wrong(plan: Plan, strength: int) -> None:
    """The kept statistics follow at a hundredth of the usual pace, or come from elsewhere: all, half, three or one."""

    def slow(model: nn.Module) -> nn.Module:
        for norm in _norms(model):
            norm.momentum = (0.001, 0.0, 0.0015, 0.0, 0.002, 0.0, 0.0012, 0.0, 0.0017, 0.0)[strength]
        return model

    def foreign(model: nn.Module) -> nn.Module:
        which = {5: slice(-2, -1), 7: slice(None, None, 2), 9: slice(-3, None)}.get(strength, slice(None))
        for norm in _norms(model)[which]:
            norm.running_var.mul_((1.0, 8.0, 1.0, 12.0, 1.0, 20.0, 1.0, 15.0, 1.0, 10.0)[strength])  # type: ignore[union-attr]
            norm.running_mean.add_(norm.running_var.sqrt() / 4)  # type: ignore[union-attr, arg-type]
        return model

    if strength % 2:
        plan.after = foreign
    else:
        plan.before = slow


@_fault("norm_statistics_wrong")
def norm_statistics_frozen(plan: Plan, strength: int) -> None:
    """The norms of one stage, or all, never learn their statistics."""

    def before(model: nn.Module) -> nn.Module:
        stages = [model.layer1, model.layer2, model.layer3]
        chosen = ((2,), None, (1,), None, (0,), None, (1, 2), None, (0, 2), None)[strength]
        parts = [model] if chosen is None else [stages[number] for number in chosen]
        for part in parts:
            for norm in _norms(part):  # type: ignore[arg-type]
                norm.momentum = 0.0
        return model

    plan.before = before


@_fault("norm_statistics_wrong")
def tiny_batch(plan: Plan, strength: int) -> None:
    """Four images, or two, in a batch, or in a part of one whose gradients are accumulated."""
    plan.recipe |= {
        "batch_size": (4, 2, 5, 3, 4, 3, 20, 16, 15, 6)[strength],
        "accumulate": (1, 1, 1, 1, 1, 1, 5, 8, 3, 2)[strength],
        "learning_rate": 0.02,
    }


@_fault("norm_statistics_wrong")
def modes_confused(plan: Plan, strength: int) -> None:
    """Dropout that eval() does not end, or norms that eval() does not reach."""

    def dropout(model: nn.Module) -> nn.Module:
        dropped = _AlwaysDropped((0.4, 0.0, 0.3, 0.0, 0.35, 0.0, 0.25, 0.0, 0.28, 0.0)[strength])
        model.avgpool = nn.Sequential(model.avgpool, dropped)  # type: ignore[assignment]
        return model

    plan.before = _restless_norms if strength % 2 else dropout


class _AlwaysDropped(nn.Module):
    def __init__(self, chance: float) -> None:
        super().__init__()
        self.chance = chance

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.chance)  # without training=self.training


def _restless_norms(model: nn.Module) -> nn.Module:
    for norm in _norms(model):
        norm.track_running_stats = False
        norm.running_mean = norm.running_var = norm.num_batches_tracked = None
    return model


# --- weights -----------------------------------------------------------------------------------------------

_BELOW = ("conv1", "bn1", "layer1", "layer2")  # all but the last stage, the last norm and the classifier
_LEFT_OUT = (
    ("layer2",), (*_BELOW, "layer3", "bn"), ("layer3",), _BELOW, ("layer1", "layer2"), (*_BELOW, "layer3"),
    ("layer1",), ("conv1", "bn1", "layer1"), ("layer1", "layer3"), ("conv1", "bn1", "layer2", "layer3"),
)  # fmt: skip  # by strength


@_fault()
def frozen_layers(plan: Plan, strength: int) -> None:
    """One stage, or all but the last layer, wants no gradient."""

    def before(model: nn.Module) -> nn.Module:
        for name, weight in model.named_parameters():
            weight.requires_grad_(not name.startswith(_LEFT_OUT[strength]))
        return model

    plan.before = before


@_fault()
def not_in_optimizer(plan: Plan, strength: int) -> None:
    """One stage, or all but the last layer, gets gradients and no updates."""
    kept: dict[nn.Parameter, Tensor] = {}

    def before(model: nn.Module) -> nn.Module:
        for name, weight in model.named_parameters():
            if name.startswith(_LEFT_OUT[strength]):
                kept[weight] = weight.detach().clone()
        return model

    def during(event: object) -> None:
        if isinstance(event, StepDone):
            for weight, held in kept.items():
                weight.data.copy_(held)

    plan.before, plan.during = before, during


@_fault()
def no_gradient(plan: Plan, strength: int) -> None:
    """A detach() behind the first layer or a stage."""

    def before(model: nn.Module) -> nn.Module:
        name = (
            "layer1", "layer2", "layer2", "layer3", "layer1", "layer3", "conv1", "layer2", "layer1", "layer3",
        )[strength]  # fmt: skip
        setattr(model, name, nn.Sequential(getattr(model, name), Detached()))
        return model

    plan.before = before


@_fault("rate_too_low", "underfitting", "not_in_optimizer")
def underflow(plan: Plan, strength: int) -> None:
    """Weights kept in bfloat16, with updates too small to be seen in it."""
    plan.recipe |= {
        "learning_rate": (1e-3, 2e-4, 6e-4, 1e-4, 8e-4, 1.5e-4, 7e-4, 1.2e-4, 9e-4, 1.3e-4)[strength],
        "steps": 120,
    }
    plan.before = lambda model: Wrapped(model.bfloat16(), _to_half, _to_single)


def _to_half(x: Tensor) -> Tensor:
    return x.bfloat16()


def _to_single(x: Tensor) -> Tensor:
    return x.float()


# --- labels and data ---------------------------------------------------------------------------------------


@_fault("underfitting")
def label_noise(plan: Plan, strength: int) -> None:
    """15 or 35 % of the training labels are wrong."""
    share = (0.15, 0.35, 0.18, 0.3, 0.16, 0.28, 0.17, 0.32, 0.19, 0.34, 0.2, 0.36, 0.12, 0.25)[strength]
    generator = torch.Generator().manual_seed(1)
    labels, classes = plan.data.train.labels.clone(), len(plan.data.classes)
    chosen = torch.rand(len(labels), generator=generator) < share
    others = torch.randint(1, classes, (len(labels),), generator=generator)
    labels[chosen] = ((labels + others) % classes)[chosen]
    plan.data = replace(plan.data, train=Split(plan.data.train.images, labels))


@_fault("overfitting", "underfitting")
def labels_shuffled(plan: Plan, strength: int) -> None:
    """Labels of both splits in another order than the images; or shifted by one against them."""
    number = (1, 2, 3, 4, -1, 0, 7, 8, 5, 9, 6, 14)[strength]

    def shuffled(split: Split) -> Split:
        order = torch.randperm(len(split), generator=torch.Generator().manual_seed(number))
        return Split(split.images, split.labels[order] if strength % 2 else split.labels.roll(number))

    plan.data = replace(plan.data, train=shuffled(plan.data.train), test=shuffled(plan.data.test))


@_fault()
def labels_off_by_one(plan: Plan, strength: int) -> None:
    """Class numbers of the test images are one too high, of half the classes or of all; or of all but one."""
    labels, classes = plan.data.test.labels, len(plan.data.classes)
    half, step = classes // 2, -1 if strength in (2, 3, 7, 8, 10) else 1
    moved = (labels + step) % classes
    if strength == 11:  # a name that stands first in one list and elsewhere in the other
        moved = torch.where(labels > 0, 1 + (labels - 1 + step) % (classes - 1), labels)
    elif strength in (6, 10):
        moved = torch.where(labels >= half, half + (labels - half + step) % (classes - half), labels)
    elif strength % 2 == 0:
        moved = torch.where(labels < half, (labels + step) % half, labels)
    plan.data = replace(plan.data, test=Split(plan.data.test.images, moved))


@_fault("overfitting")
def imbalance(plan: Plan, strength: int) -> None:
    """The classes fall in number to a fifteenth or a sixtieth."""
    data, classes = plan.data, len(plan.data.classes)
    keep = torch.zeros(len(data.train), dtype=torch.bool)
    for number in range(classes):
        of_class = (data.train.labels == number).nonzero().flatten()
        least = (15, 60, 20, 40, 18, 30, 16, 50, 17, 45, 14, 70)[strength]
        share = (1 / least) ** (number / (classes - 1))
        keep[of_class[: max(1, round(len(of_class) * share))]] = True
    plan.data = remade(data, data.train.take(keep), data.test)


@_fault()
def leakage(plan: Plan, strength: int) -> None:
    """A fifth or all of the test images stand among the training images."""
    data = plan.data
    count = round(
        len(data.test) * (0.2, 1.0, 0.3, 0.8, 0.25, 0.6, 0.22, 0.7, 0.24, 0.9, 0.23, 0.75)[strength]
    )
    images = torch.cat([data.train.images, data.test.images[:count]])
    labels = torch.cat([data.train.labels, data.test.labels[:count]])
    plan.data = replace(data, train=Split(images, labels))


@_fault("underfitting")
def destructive_augmentation(plan: Plan, strength: int) -> None:
    """A cutout as large as the image, or a crop of nearly nothing."""
    side = plan.data.input_shape[1]
    plan.recipe["augmentation"] = (
        {"cutout": side + side // 3}, {"crop_padding": side - 1, "cutout": side // 2},
        {"cutout": side + side // 4}, {"crop_padding": side - 2, "cutout": 2 * side // 3},
        {"cutout": side + side // 5}, {"crop_padding": side - 1, "cutout": 3 * side // 5},
        {"cutout": side + side // 6}, {"crop_padding": side - 1, "cutout": 3 * side // 4},
        {"cutout": side + 2}, {"crop_padding": side - 2, "cutout": 7 * side // 10},
        {"cutout": side + 3}, {"crop_padding": side - 1, "cutout": 13 * side // 20},
    )[strength]  # fmt: skip
