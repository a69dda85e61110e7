import json
from dataclasses import replace

import pytest

from reswork.datasets.augmentation import Augmentation
from reswork.errors import InvalidSetting
from reswork.training.recipe import Recipe, check_live_setting, steps_per_epoch, total_steps


def test_json_round_trip_of_every_field():
    recipe = Recipe(
        epochs=3, steps=70, optimizer="adamw", learning_rate=1e-3, milestones=(0.3, 0.6), ema=0.99,
        augmentation=Augmentation(crop_padding=4, flip=True), channels_last=True, clip_norm=1.0,
        target_score=0.9, layer_rates={"layer1": 0.1, "fc": 10}, frozen=("conv1", "layer1"),
        unfreeze_epochs={"layer1.0": 1.5}, class_weights=(1.0, 2.0),
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
        ("decay_factor", 1.1), ("clip_norm", 0.0), ("ema", 1.0), ("target_score", 1.5),
        ("milestones", (0.7, 0.5)), ("milestones", (0.5, 1.0)), ("optimizer", "rmsprop"),
        ("schedule", "linear"), ("precision", "fp8"), ("compile", True), ("channels_last", "yes"),
        ("channels_last", 1),
        ("deterministic", "yes"), ("augmentation", {"flip": True}),
        ("device", ""), ("layer_rates", {"fc": 0}), ("layer_rates", {"fc": True}), ("layer_rates", {"": 1.0}),
        ("layer_rates", {1: 1.0}), ("layer_rates", [("fc", 1.0)]), ("layer_rates", {"fc": float("inf")}),
        ("layer_rates", {"fc": "fast"}), ("frozen", "fc"), ("frozen", ("",)), ("frozen", (1,)), ("frozen", None),
        ("unfreeze_epochs", {"fc": 1}), ("unfreeze_epochs", None), ("class_weights", "even"), ("class_weights", ()),
        ("image_scale", 0), ("image_scale", 1.5), ("image_scale", "half"), ("full_size_at", 0.0), ("full_size_at", 2),
        ("class_weights", (1.0, 0.0)), ("class_weights", (1.0, float("nan"))), ("class_weights", 2.0),
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


def test_numbers_of_layers_are_frozen_hashed_and_written_as_objects():
    given = {"layer1": 0.1, "fc": 10}
    recipe = Recipe(layer_rates=given, frozen=["conv1"], class_weights=[1, 2])
    given["fc"] = 3
    assert recipe.layer_rates == {"fc": 10, "layer1": 0.1}
    assert recipe == Recipe(layer_rates={"fc": 10, "layer1": 0.1}, frozen=("conv1",), class_weights=(1, 2))
    assert hash(recipe) == hash(Recipe.from_json(recipe.to_json()))
    assert hash(recipe) != hash(replace(recipe, layer_rates={}))
    written = json.loads(recipe.to_json())
    assert written["layer_rates"] == {"fc": 10, "layer1": 0.1}
    assert (written["frozen"], written["unfreeze_epochs"], written["class_weights"]) == (
        ["conv1"],
        {},
        [1, 2],
    )
    with pytest.raises(TypeError):
        recipe.layer_rates["fc"] = 1


def test_a_recipe_from_before_there_were_layers_loads():
    old = Recipe(epochs=3).to_dict()
    for name in ("layer_rates", "frozen", "unfreeze_epochs", "class_weights"):
        del old[name]
    assert Recipe.from_dict(old) == Recipe(epochs=3)


def test_only_what_is_frozen_can_join_later():
    with pytest.raises(InvalidSetting, match="'layer2', which is not frozen") as caught:
        Recipe(frozen=("layer1", "layer20"), unfreeze_epochs={"layer2": 1})
    assert caught.value.field == "unfreeze_epochs"
    Recipe(frozen=("layer1",), unfreeze_epochs={"layer1.0.conv1": 0.5})
