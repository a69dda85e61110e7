import json

import pytest

from reswork.datasets.augmentation import Augmentation
from reswork.errors import InvalidSetting
from reswork.training.recipe import Recipe, check_live_setting, steps_per_epoch, total_steps


def test_json_round_trip_of_every_field():
    recipe = Recipe(
        epochs=3, steps=70, optimizer="adamw", learning_rate=1e-3, milestones=(0.3, 0.6), ema=0.99,
        augmentation=Augmentation(crop_padding=4, flip=True), channels_last=True, clip_norm=1.0,
        target_accuracy=0.9,
    )  # fmt: skip
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert json.loads(recipe.to_json())["augmentation"]["flip"] is True


def test_missing_fields_keep_their_defaults_and_unknown_ones_are_named():
    assert Recipe.from_dict({"epochs": 2}) == Recipe(epochs=2)
    with pytest.raises(InvalidSetting, match="lerning_rate is not a setting") as caught:
        Recipe.from_dict({"lerning_rate": 0.1})
    assert caught.value.field == "lerning_rate"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 0), ("epochs", 2.0), ("epochs", True), ("steps", 0), ("batch_size", 1), ("seed", -1),
        ("seed", 2**63), ("accumulate", 0), ("accumulate", 65), ("learning_rate", 0.0),
        ("learning_rate", float("nan")), ("learning_rate", "0.1"), ("momentum", 1.0), ("momentum", -0.1),
        ("weight_decay", -1e-4), ("warmup_epochs", -1), ("label_smoothing", 1.0), ("mixup", -1.0),
        ("decay_factor", 1.1), ("clip_norm", 0.0), ("ema", 1.0), ("target_accuracy", 1.5),
        ("milestones", (0.7, 0.5)), ("milestones", (0.5, 1.0)), ("optimizer", "rmsprop"),
        ("schedule", "linear"), ("precision", "fp8"), ("compile", True), ("channels_last", "yes"),
        ("channels_last", 1),
        ("deterministic", "yes"), ("augmentation", {"flip": True}),
        ("device", ""),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_under_its_own_name(field, value):
    with pytest.raises(InvalidSetting) as caught:
        Recipe(**{field: value})
    assert caught.value.field == field
    assert field in caught.value.message


def test_nesterov_needs_momentum_and_sgd():
    with pytest.raises(InvalidSetting, match="momentum above 0"):
        Recipe(nesterov=True, momentum=0.0)
    with pytest.raises(InvalidSetting, match="optimizer='sgd'"):
        Recipe(nesterov=True, optimizer="adam")


@pytest.mark.parametrize(
    ("images", "batch", "steps"), [(1000, 100, 10), (1099, 100, 10), (99, 100, 1), (100, 100, 1), (2, 128, 1)]
)
def test_the_smaller_last_batch_is_left_out_except_the_only_one(images, batch, steps):
    recipe = Recipe(epochs=3, batch_size=batch)
    assert steps_per_epoch(recipe, images) == steps
    assert total_steps(recipe, images) == 3 * steps
    assert total_steps(Recipe(steps=17, batch_size=batch), images) == 17


def test_only_three_settings_are_live():
    check_live_setting("learning_rate", 0.5)
    with pytest.raises(InvalidSetting, match="cannot be changed while a run goes on"):
        check_live_setting("batch_size", 3)
