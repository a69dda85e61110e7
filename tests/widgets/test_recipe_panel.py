import pytest

import reswork as rw
from reswork.training.recipe import Recipe
from reswork.widgets.recipe_panel import RecipePanel
from reswork.widgets.tree import close_tree


@pytest.fixture
def panel():
    panel = RecipePanel(1_000)
    panel.view.show()
    yield panel
    close_tree(panel.view)


@pytest.mark.parametrize("choice", ["auto", True, False])
def test_the_form_takes_every_memory_format_and_gives_it_back(panel, choice: bool | str) -> None:
    panel.set(Recipe(channels_last=choice))
    assert panel.recipe is not None
    assert panel.recipe.channels_last == choice


def test_every_choice_of_every_menu_is_a_recipe_or_says_why_not(panel) -> None:
    for name in ("channels_last", "precision", "optimizer", "schedule"):
        control = panel.form.fields[name].control
        for _label, value in control._options_full:
            panel.set(Recipe())
            control.value = value
            assert panel.recipe is not None, (name, value, panel.form.fields[name].error)


def test_what_means_nothing_for_the_choice_is_not_on_the_page(panel) -> None:
    fields = panel.form.fields
    panel.set(Recipe(schedule="one_cycle", optimizer="adam"))
    assert not fields["milestones"].fits and not fields["nesterov"].fits
    fields["milestones"].control.value = "2"
    assert fields["milestones"].fits and fields["milestones"].error, (
        "a wrong value stays where it can be mended"
    )
    panel.set(Recipe(schedule="step", nesterov=True))
    assert fields["milestones"].fits and fields["nesterov"].fits
    panel.set(Recipe(schedule="step", nesterov=True))
    fields["optimizer"].value = "adam"
    assert fields["nesterov"].fits and "optimizer='sgd'" in fields["nesterov"].error


def test_fine_tuning_is_written_and_read_back(panel) -> None:
    recipe = Recipe(
        frozen=("conv1", "layer1"), unfreeze_epochs={"layer1": 1.5}, layer_rates={"layer1": 0.1, "fc": 10},
        class_weights=(1, 2.5),
    )  # fmt: skip
    panel.set_augmentation(recipe.augmentation)
    panel.set(recipe)
    fields = panel.form.fields
    assert fields["frozen"].control.value == "conv1, layer1"
    assert fields["unfreeze_epochs"].control.value == "layer1: 1.5"
    assert fields["layer_rates"].control.value == "fc: 10, layer1: 0.1"
    assert fields["class_weights"].control.value == "1, 2.5"
    assert panel.recipe == recipe
    assert [trace["name"] for trace in panel.curve.frame["data"]][:3] == ["learning rate", "fc", "layer1"]
    fields["class_weights"].control.value = " balanced "
    assert panel.recipe is not None and panel.recipe.class_weights == "balanced"
    panel.set(Recipe())
    assert panel.recipe == Recipe()


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("layer_rates", "fc", "must be above 0"),
        ("layer_rates", "fc: fast", "'fast'"),
        ("layer_rates", "0.1", "gives '0.1' None"),
        ("unfreeze_epochs", "layer1: 2", "which is not frozen"),
        ("class_weights", "even", "must be 'balanced'"),
        ("class_weights", "1, -2", "above 0"),
    ],
)
def test_what_cannot_be_is_told_under_its_field(panel, name: str, text: str, words: str) -> None:
    panel.form.fields[name].control.value = text
    assert panel.recipe is None
    assert words in panel.form.fields[name].error
    panel.form.fields[name].control.value = ""
    assert panel.recipe is not None and panel.form.fields[name].error == ""


def test_what_no_task_of_a_world_takes_is_not_on_the_page() -> None:
    panel = RecipePanel(100, world=rw.worlds()["restoration"])
    names = ("label_smoothing", "mixup", "class_weights", "image_scale", "channels_last")
    assert [panel.form.fields[name].fits for name in names] == [False, False, False, False, True]
    panel.set_data(100, rw.worlds()["classification"])
    assert all(panel.form.fields[name].fits for name in names)
