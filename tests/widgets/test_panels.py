"""The three forms, without a kernel: what a person sees and what the code gets."""

import threading
from dataclasses import replace

import ipywidgets as w
import numpy as np
import pytest

import reswork as rw
from reswork.datasets.progress import Ticker
from reswork.widgets.build_panel import FAMILIES, BuildPanel
from reswork.widgets.data_panel import DataPanel
from reswork.widgets.recipe_panel import RecipePanel
from tests.waiting import wait_for


def menus(panel) -> dict[str, w.Dropdown]:
    fields = panel.form.fields
    return {name: f.control for name, f in fields.items() if isinstance(f.control, w.Dropdown)}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_builds_and_no_menu_is_empty(family: str) -> None:
    panel = BuildPanel()
    panel.view.show()
    panel.set_input((3, 64, 64), {"in_channels": 3, "num_classes": 7})
    panel.set(**FAMILIES[family])
    assert panel.config is not None, [f.error for f in panel.form.fields.values() if f.error]
    assert (panel.config.in_channels, panel.config.num_classes) == (3, 7)
    for name, menu in menus(panel).items():
        assert menu.label, f"the menu of {name} shows nothing"


@pytest.mark.parametrize(
    "config",
    [
        rw.ResNetConfig(depth=1202),
        rw.ResNetConfig(depth=None, stage_blocks=(1, 2, 1, 1), width=24),
        rw.ResNetConfig(depth=50, groups=32, bottleneck_width=4, stem="resnet_d"),
        rw.ResNetConfig(depth=20, norm="group", shortcut="C", shortcuts_off=("layer2.1",)),
        rw.ResNetConfig.wide(28, 10, dropout=0.3),
    ],
    ids=lambda config: config.label,
)
def test_a_config_goes_through_the_form_unchanged(config: rw.ResNetConfig) -> None:
    panel = BuildPanel()
    panel.view.show()
    panel.set_input((3, 64, 64), {"in_channels": 3, "num_classes": 10})
    panel.set_config(config)
    assert panel.config is not None
    assert panel.config.resolved() == config.resolved()


def test_the_data_set_decides_the_head() -> None:
    panel = BuildPanel()
    panel.view.show()
    panel.set_input((3, 64, 64), {"in_channels": 3, "num_classes": 7, "head": "unet"})
    panel.set(residual=False)
    assert panel.config is not None and panel.sheet is not None
    assert panel.config.label == "U-Net on Plain-20" and panel.sheet.output_shape == (7, 64, 64)
    panel.set_input((3, 64, 64), {"in_channels": 3, "num_classes": 7})
    assert panel.config is not None and panel.config.label == "Plain-20"


def test_the_error_stands_under_the_control_and_the_drawing_stays() -> None:
    panel = BuildPanel()
    panel.view.show()
    drawn = panel.drawing.numbers
    panel.form.fields["exact_depth"].control.value = "21"
    assert panel.config is None
    assert "21" in panel.form.fields["exact_depth"].error
    assert panel.drawing.numbers == drawn
    panel.form.fields["exact_depth"].control.value = ""
    assert panel.config is not None
    assert not panel.form.fields["exact_depth"].error


def test_a_click_on_a_block_tells_its_numbers() -> None:
    panel = BuildPanel()
    panel.view.show()
    panel._show_block("layer2.0")
    assert "layer2.0" in panel._block.value
    assert "padding" in panel._block.value
    before = panel._block.value
    panel._show_block("layer9.9")
    assert panel._block.value == before


def test_presets_fill_the_form_and_a_recipe_goes_through_it_unchanged() -> None:
    panel = RecipePanel(10_000)
    panel.view.show()
    for name, preset in rw.presets.PRESETS.items():
        panel.use_preset(name)
        assert panel.recipe == preset.recipe
        assert preset.explanation[:20] in panel._explanation.value
        assert all(menu.label for menu in menus(panel).values())
    recipe = rw.Recipe(steps=77, optimizer="adamw", learning_rate=1e-3, ema=0.99, channels_last=True, seed=3)
    panel.set(recipe)
    panel.set_augmentation(recipe.augmentation)
    assert panel.recipe == recipe
    assert "77 steps" in panel._sums.value


def test_an_impossible_recipe_says_so_under_its_field() -> None:
    panel = RecipePanel(10_000)
    panel.view.show()
    panel.form.fields["learning_rate"].control.value = "fast"
    assert panel.recipe is None
    assert "fast" in panel.form.fields["learning_rate"].error
    panel.form.fields["learning_rate"].control.value = "0.05"
    assert panel.recipe is not None
    assert panel.recipe.learning_rate == 0.05


def test_another_data_set_is_read_in_the_background(small_data) -> None:
    changes: list[str] = []
    panel = DataPanel(small_data, lambda: changes.append(panel.data.name))
    panel.view.show()
    assert "<b>one" not in str(panel.counts.frame)
    panel.source.fields["name"].control.value = "digits"
    wait_for(lambda: panel.data.name == "digits" and not panel.load.disabled)
    assert changes[-1] == "digits"
    assert panel._status.value.startswith("digits:")


def test_a_path_that_is_not_there_leaves_the_data_as_it_is(small_data) -> None:
    panel = DataPanel(small_data)
    panel.view.show()
    panel.source.fields["path"].control.value = "/nowhere/<b>pictures"
    panel.load.click()
    wait_for(lambda: not panel.load.disabled)
    assert panel.data is small_data
    assert "/nowhere" in panel.source.fields["path"].error
    assert "<b>pictures" not in panel.source.fields["path"]._error.value


def test_a_long_reading_shows_how_far_it_is(small_data, monkeypatch) -> None:
    goes_on = threading.Event()

    def read_slowly(name: str) -> rw.datasets.Dataset:
        with Ticker("Decoding <b>", 1_000) as ticker:
            ticker.advance(250)
            assert goes_on.wait(300)
        return small_data

    monkeypatch.setattr("reswork.datasets.progress.FIRST_S", 0.0)
    monkeypatch.setattr("reswork.datasets.progress.EVERY_S", 0.0)
    panel = DataPanel(small_data)
    panel.world = replace(panel.world, read=read_slowly)
    panel.view.show()
    panel.source.fields["path"].control.value = "/large"
    panel.load.click()
    wait_for(lambda: "Decoding &lt;b&gt;: 250 of 1,000 images" in panel._status.value)
    assert "left" in panel._status.value
    assert '<progress max="1" value="0.2500"' in panel._status.value
    goes_on.set()
    wait_for(lambda: not panel.load.disabled)
    assert "progress" not in panel._status.value


def test_own_arrays_as_an_npz_file(small_data, tmp_path) -> None:
    images, labels = small_data.train.images.numpy(), small_data.train.labels.numpy()
    np.savez(tmp_path / "mine.npz", train_images=images, train_labels=labels)
    panel = DataPanel(small_data)
    panel.view.show()
    panel.source.fields["name"].control.value = "own"
    panel.source.fields["path"].control.value = str(tmp_path / "mine.npz")
    panel.load.click()
    wait_for(lambda: panel.data is not small_data)
    assert panel.data.input_shape == (1, 8, 8)


def test_augmentation_reaches_the_preview(small_data) -> None:
    panel = DataPanel(small_data)
    panel.view.show()
    before = panel.augmented.numbers | panel.augmented.frame
    panel.form.fields["cutout"].control.value = 6
    assert panel.augmentation == rw.Augmentation(cutout=6)
    assert (panel.augmented.numbers | panel.augmented.frame) != before


def test_the_data_set_that_was_chosen_last_is_used_however_long_another_takes(
    small_data, monkeypatch
) -> None:
    goes_on, read = threading.Event(), threading.Event()

    def reading(name: str) -> rw.datasets.Dataset:
        if name == "cifar10":
            assert goes_on.wait(300)
            read.set()
            return small_data
        return rw.datasets.digits()

    monkeypatch.setattr("reswork.widgets.data_panel.datasets.load", reading)
    panel = DataPanel(small_data)
    panel.view.show()
    name = panel.source.fields["name"].control
    name.value = "cifar10"
    name.value = "digits"
    wait_for(lambda: panel.data.name == "digits" and not panel.load.disabled)
    slow = next(each for each in threading.enumerate() if each.name == "reswork-background")
    goes_on.set()
    slow.join(300)
    assert read.is_set() and panel.data.name == "digits"
