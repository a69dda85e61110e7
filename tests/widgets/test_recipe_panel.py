from dataclasses import replace

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


def test_a_preset_looks_chosen_only_while_the_form_equals_it() -> None:
    """Pressed by hand, changed by a field, by code, by the page Data, and pressed once more."""
    told: list[Recipe] = []
    panel = RecipePanel(1_000, preset_chosen=told.append)
    panel.view.show()
    assert panel.preset.value == panel.chosen == "quick look" and len(told) == 1
    panel.form.fields["epochs"].control.value = "7"
    assert panel.preset.value is None and len(told) == 1  # it follows, and sets nothing itself
    assert panel.recipe is not None and panel.recipe.epochs == 7
    assert "No preset as it stands: other than Quick look in Epochs." in panel._explanation.value
    panel.form.fields["epochs"].control.value = "5"
    assert panel.preset.value == "quick look" and panel._explanation.value.count("one-cycle")
    panel.set(rw.presets.FAST.recipe)
    assert panel.preset.value is None and "other than Fast in augmentation." in panel._explanation.value
    panel.set_augmentation(rw.presets.FAST.recipe.augmentation)
    assert panel.preset.value == "fast" and len(told) == 1
    panel.form.fields["learning_rate"].control.value = "many"
    assert panel.recipe is None and panel.preset.value is None
    panel.preset.value = "paper's"  # as a click does
    assert panel.recipe == rw.presets.PAPERS.recipe == told[-1] and panel.preset.value == "paper's"
    panel.set_data(50, rw.worlds()["volumes"])
    assert panel.preset.value == "volumes" and panel.recipe == rw.presets.VOLUMES.recipe
    panel.set_augmentation(panel.recipe.augmentation.fitting("volumes"))  # as the page Data has it
    assert panel.preset.value == "volumes"
    panel.set(replace(panel.recipe, class_weights=None))
    assert panel.preset.value is None and "other than Volumes in Class weights." in panel._explanation.value
    close_tree(panel.view)


def test_a_recipe_from_code_presses_no_preset_that_it_is_not() -> None:
    data, config = (
        rw.datasets.solids(train=4, test=2, size=12),
        rw.ResNetConfig(depth=8, width=2, dims=3, head="unet"),
    )
    for recipe, chosen in (
        (rw.Recipe(steps=3), None),
        (rw.presets.VOLUMES.recipe, "volumes"),
        (None, "volumes"),
    ):
        bench = rw.Workbench(config, data, recipe)
        bench.recipe_panel.view.show()
        assert bench.recipe_panel.preset.value == chosen
        told = bench.recipe_panel._explanation.value
        assert ("Epochs, or steps, Batch size, Optimizer and" in told) == (chosen is None), told
        bench.close()


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
