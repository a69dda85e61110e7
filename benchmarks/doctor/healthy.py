"""Healthy trainings of all sorts, in which every finding is a false one."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import nn

from benchmarks.doctor.plans import (
    FIFTH_DATA,
    FOURTH_DATA,
    RECIPE,
    SECOND_DATA,
    SIXTH_DATA,
    THIRD_DATA,
    Plan,
    grainy,
    of_classes,
    plan,
    remade,
)
from reswork.datasets.dataset import Split
from reswork.experiment.presets import preset

Change = Callable[[Plan], None]


def _config(**changes: Any) -> Change:
    return lambda plan: plan.config.update(changes)


def _recipe(**changes: Any) -> Change:
    return lambda plan: plan.recipe.update(changes)


def _both(*changes: Change) -> Change:
    def change(plan: Plan) -> None:
        for each in changes:
            each(plan)

    return change


def _fewer(plan: Plan) -> None:
    plan.data = plan.data.subset(train=600)


def _first(count: int) -> Change:
    """So many training images."""

    def change(plan: Plan) -> None:
        plan.data = plan.data.subset(train=count)

    return change


def _preset(name: str, **changes: Any) -> Change:
    """A preset of the workbench, in so many steps of smaller batches; what it does to images as far as they allow."""

    def change(plan: Plan) -> None:
        given = preset(name).recipe.to_dict()
        own = {each: RECIPE[each] for each in RECIPE if each not in ("learning_rate", "steps", "batch_size")}
        plan.recipe = {**given, **own, "seed": plan.recipe["seed"], "steps": 150, "batch_size": 48, **changes}

    return change


def _grainy(plan: Plan) -> None:
    plan.data = grainy(plan.data, 20)


def _a_little_uneven(plan: Plan) -> None:
    """The classes fall in number to two fifths."""
    data, classes = plan.data, len(plan.data.classes)
    keep = torch.ones(len(data.train), dtype=torch.bool)
    for number in range(classes):
        of_class = (data.train.labels == number).nonzero().flatten()
        keep[of_class[round(len(of_class) * (1 - 0.6 * number / (classes - 1))) :]] = False
    plan.data = remade(data, data.train.take(keep), data.test)


def _uneven(least: float, *, both: bool = False) -> Change:
    """The classes fall in number to that share, in the training split or in both."""

    def change(plan: Plan) -> None:
        data, classes = plan.data, len(plan.data.classes)

        def fewer(split: Split) -> Split:
            keep = torch.zeros(len(split), dtype=torch.bool)
            for number in range(classes):
                of_class = (split.labels == number).nonzero().flatten()
                keep[of_class[: round(len(of_class) * least ** (number / (classes - 1)))]] = True
            return split.take(keep)

        plan.data = remade(data, fewer(data.train), fewer(data.test) if both else data.test)

    return change


def _of_two(plan: Plan) -> None:
    """The first two classes only."""
    plan.data = of_classes(plan.data, (0, 1), plan.data.name)
    plan.config |= {"num_classes": 2}


def _fine_tuned(plan: Plan) -> None:
    """Begins with the weights of a first training, at a tenth of the rate."""
    from reswork.training.run import Run

    def before(model: nn.Module) -> nn.Module:
        first = Run(
            model, plan.data, replace(plan.made_recipe(), learning_rate=0.1, frozen=(), seed=9), recorders=[]
        )
        first.start()
        first.wait()
        return model.train()

    plan.before = before
    plan.recipe |= {"learning_rate": 0.01}


_MANY = ("digits", "fashion")
_DEEP = {"depth": 110, "width": 4, "order": "post", "shortcut": None}

# name, network, data sets, change
_SORTS: tuple[tuple[str, str, tuple[str, ...], Change], ...] = (
    ("as it is", "ResNet-8", (*_MANY, "shapes", "tinted digits", "tinted fashion"), _config()),
    ("as it is", "PreResNet-14", (*_MANY, "shapes"), _config()),
    ("another seed", "ResNet-8", _MANY, _recipe(seed=5)),
    ("depth 20", "ResNet-8", _MANY, _config(depth=20)),
    ("depth 32", "ResNet-8", ("digits",), _config(depth=32)),
    ("depth 56", "ResNet-8", ("digits",), _both(_config(depth=56, width=4), _recipe(steps=120))),
    ("depth 110", "ResNet-8", ("digits",), _both(_config(**_DEEP), _recipe(steps=120, learning_rate=0.05))),
    ("plain 8", "ResNet-8", _MANY, _config(residual=False)),
    ("plain 14", "ResNet-8", ("digits",), _config(residual=False, depth=14)),
    ("group norm", "ResNet-8", _MANY, _config(norm="group", width=16)),
    ("skipinit without norm", "ResNet-8", ("digits",),
     _both(_config(norm="none", residual_scaling="skipinit", depth=14), _recipe(learning_rate=0.02))),
    ("zero-init", "ResNet-8", _MANY, _config(zero_init_last_norm=True)),
    ("bottleneck 20", "ResNet-8", ("digits",), _config(depth=20, block="bottleneck", form="cifar")),
    ("squeeze and excitation", "ResNet-8", ("fashion",), _config(squeeze_excitation=True, width=16)),
    ("wide", "ResNet-8", ("fashion",), _config(widen_factor=2)),
    ("a little dropout", "ResNet-8", _MANY, _config(dropout=0.1)),
    ("stochastic depth", "PreResNet-14", ("digits",), _config(stochastic_depth=0.1)),
    ("Adam", "ResNet-8", _MANY, _recipe(optimizer="adam", learning_rate=0.003, weight_decay=0.0)),
    ("AdamW", "PreResNet-14", _MANY, _recipe(optimizer="adamw", learning_rate=0.003, weight_decay=0.01)),
    ("Nesterov", "ResNet-8", ("digits",), _recipe(nesterov=True)),
    ("constant rate", "ResNet-8", _MANY, _recipe(schedule="constant", learning_rate=0.05)),
    ("steps", "PreResNet-14", _MANY, _recipe(schedule="step")),
    ("one cycle", "ResNet-8", _MANY, _recipe(schedule="one_cycle", learning_rate=0.2)),
    ("warm-up", "PreResNet-14", ("fashion",), _recipe(warmup_epochs=1.0)),
    ("smoothed labels", "ResNet-8", _MANY, _recipe(label_smoothing=0.1)),
    ("mixup", "ResNet-8", ("fashion",), _recipe(mixup=0.2)),
    ("moving average", "ResNet-8", ("digits",), _recipe(ema=0.95)),
    ("clipped", "PreResNet-14", ("digits",), _recipe(clip_norm=1.0)),
    ("shifted", "ResNet-8", ("digits",), _recipe(augmentation={"translate": 1}, steps=240)),
    ("flipped", "ResNet-8", ("fashion",), _recipe(augmentation={"flip": True, "crop_padding": 1}, steps=240)),
    ("cutout", "PreResNet-14", ("fashion",), _recipe(augmentation={"cutout": 4}, steps=240)),
    ("batches of 16", "ResNet-8", ("digits",), _recipe(batch_size=16, learning_rate=0.05)),
    ("batches of 128", "ResNet-8", ("fashion",), _recipe(batch_size=128, learning_rate=0.2)),
    ("600 images", "ResNet-8", _MANY, _fewer),
    ("grainy", "ResNet-8", _MANY, _grainy),
    ("uneven, balanced", "PreResNet-14", ("digits",), _both(_a_little_uneven, _recipe(class_weights="balanced"))),
    ("fine-tuned", "ResNet-8", ("digits", "fashion"), _fine_tuned),
    ("frozen by the recipe", "ResNet-8", ("digits", "fashion"),
     _both(_fine_tuned, _recipe(frozen=["conv1", "bn1", "layer1"]))),
    ("no weight decay", "PreResNet-14", ("digits",), _recipe(weight_decay=0.0)),
    ("more weight decay", "ResNet-8", ("fashion",), _recipe(weight_decay=5e-4)),
)  # fmt: skip


_DIGITS, _GARMENTS, _SHAPES = SECOND_DATA

# the same for the second set
_SECOND_SORTS: tuple[tuple[str, str, tuple[str, ...], Change], ...] = (
    ("as it is", "ResNet-14", SECOND_DATA, _config()),
    ("as it is", "PreResNet-8", SECOND_DATA, _config()),
    ("another seed", "PreResNet-8", (_GARMENTS,), _recipe(seed=23)),
    ("depth 26", "ResNet-14", (_DIGITS,), _config(depth=26)),
    ("depth 44", "PreResNet-8", (_DIGITS,), _both(_config(depth=44, width=4), _recipe(steps=120))),
    ("depth 74", "ResNet-14", (_DIGITS,), _both(_config(depth=74, width=4), _recipe(steps=100, learning_rate=0.05))),
    ("plain 8", "ResNet-14", (_SHAPES,), _config(residual=False, depth=8)),
    ("plain 14", "ResNet-14", (_GARMENTS,), _config(residual=False)),
    ("group norm", "PreResNet-8", (_GARMENTS,), _config(norm="group", width=16)),
    ("fixup", "ResNet-14", (_DIGITS,),
     _both(_config(norm="none", residual_scaling="fixup"), _recipe(learning_rate=0.02))),
    ("zero-init", "ResNet-14", (_SHAPES,), _config(zero_init_last_norm=True)),
    ("bottleneck 11", "ResNet-14", (_GARMENTS,), _config(depth=11, block="bottleneck", form="cifar")),
    ("squeeze and excitation", "PreResNet-8", (_DIGITS,), _config(squeeze_excitation=True, width=16)),
    ("wide", "PreResNet-8", (_DIGITS,), _config(widen_factor=2)),
    ("a little dropout", "ResNet-14", (_GARMENTS,), _config(dropout=0.15)),
    ("Adam", "PreResNet-8", (_SHAPES,), _recipe(optimizer="adam", learning_rate=0.002, weight_decay=0.0)),
    ("AdamW", "ResNet-14", (_DIGITS,), _recipe(optimizer="adamw", learning_rate=0.002, weight_decay=0.02)),
    ("Nesterov", "ResNet-14", (_GARMENTS,), _recipe(nesterov=True)),
    ("constant rate", "PreResNet-8", (_DIGITS,), _recipe(schedule="constant", learning_rate=0.03)),
    ("steps", "ResNet-14", (_SHAPES,), _recipe(schedule="step")),
    ("one cycle", "PreResNet-8", (_GARMENTS,), _recipe(schedule="one_cycle", learning_rate=0.15)),
    ("warm-up", "ResNet-14", (_DIGITS,), _recipe(warmup_epochs=0.5)),
    ("smoothed labels", "PreResNet-8", (_SHAPES,), _recipe(label_smoothing=0.05)),
    ("mixup", "ResNet-14", (_DIGITS,), _recipe(mixup=0.3)),
    ("moving average", "PreResNet-8", (_GARMENTS,), _recipe(ema=0.93)),
    ("clipped", "ResNet-14", (_SHAPES,), _recipe(clip_norm=2.0)),
    ("shifted and flipped", "PreResNet-8", (_GARMENTS,),
     _recipe(augmentation={"translate": 1, "flip": True}, steps=220)),
    ("batches of 20", "ResNet-14", (_DIGITS,), _recipe(batch_size=20, learning_rate=0.05)),
    ("batches of 100", "PreResNet-8", (_SHAPES,), _recipe(batch_size=100)),
    ("600 images", "PreResNet-8", (_DIGITS,), _fewer),
    ("grainy", "ResNet-14", (_GARMENTS,), _grainy),
    ("uneven, balanced", "PreResNet-8", (_GARMENTS,), _both(_a_little_uneven, _recipe(class_weights="balanced"))),
    ("fine-tuned", "PreResNet-8", (_SHAPES,), _fine_tuned),
    ("frozen by the recipe", "ResNet-14", (_DIGITS,), _both(_fine_tuned, _recipe(frozen=["conv1", "bn1", "layer1"]))),
)  # fmt: skip


_OTHER_DIGITS, _FIVE_GARMENTS, _SMALL_SHAPES = THIRD_DATA
_IMAGENET_FORM = {"depth": None, "form": "imagenet", "stage_blocks": [1, 1, 1, 1], "stem": "imagenet", "width": 10,
                  "shortcut": "B"}  # fmt: skip
_8, _14 = "ResNet-8 of 10", "PreResNet-14 of 6"

# the same for the third set
_THIRD_SORTS: tuple[tuple[str, str, tuple[str, ...], Change], ...] = (
    ("as it is", _8, THIRD_DATA, _config()),
    ("as it is", _14, THIRD_DATA, _config()),
    ("another seed", _14, (_SMALL_SHAPES,), _recipe(seed=31)),
    ("depth 20", _8, (_FIVE_GARMENTS,), _config(depth=20)),
    ("depth 38", _14, (_OTHER_DIGITS,), _both(_config(depth=38, width=4), _recipe(steps=110))),
    ("plain 8", _8, (_OTHER_DIGITS,), _config(residual=False, shortcut=None)),
    ("ImageNet's form, 10", _8, (_SMALL_SHAPES,), _config(**_IMAGENET_FORM)),
    ("ImageNet's form, 10, another seed", _8, (_SMALL_SHAPES,), _both(_config(**_IMAGENET_FORM), _recipe(seed=37))),
    ("group norm", _14, (_FIVE_GARMENTS,), _config(norm="group", width=16)),
    ("skipinit without norm", _8, (_FIVE_GARMENTS,),
     _both(_config(norm="none", residual_scaling="skipinit"), _recipe(learning_rate=0.02))),
    ("zero-init", _8, (_OTHER_DIGITS,), _config(zero_init_last_norm=True)),
    ("bottleneck 11", _8, (_SMALL_SHAPES,), _config(depth=11, block="bottleneck", form="cifar")),
    ("a little dropout", _14, (_OTHER_DIGITS,), _config(dropout=0.1)),
    ("Adam", _14, (_FIVE_GARMENTS,), _recipe(optimizer="adam", learning_rate=0.003, weight_decay=0.0)),
    ("AdamW", _8, (_SMALL_SHAPES,), _recipe(optimizer="adamw", learning_rate=0.003, weight_decay=0.01)),
    ("constant rate", _14, (_SMALL_SHAPES,), _recipe(schedule="constant", learning_rate=0.04)),
    ("steps", _8, (_FIVE_GARMENTS,), _recipe(schedule="step")),
    ("one cycle", _14, (_OTHER_DIGITS,), _recipe(schedule="one_cycle", learning_rate=0.15)),
    ("smoothed labels", _8, (_SMALL_SHAPES,), _recipe(label_smoothing=0.1)),
    ("shifted", _14, (_FIVE_GARMENTS,), _recipe(augmentation={"translate": 1}, steps=200)),
    ("batches of 64", _8, (_OTHER_DIGITS,), _recipe(batch_size=64)),
    ("600 images", _14, (_FIVE_GARMENTS,), _fewer),
    ("fine-tuned", _8, (_FIVE_GARMENTS,), _fine_tuned),
)  # fmt: skip


_DARK_DIGITS, _SEVEN_GARMENTS, _COLOURED_SHAPES = FOURTH_DATA
_20, _PRE_8 = "ResNet-20 of 5", "PreResNet-8 of 14"

# the same for the fourth set
_FOURTH_SORTS: tuple[tuple[str, str, tuple[str, ...], Change], ...] = (
    ("as it is", _20, FOURTH_DATA, _config()),
    ("as it is", _PRE_8, FOURTH_DATA, _config()),
    ("another seed", _20, (_SEVEN_GARMENTS,), _recipe(seed=47)),
    ("another seed", _PRE_8, (_COLOURED_SHAPES,), _recipe(seed=53)),
    ("depth 32", _20, (_DARK_DIGITS,), _both(_config(depth=32), _recipe(steps=140))),
    ("depth 50", _20, (_SEVEN_GARMENTS,), _both(_config(depth=50, width=4), _recipe(steps=120, learning_rate=0.05))),
    ("plain 8", _PRE_8, (_SEVEN_GARMENTS,), _config(residual=False, shortcut=None, order="post")),
    ("plain 14", _20, (_DARK_DIGITS,), _config(residual=False, shortcut=None, depth=14)),
    ("group norm", _20, (_DARK_DIGITS,), _config(norm="group", width=16, depth=8)),
    ("fixup", _PRE_8, (_DARK_DIGITS,),
     _both(_config(norm="none", residual_scaling="fixup", order="post"), _recipe(learning_rate=0.03))),
    ("zero-init", _20, (_SEVEN_GARMENTS,), _config(zero_init_last_norm=True)),
    ("bottleneck 20", _PRE_8, (_SEVEN_GARMENTS,), _config(depth=20, block="bottleneck", form="cifar", width=5)),
    ("squeeze and excitation", _PRE_8, (_SEVEN_GARMENTS,), _config(squeeze_excitation=True, width=16)),
    ("wide", _20, (_DARK_DIGITS,), _config(depth=8, widen_factor=3)),
    ("projections everywhere", _20, (_SEVEN_GARMENTS,), _config(shortcut="C", depth=14)),
    ("stochastic depth", _20, (_SEVEN_GARMENTS,), _config(stochastic_depth=0.1)),
    ("a little dropout", _PRE_8, (_COLOURED_SHAPES,), _config(dropout=0.1)),
    ("Adam", _20, (_DARK_DIGITS,), _recipe(optimizer="adam", learning_rate=0.004, weight_decay=0.0)),
    ("AdamW", _PRE_8, (_SEVEN_GARMENTS,), _recipe(optimizer="adamw", learning_rate=0.002, weight_decay=0.05)),
    ("Nesterov", _PRE_8, (_COLOURED_SHAPES,), _recipe(nesterov=True)),
    ("constant rate", _20, (_SEVEN_GARMENTS,), _recipe(schedule="constant", learning_rate=0.04)),
    ("constant rate", _PRE_8, (_COLOURED_SHAPES,), _recipe(schedule="constant", learning_rate=0.06)),
    ("steps", _PRE_8, (_DARK_DIGITS,), _recipe(schedule="step")),
    ("one cycle", _20, (_SEVEN_GARMENTS,), _recipe(schedule="one_cycle", learning_rate=0.2)),
    ("warm-up", _PRE_8, (_COLOURED_SHAPES,), _recipe(warmup_epochs=1.0)),
    ("twice the rate", _20, (_DARK_DIGITS,), _recipe(learning_rate=0.2)),
    ("smoothed labels", _20, (_COLOURED_SHAPES,), _recipe(label_smoothing=0.1)),
    ("mixup", _PRE_8, (_SEVEN_GARMENTS,), _recipe(mixup=0.2)),
    ("moving average", _PRE_8, (_DARK_DIGITS,), _recipe(ema=0.94)),
    ("clipped", _20, (_SEVEN_GARMENTS,), _recipe(clip_norm=1.0)),
    ("cut out", _PRE_8, (_SEVEN_GARMENTS,), _recipe(augmentation={"cutout": 3}, steps=220)),
    ("cropped and flipped", _PRE_8, (_COLOURED_SHAPES,),
     _recipe(augmentation={"crop_padding": 2, "flip": True}, steps=220)),
    ("batches of 16", _20, (_SEVEN_GARMENTS,), _recipe(batch_size=16, learning_rate=0.04)),
    ("batches of 120", _PRE_8, (_DARK_DIGITS,), _recipe(batch_size=120, steps=120)),
    ("600 images", _20, (_SEVEN_GARMENTS,), _fewer),
    ("grainy", _PRE_8, (_SEVEN_GARMENTS,), _grainy),
    ("uneven, balanced", _PRE_8, (_DARK_DIGITS,), _both(_a_little_uneven, _recipe(class_weights="balanced"))),
    ("fine-tuned", _PRE_8, (_COLOURED_SHAPES,), _fine_tuned),
    ("frozen by the recipe", _20, (_SEVEN_GARMENTS,),
     _both(_fine_tuned, _recipe(frozen=["conv1", "bn1", "layer1"]))),
)  # fmt: skip


_FADED_DIGITS, _EIGHT_GARMENTS, _SMOOTH_SHAPES = FIFTH_DATA
_10, _PRE_11 = "ResNet-10 of 7", "PreResNet-11 of 6"
_STAGES: dict[str, Any] = {"stage_blocks": None, "block": "basic"}  # as the depth makes them
_PLAIN: dict[str, Any] = {**_STAGES, "residual": False, "shortcut": None, "order": "post"}
_NO_NORM: dict[str, Any] = {"norm": "none"}
_SMALL_CROPS = {"crop_padding": 1, "flip": True}

# the same for the fifth set
_FIFTH_SORTS: tuple[tuple[str, str, tuple[str, ...], Change], ...] = (
    ("as it is", _10, FIFTH_DATA, _config()),
    ("as it is", _PRE_11, FIFTH_DATA, _config()),
    ("another seed", _10, (_EIGHT_GARMENTS,), _recipe(seed=67)),
    ("another seed", _PRE_11, (_FADED_DIGITS,), _recipe(seed=71)),
    ("a third seed", _10, (_SMOOTH_SHAPES,), _recipe(seed=73)),
    ("depth 8", _10, (_FADED_DIGITS,), _config(**_STAGES, depth=8)),
    ("depth 14", _10, (_SMOOTH_SHAPES,), _config(**_STAGES, depth=14)),
    ("depth 20", _PRE_11, (_EIGHT_GARMENTS,), _config(**_STAGES, depth=20)),
    ("depth 26", _10, (_EIGHT_GARMENTS,), _config(**_STAGES, depth=26, width=5)),
    ("depth 32", _PRE_11, (_FADED_DIGITS,), _config(**_STAGES, depth=32, width=5)),
    ("depth 44", _10, (_FADED_DIGITS,), _both(_config(**_STAGES, depth=44, width=5), _recipe(steps=110))),
    ("depth 56", _10, (_FADED_DIGITS,),
     _both(_config(**_STAGES, depth=56, width=4), _recipe(steps=110, learning_rate=0.05))),
    ("depth 110", _10, (_FADED_DIGITS,),
     _both(_config(**_STAGES, depth=110, width=4), _recipe(steps=100, learning_rate=0.05, warmup_epochs=1.0))),
    ("depth 110", _PRE_11, (_FADED_DIGITS,),
     _both(_config(**_STAGES, depth=110, width=4), _recipe(steps=90, learning_rate=0.04))),
    ("plain 8", _10, (_SMOOTH_SHAPES,), _config(**_PLAIN, depth=8)),
    ("plain 8", _PRE_11, (_FADED_DIGITS,), _config(**_PLAIN, depth=8)),
    ("plain 14", _10, (_EIGHT_GARMENTS,), _config(**_PLAIN, depth=14)),
    ("group norm", _10, (_EIGHT_GARMENTS,), _config(norm="group", width=16)),
    ("group norm", _PRE_11, (_SMOOTH_SHAPES,), _config(norm="group", width=16)),
    ("fixup", _10, (_FADED_DIGITS,), _both(_config(**_NO_NORM, residual_scaling="fixup"), _recipe(learning_rate=0.03))),
    ("fixup", _10, (_EIGHT_GARMENTS,),
     _both(_config(**_NO_NORM, residual_scaling="fixup"), _recipe(learning_rate=0.02))),
    ("skipinit without norm", _10, (_FADED_DIGITS,),
     _both(_config(**_NO_NORM, residual_scaling="skipinit"), _recipe(learning_rate=0.02))),
    ("zero-init", _10, (_SMOOTH_SHAPES,), _config(zero_init_last_norm=True)),
    ("bottleneck 20", _10, (_EIGHT_GARMENTS,),
     _config(stage_blocks=None, depth=20, block="bottleneck", width=5)),
    ("ImageNet's form, 10", _10, (_SMOOTH_SHAPES,), _config(**{**_IMAGENET_FORM, "width": 8})),
    ("squeeze and excitation", _10, (_EIGHT_GARMENTS,), _config(squeeze_excitation=True, width=16)),
    ("wide", _10, (_FADED_DIGITS,), _config(widen_factor=2)),
    ("projections everywhere", _10, (_SMOOTH_SHAPES,), _config(shortcut="C")),
    ("stochastic depth", _10, (_FADED_DIGITS,), _config(stochastic_depth=0.12)),
    ("a little dropout", _PRE_11, (_EIGHT_GARMENTS,), _config(dropout=0.12)),
    ("Adam", _PRE_11, (_FADED_DIGITS,), _recipe(optimizer="adam", learning_rate=0.003, weight_decay=0.0)),
    ("AdamW", _10, (_SMOOTH_SHAPES,), _recipe(optimizer="adamw", learning_rate=0.004, weight_decay=0.01)),
    ("AdamW", _PRE_11, (_EIGHT_GARMENTS,), _recipe(optimizer="adamw", learning_rate=0.003, weight_decay=0.04)),
    ("Nesterov", _10, (_FADED_DIGITS,), _recipe(nesterov=True)),
    ("constant rate", _10, (_EIGHT_GARMENTS,), _recipe(schedule="constant", learning_rate=0.03)),
    ("constant rate", _PRE_11, (_FADED_DIGITS,), _recipe(schedule="constant", learning_rate=0.05)),
    ("steps", _10, (_SMOOTH_SHAPES,), _recipe(schedule="step")),
    ("one cycle", _PRE_11, (_EIGHT_GARMENTS,), _recipe(schedule="one_cycle", learning_rate=0.15)),
    ("warm-up", _10, (_FADED_DIGITS,), _recipe(warmup_epochs=1.0)),
    ("twice the rate", _10, (_FADED_DIGITS,), _recipe(learning_rate=0.2)),
    ("half the rate", _PRE_11, (_SMOOTH_SHAPES,), _recipe(learning_rate=0.05)),
    ("smoothed labels", _10, (_EIGHT_GARMENTS,), _recipe(label_smoothing=0.1)),
    ("mixup", _PRE_11, (_FADED_DIGITS,), _recipe(mixup=0.2)),
    ("moving average", _10, (_SMOOTH_SHAPES,), _recipe(ema=0.93)),
    ("clipped", _PRE_11, (_EIGHT_GARMENTS,), _recipe(clip_norm=1.5)),
    ("the preset quick look", _10, (_EIGHT_GARMENTS,), _preset("quick look")),
    ("the preset fast", _PRE_11, (_SMOOTH_SHAPES,),
     _preset("fast", steps=200, augmentation={**_SMALL_CROPS, "cutout": 3})),
    ("the preset of the paper", _10, (_SMOOTH_SHAPES,), _preset("paper's", augmentation=_SMALL_CROPS)),
    ("the preset fine-tuning", _10, (_EIGHT_GARMENTS,), _both(_fine_tuned, _preset("fine-tuning", steps=100))),
    ("shifted", _10, (_FADED_DIGITS,), _recipe(augmentation={"translate": 1}, steps=200)),
    ("batches of 14", _10, (_FADED_DIGITS,), _recipe(batch_size=14, learning_rate=0.04)),
    ("batches of 100", _PRE_11, (_EIGHT_GARMENTS,), _recipe(batch_size=100, steps=110)),
    ("500 images", _10, (_FADED_DIGITS,), _first(500)),
    ("grainy", _10, (_EIGHT_GARMENTS,), _grainy),
    ("uneven, balanced", _PRE_11, (_FADED_DIGITS,), _both(_a_little_uneven, _recipe(class_weights="balanced"))),
    ("frozen by the recipe", _10, (_SMOOTH_SHAPES,), _both(_fine_tuned, _recipe(frozen=["conv1", "bn1", "layer1"]))),
)  # fmt: skip
_HAZY_DIGITS, _ALL_GARMENTS, _SHADED_SHAPES = SIXTH_DATA
_12, _PRE_10 = "ResNet-12 of 8", "PreResNet-10 of 9"

# the same for the sixth set, which judges the rules about labels: what could be mistaken for wrong ones
_SIXTH_SORTS: tuple[tuple[str, str, tuple[str, ...], Change], ...] = (
    ("as it is", _12, SIXTH_DATA, _config()),
    ("as it is", _PRE_10, SIXTH_DATA, _config()),
    ("another seed", _12, (_SHADED_SHAPES,), _recipe(seed=89)),
    ("another seed", _PRE_10, (_ALL_GARMENTS,), _recipe(seed=97)),
    ("plain 8", _PRE_10, (_ALL_GARMENTS,), _config(**_PLAIN, depth=8)),
    ("a little dropout", _12, (_SHADED_SHAPES,), _config(dropout=0.1)),
    ("Adam", _PRE_10, (_SHADED_SHAPES,), _recipe(optimizer="adam", learning_rate=0.003, weight_decay=0.0)),
    ("constant rate", _12, (_ALL_GARMENTS,), _recipe(schedule="constant", learning_rate=0.04)),
    ("one cycle", _PRE_10, (_HAZY_DIGITS,), _recipe(schedule="one_cycle", learning_rate=0.15)),
    ("smoothed labels", _PRE_10, (_SHADED_SHAPES,), _recipe(label_smoothing=0.1)),
    ("mixup", _12, (_ALL_GARMENTS,), _recipe(mixup=0.2)),
    ("moving average", _PRE_10, (_ALL_GARMENTS,), _recipe(ema=0.93)),
    ("cropped and flipped", _PRE_10, (_SHADED_SHAPES,), _recipe(augmentation=_SMALL_CROPS, steps=200)),
    ("shifted", _12, (_HAZY_DIGITS,), _recipe(augmentation={"translate": 1}, steps=200)),
    ("batches of 90", _12, (_SHADED_SHAPES,), _recipe(batch_size=90, steps=120)),
    ("550 images", _PRE_10, (_HAZY_DIGITS,), _first(550)),
    ("grainy", _12, (_ALL_GARMENTS,), _grainy),
    ("two classes", _12, (_SHADED_SHAPES,), _of_two),
    ("uneven to a fifth", _PRE_10, (_ALL_GARMENTS,), _uneven(1 / 5)),
    ("uneven to a fifth in both splits", _12, (_HAZY_DIGITS,), _uneven(1 / 5, both=True)),
)  # fmt: skip
_OF_SET = {
    "first": _SORTS,
    "second": _SECOND_SORTS,
    "third": _THIRD_SORTS,
    "fourth": _FOURTH_SORTS,
    "fifth": _FIFTH_SORTS,
    "sixth": _SIXTH_SORTS,
}


def healthy(
    which: Literal["first", "second", "third", "fourth", "fifth", "sixth"] = "first",
) -> dict[str, Callable[[], Plan]]:
    """All of a set by name: ``sort/network/data``."""
    return {
        f"healthy: {sort}/{network}/{data}": lambda network=network, data=data, change=change: _made(
            network, data, change
        )
        for sort, network, sets, change in _OF_SET[which]
        for data in sets
    }


def _made(network: str, data: str, change: Change) -> Plan:
    made = plan(network, data)
    change(made)
    return made
