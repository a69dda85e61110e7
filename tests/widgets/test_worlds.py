"""The workbench asks first what the work is, and shows what fits."""

import pytest

import reswork as rw
from reswork.datasets import photographs
from reswork.errors import InvalidSetting
from reswork.widgets.build_panel import BuildPanel
from reswork.widgets.tree import close_tree
from reswork.widgets.workbench import Workbench
from tests.waiting import wait_for

RECIPE = rw.Recipe(steps=2, batch_size=16, device="cpu", precision="fp32", compile="off")


@pytest.fixture
def bench(small_data):
    made = Workbench(data=small_data, first_steps=False)
    yield made
    made.close()


def test_one_choice_brings_data_network_recipes_and_pages(bench) -> None:
    assert bench.work.value == "classification" and "Debug" in bench.pages.options
    assert bench.config.label == "ResNet-20"
    for page in ("Data", "Recipe", "Inspect", "Build"):
        bench.pages.value = page
    bench.build.form.fields["widen_factor"].control.value = 3
    bench.work.value = "tables"
    wait_for(lambda: bench.world.name == "tables")
    wait_for(lambda: not bench.data_panel._is_reading)
    assert bench.work.value == "tables" and "trees are quicker" in bench._told_work.value
    assert bench.data.name == "cancer" and bench.config.label == "Table ResNet-8"
    assert list(bench.pages.options) == ["Build", "Data", "Recipe", "Train", "Inside", "Inspect"]
    assert bench.pages.value == "Build"
    assert [label for label, _ in bench.recipe_panel.preset.options] == ["Tables"]
    assert bench.recipe == rw.worlds()["tables"].recipes["tables"].recipe
    assert [name for _, name in bench.data_panel.source.fields["name"].options] == ["cancer", "fraud", "own"]
    assert bench.build.family.options == ("ResNet (He 2015)", "Plain: no shortcuts")
    assert bench.build.form.fields["form"].view.layout.display == "none"
    bench.pages.value = "Data"
    assert not any(field.fits for field in bench.data_panel.form.fields.values())  # nothing is augmented
    assert "<th>mean radius</th>" in bench.data_panel.rows.value and "22 more" in bench.data_panel.rows.value
    recipe = bench.recipe_panel.form.fields
    assert recipe["mixup"].fits and not any(recipe[name].fits for name in ("image_scale", "channels_last"))
    bench.pages.value = "Inspect"
    assert bench.answers.view.is_shown and not bench.inspector.view.is_shown
    bench.work.value = "classification"
    wait_for(lambda: bench.world.name == "classification")
    wait_for(lambda: not bench.data_panel._is_reading)
    assert bench.config.label == "ResNet-20" and bench.config.widen_factor == 1
    assert "Debug" in bench.pages.options and bench.pages.value == "Inspect" and bench.inspector.view.is_shown
    assert bench.build.form.fields["form"].view.layout.display is None


def test_what_cannot_be_read_is_told_and_the_world_stays(bench, monkeypatch) -> None:
    def broken(name: str) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr("reswork.widgets.data_panel.datasets.load", broken)
    bench.pages.value = "Data"
    bench.work.value = "text"
    wait_for(lambda: "disk is gone" in bench.run_view.error.value)
    assert bench.work.value == bench.world.name == "classification"
    assert "disk is gone" in bench.data_panel.source.fields["name"].error
    assert bench.data_panel.source.values["name"] == "own"  # the set that was given by hand


def test_a_run_of_another_world_from_the_table_turns_the_page_to_it(bench) -> None:
    data = rw.datasets.cancer()
    run = rw.train(rw.resnet(rw.config_for(data, depth=4, width=4)), data, RECIPE, name="cells")
    run.wait(300)
    seen = rw.train(
        rw.resnet(rw.config_for(bench.data, depth=8, width=2)), bench.data, RECIPE, name="pictures"
    )
    seen.wait(300)
    bench.watch(rw.load_run("pictures"))
    assert bench.time_machine.view.layout.display is None, "there are moments to look back to"
    bench.watch(rw.load_run("cells"))
    wait_for(lambda: bench.world.name == "tables" and bench.answers._looked is not None)
    assert bench.time_machine.view.layout.display == "none", "those of the pictures are not this run's"
    assert bench.work.value == "tables" and bench.data.fingerprint == data.fingerprint
    assert " rows/s" in bench.run_view.status.value
    bench.pages.value = "Inspect"
    assert "after 2 steps" in bench.answers._note.value
    bench.simple.button.click()
    wait_for(lambda: not bench.simple.button.disabled)
    told = bench.simple._table.value
    assert "logistic regression" in told and "the network, 2 steps" in told and told.count("%") == 3


def test_a_set_that_calls_itself_otherwise_is_shown_as_it_was_chosen(bench, monkeypatch) -> None:
    data = photographs(scale=2, patches=8, patch=16)
    monkeypatch.setattr("reswork.widgets.data_panel.datasets.load", lambda name: data)
    bench.work.value = "restoration"
    wait_for(lambda: bench.data is data and not bench.data_panel._is_reading)
    assert data.name != "photographs" and bench.data_panel.source.values["name"] == "photographs"


def test_a_second_workbench_turns_to_the_world_of_a_run_that_goes_on(small_data) -> None:
    data = rw.datasets.pulses(train=24, test=12, length=32)
    long = rw.Recipe(steps=10**6, batch_size=8, device="cpu", precision="fp32", compile="off")
    run = rw.train(rw.resnet(rw.config_for(data, width=2)), data, long)
    made = Workbench(data=small_data, first_steps=False)
    try:
        assert made.run is run and made.world.name == "signals" and made.data is data
        assert made.config.dims == 1
    finally:
        run.stop()
        run.wait()
        made.close()


def test_one_world_can_be_given_by_code() -> None:
    made = Workbench(world="signals", first_steps=False)
    try:
        assert made.data.name == "pulses" and made.config.label == "1-D ResNet-8"
        assert made.recipe == rw.worlds()["signals"].recipes["signals"].recipe
    finally:
        made.close()
    with pytest.raises(InvalidSetting, match="world='text', and 'pulses' is for world='signals'"):
        Workbench(data=made.data, world="text")


def test_networks_for_photographs_keep_what_was_chosen_for_them() -> None:
    data = photographs(scale=2, patches=12, patch=16).subset(test=4)
    config = rw.ResNetConfig(
        depth=8, width=6, norm="none", order="pre", head="vdsr", scale=2, num_classes=3, add_input=False
    )
    made = Workbench(config, data, first_steps=False)
    try:
        assert made.config.head == "vdsr" and made.config.add_input is False and made.config.scale == 2
        made.build.form.fields["add_input"].value = True
        made.build.form.fields["head"].value = "edsr"
        assert made.config.label.startswith("EDSR x2") and made.config.add_input
        made.build.set(**{"residual": False})
        assert made.config.norm == "none" and made.config.width == 20  # what the world begins with
    finally:
        made.close()


def test_a_family_that_makes_no_network_for_the_data_is_not_offered() -> None:
    panel = BuildPanel()
    panel.view.show()
    assert len(panel.family.options) == 9
    data = rw.datasets.pulses(train=8, test=4, length=64)
    world = rw.worlds()["signals"]
    head = rw.tasks.task_for(data).head(data)
    panel.set_input(data.input_shape, head, begin=world.config(data), one=world.one)
    assert "No norm, Fixup" not in panel.family.options and "No norm, SkipInit" in panel.family.options
    for name in panel.family.options:
        panel.family.value = name
        assert panel.config is not None and panel.config.dims == 1, name
    assert "one signal" in panel._sums.value and "picture" not in panel._sums.value
    close_tree(panel.view)
