"""The time machine without a page: the slider is moved by code, and the jobs really run."""

import threading

import pytest
import torch
from ipywidgets.widgets.widget import _instances

import reswork as rw
from reswork.widgets.compare_moments import difference_html
from reswork.widgets.scrubber import Scrubber, marks_html
from reswork.widgets.time_machine import TimeMachine
from reswork.widgets.tree import close_tree
from tests.waiting import wait_for

RECIPE = rw.Recipe(
    steps=12, batch_size=32, device="cpu", precision="fp32", channels_last=False, compile="off"
)


@pytest.fixture
def trained(small_data):
    def make(**settings) -> rw.Run:
        torch.manual_seed(0)
        net = rw.resnet(depth=8, width=4, in_channels=1, num_classes=3)
        run = rw.train(net, small_data, rw.Recipe.from_dict(RECIPE.to_dict() | settings))
        run.wait(300)
        return run

    return make


@pytest.fixture
def bench(small_data):
    bench = rw.Workbench(rw.ResNetConfig(depth=8, width=4), small_data, RECIPE)
    yield bench
    bench.close()


def settle(machine: TimeMachine) -> None:
    assert machine._worker.wait(300)
    assert machine.scrubber.error.layout.display == "none", machine.scrubber.error.value


def cursor(figure) -> list[float]:
    return [shape["x0"] for shape in figure.frame["layout"].get("shapes", ())]


def test_the_slider_turns_every_panel_to_a_moment_and_now_turns_them_back(bench, trained) -> None:
    run = trained()
    bench.watch(run)
    machine = bench.time_machine
    assert machine.scrubber.view.layout.display is None
    assert machine.scrubber.slider.max == 12 and machine.step is None
    machine.sections.selected_index = 0
    settle(machine)
    step = rw.moments(run).steps[3]
    machine.scrubber.slider.value = step
    settle(machine)
    view = bench.run_view
    for figure in (view.loss, view.score, view.rates):
        assert cursor(figure)[-1] == step
    view.draw_beside({"other": run.history})
    for figure in (view.loss, view.score, view.rates):
        assert f"tep {step} " in figure.summary
    for figure in (view.loss, view.score, view.heat, view.profile, view.rates, view.speed):
        assert "step 12" not in figure.summary
    assert f"step {step}" in machine.scrubber.told.value
    assert machine.column.look.step == step
    assert "step 12" not in view.profile.frame["data"][-1]["name"]
    assert f"{step}:" in str(machine.column.strip.frame["layout"]["annotations"])
    assert view.tables["Confusion matrix"].summary == machine.column.confusion.summary
    bench.pages.value = "Inspect"
    assert (
        "The network after" in bench.inspector._note.value and f"{step} steps" in bench.inspector._note.value
    )
    machine.scrubber.now.click()
    settle(machine)
    bench.pages.value = "Train"
    assert machine.step is None and cursor(view.loss) == []
    assert machine.scrubber.slider.value == 12


def test_a_move_that_comes_while_the_run_moves_the_slider_is_not_lost() -> None:
    turned: list[int] = []
    scrubber = Scrubber(turned.append, lambda: None, lambda by: None, lambda: None)
    scrubber.view.show()
    scrubber.show(None, [0, 4], 4, 0, None)

    def person(_change: object) -> None:
        thread = threading.Thread(target=lambda: setattr(scrubber.slider, "value", 1))
        thread.start()
        thread.join()

    scrubber.slider.observe(person, names="max")
    scrubber.show(None, [0, 4], 9, 0, None)
    assert turned == [1]
    close_tree(scrubber.view)


def test_a_step_that_was_not_kept_says_which_is_shown(bench, trained) -> None:
    run = trained()
    for step in rw.moments(run).steps[1:-1]:
        (rw.moments(run).folder / f"{step:08}.safetensors").unlink()
    bench.watch(run)
    machine = bench.time_machine
    machine.sections.selected_index = 0
    settle(machine)
    machine.scrubber.slider.value = 9
    settle(machine)
    assert "its weights were not kept, so networks are those of step 12" in machine.scrubber.told.value
    assert "Step 9 was not kept" in machine.column._facts.value


def test_the_film_runs_from_the_first_moment_to_the_last_and_can_be_held(bench, trained, monkeypatch) -> None:
    run = trained()
    bench.watch(run)
    machine = bench.time_machine
    machine.player._interval_s = 0.01
    seen: list[int] = []
    monkeypatch.setattr(machine, "_seen", lambda look: seen.append(look.step))
    machine.scrubber.film.click()
    wait_for(lambda: not machine._playing)
    settle(machine)
    steps = list(rw.moments(run).steps)
    assert sorted(set(seen)) == steps and machine.scrubber.film.description == "Play"
    machine.scrubber.film.click()
    assert machine.scrubber.film.description == "Hold"
    machine.scrubber.film.click()
    assert machine.scrubber.film.description == "Play"


def test_two_moments_and_two_runs_stand_side_by_side_with_the_difference_in_words(bench, trained) -> None:
    first, second = trained(), trained(learning_rate=0.01)
    bench.watch(second)
    machine = bench.time_machine
    machine.sections.selected_index = 0
    settle(machine)
    machine.scrubber.slider.value = 0
    machine.beside.tick.value = True
    settle(machine)
    assert len(machine._columns.children) == 2
    assert machine.beside.column.look.step == 12
    assert "conv1" in machine.column.filters.summary and "conv1" in machine.beside.column.maps.summary
    assert "ResNet-8" in machine.beside.column.drawing.summary
    assert "Half of the layers&#x27; weights moved" in machine.beside.difference.value
    machine.beside.run_menu.value = first.name
    settle(machine)
    assert machine.beside.column.look.name == first.name
    assert "learning_rate 0.01 → 0.1" in machine.beside.difference.value
    machine.beside.tick.value = False
    assert len(machine._columns.children) == 1


def test_branch_here_starts_a_run_that_is_watched_at_once_and_stands_in_the_tree(bench, trained) -> None:
    run = trained()
    bench.watch(run)
    machine = bench.time_machine
    machine.sections.selected_index = 1
    machine.branch_form.button.click()
    assert "Move the slider" in machine.branch_form.form.fields["learning_rate"].error
    machine.scrubber.slider.value = 4
    settle(machine)
    machine.branch_form.form.set(learning_rate=0.02, shortcuts_off="layer2.0")
    machine.branch_form.button.click()
    new = bench.run
    assert new is not run and new.wait(300) is rw.RunState.FINISHED
    saved = rw.load_run(new.name)
    assert saved.parent["run"] == run.name
    assert saved.parent["changes"] == {"learning_rate": [0.1, 0.02], "shortcuts_off": [[], ["layer2.0"]]}
    assert machine.branch_form.form.values["learning_rate"] is None
    machine.sections.selected_index = 2
    assert f"{new.name} branched off {run.name} at step" in machine.tree.summary
    machine._open_from_tree(run.name)
    assert bench.run.name == run.name


def test_a_wrong_setting_of_a_branch_is_told_under_its_field(bench, trained) -> None:
    bench.watch(trained())
    machine = bench.time_machine
    machine.scrubber.slider.value = 4
    settle(machine)
    machine.sections.selected_index = 1
    machine.branch_form.form.set(learning_rate=-3.0)
    machine.branch_form.button.click()
    assert "learning_rate=-3" in machine.branch_form.form.fields["learning_rate"].error


def test_a_run_without_moments_has_no_slider(bench, small_data) -> None:
    run = rw.train(
        rw.resnet(depth=8, width=4, in_channels=1, num_classes=3), small_data, RECIPE, moments_bytes=0
    )
    run.wait(300)
    bench.watch(run)
    assert bench.time_machine.scrubber.view.layout.display == "none"


def test_while_a_run_goes_on_the_past_stays_and_marks_grow(bench, small_data) -> None:
    net = rw.resnet(depth=8, width=4, in_channels=1, num_classes=3)
    run = rw.train(net, small_data, rw.Recipe.from_dict(RECIPE.to_dict() | {"steps": 10**6}), start=False)
    run.step(6)
    run.wait_until_still(300)
    bench.watch(run)
    machine = bench.time_machine
    wait_for(lambda: machine.scrubber.slider.max == 6)
    machine.sections.selected_index = 0
    settle(machine)
    machine.scrubber.slider.value = 2
    settle(machine)
    run.step(20)
    run.wait_until_still(300)
    bench.run_view.refresh()
    assert machine.scrubber.slider.value == 2 and machine.scrubber.slider.max == 26 and machine.step == 2
    assert cursor(bench.run_view.loss)[-1] == 2
    before = machine.column.look
    bench._snapshot_taken(run.snapshot(), 26)
    assert machine.column.look is before
    machine._budget.value = 0.05
    run.moments.wait()
    assert rw.moments(run).bytes <= 50_000
    machine.sections.selected_index = 1
    machine.branch_form.button.click()
    assert "press Stop first" in machine.branch_form.form.fields["learning_rate"].error
    run.stop()
    run.wait(300)


def test_names_are_escaped_and_everything_is_closed(small_data) -> None:
    before = set(_instances)
    machine = TimeMachine(small_data)
    machine.scrubber.view.show()
    for section in range(3):
        machine.sections.selected_index = section
    machine.beside.tick.value = True
    machine.beside.tick.value = False
    machine.close()
    for widget in (machine.scrubber.view, machine.view):
        close_tree(widget)
    assert set(_instances) <= before
    assert "<img" not in difference_html(["<img src=x onerror=alert(1)>"])
    assert marks_html([0, 5], 10).count("<i ") == 2


def test_a_choice_that_comes_while_the_layers_are_offered_is_not_lost(bench, trained) -> None:
    run = trained()
    bench.watch(run)
    machine = bench.time_machine
    machine._past.show()
    settle(machine)

    def person(_change: object) -> None:
        thread = threading.Thread(target=lambda: setattr(machine._budget, "value", 2.0))
        thread.start()
        thread.join(300)

    machine._layer.observe(person, names="options")
    assert machine._layer.options
    machine._offer_past()
    assert machine._budget.value == 2.0 and rw.moments(run).most_bytes == 2_000_000
