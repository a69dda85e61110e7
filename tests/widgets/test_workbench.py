"""The workbench in a plain Python process: buttons are pressed by code, a short run really trains."""

import gc
import threading
import weakref

import pytest
import torch

import reswork as rw
from reswork.cli import _progress_line
from reswork.training.remarks import waiting_for
from reswork.training.run import Run
from reswork.widgets.run_view import RunView
from reswork.widgets.tree import close_tree
from tests.waiting import wait_for

RECIPE = rw.Recipe(steps=12, batch_size=16, learning_rate=0.05, device="cpu", compile="off", precision="fp32")
LONG = rw.Recipe(
    steps=10**6, batch_size=16, learning_rate=0.05, device="cpu", compile="off", precision="fp32"
)
NET = rw.ResNetConfig(depth=8, width=4)


@pytest.fixture
def workbench(small_data):
    made: list[rw.Workbench] = []

    def make(recipe: rw.Recipe = RECIPE) -> rw.Workbench:
        made.append(rw.Workbench(NET, small_data, recipe))
        return made[-1]

    yield make
    for each in made:
        if isinstance(each.run, rw.Run):
            each.run.stop()
            each.run.wait_until_still(300)
        each.close()


def state(bench: rw.Workbench) -> str:
    return bench.run_view.status.value.split('reswork-state">')[-1].split("<")[0]


def test_start_trains_what_the_forms_say_and_everything_is_drawn(workbench, small_data) -> None:
    bench = workbench()
    assert bench.config == rw.ResNetConfig(
        **{**NET.to_dict(), "form": "cifar", "in_channels": 1, "num_classes": 3}
    )
    bench.run_view.start.click()
    assert isinstance(bench.run, rw.Run)
    assert bench.run.wait(300) is rw.RunState.FINISHED
    wait_for(lambda: state(bench) == "finished")
    assert bench.pages.value == "Train"
    view = bench.run_view
    wait_for(lambda: "Confusion matrix" in view.tables)
    wait_for(lambda: view.loss.numbers["1/x"][1] == (12,))  # the smoothed curve has a point a step
    assert view.start.disabled is False and view.pause.disabled is True
    assert "&lt;b&gt;" not in str(bench.run_view.status.value)
    wait_for(lambda: [row["cells"]["state"] for row in bench.runs_panel.table.rows] == ["finished"])
    assert bench.runs_panel.table.rows[0]["name"] == bench.run.name


def test_fifty_clicks_start_one_run(workbench, runs_here) -> None:
    bench = workbench(LONG)
    for _ in range(50):
        bench.run_view.start.click()
    assert len(rw.runs(runs_here)) == 1
    assert len(rw.active_runs()) == 1


def test_buttons_say_at_once_what_was_asked_for_and_then_what_is(workbench) -> None:
    bench = workbench(LONG)
    bench.run_view.start.click()
    wait_for(lambda: bench.run.steps_done > 3)
    bench.run_view.pause.click()
    assert state(bench) in ("pausing", "paused")
    wait_for(lambda: state(bench) == "paused")
    step = bench.run.steps_done
    bench.run_view.one_step.click()
    wait_for(lambda: f"step {step + 1:,} of" in bench.run_view.status.value and state(bench) == "paused")
    bench.run_view.resume.click()
    wait_for(lambda: bench.run.steps_done > step + 3)
    assert state(bench) == "running"
    bench.run_view.stop.click()
    assert state(bench) in ("stopping", "stopped")
    wait_for(lambda: state(bench) == "stopped")


def test_a_new_learning_rate_lands_in_the_record_and_a_wrong_one_beside_the_button(workbench) -> None:
    bench = workbench(LONG)
    view = bench.run_view
    view.start.click()
    view.rate.value = 0.0123
    view.set_rate.click()
    wait_for(lambda: any(note.details.get("value") == 0.0123 for note in bench.run.history.notes))
    view.rate.value = -1
    view.set_rate.click()
    assert "-1" in view.error.value and view.error.layout.display is None
    view.rate.value = 0.01
    view.set_rate.click()
    assert view.error.layout.display == "none"


def test_a_second_workbench_takes_up_the_run_with_its_history(workbench, small_data) -> None:
    first = workbench(LONG)
    first.run_view.start.click()
    wait_for(lambda: first.run.steps_done > 5)
    second = workbench()
    assert second.run is first.run
    assert second.run_view.loss.numbers["1/x"][1][0] >= 1


def test_after_a_restart_the_last_run_is_offered_and_shown(workbench, small_data) -> None:
    run = rw.train(rw.resnet(NET, in_channels=1, num_classes=3), small_data, RECIPE, name="yesterday")
    run.wait(300)
    bench = workbench()
    words, show = bench._offer.children
    assert "yesterday" in words.value
    show.click()
    assert bench._offer.children == ()
    assert state(bench) == "finished"
    assert bench.run_view.loss.numbers["1/x"][1] == (12,)
    bench.run_view.pause.disabled = False
    bench.run_view.pause.click()
    assert "press Start" in bench.run_view.error.value


def test_ticked_runs_are_drawn_over_the_present_one(workbench, small_data) -> None:
    for name in ("one", "two"):
        rw.train(rw.resnet(NET, in_channels=1, num_classes=3), small_data, RECIPE, name=name).wait(300)
    bench = workbench()
    bench.watch(rw.load_run("one"))
    bench.runs_panel.tick("two")
    names = [trace.get("name") for trace in bench.run_view.loss.frame["data"]]
    assert {"one", "two"} <= set(names)


def test_a_failing_start_is_told_and_nothing_is_lost(workbench, monkeypatch) -> None:
    bench = workbench()
    bench.build.form.fields["exact_depth"].control.value = "21"
    bench.run_view.start.click()
    assert bench.pages.value == "Build"
    assert "red sentence" in bench.run_view.error.value
    assert bench.run is None


def test_a_layer_that_the_network_has_not_is_told_under_its_field(workbench) -> None:
    bench = workbench()
    bench.recipe_panel.form.fields["frozen"].control.value = "conv1, layer9"
    bench.run_view.start.click()
    assert bench.pages.value == "Recipe"
    assert "'layer9'" in bench.recipe_panel.form.fields["frozen"].error
    assert "'layer9'" in bench.run_view.error.value.replace("&#x27;", "'")
    assert bench.run is None
    bench.recipe_panel.form.fields["frozen"].control.value = "conv1, bn1"
    bench.run_view.start.click()
    bench.run.wait(300)
    bench.run_view.refresh()
    assert "conv1 and bn1 are frozen" in bench.run_view.remarks.value


def test_what_several_processes_cannot_do_is_told_under_its_field(workbench, monkeypatch, runs_here) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    bench = workbench()
    bench.engine.menu.value = "several processes, which stop with the kernel"
    bench.engine.ranks.value = 9
    bench.run_view.start.click()
    assert bench.pages.value == "Recipe" and bench.run is None
    assert "too small for 9 ranks" in bench.recipe_panel.form.fields["batch_size"].error
    bench.recipe_panel.form.fields["batch_size"].value = 18
    monkeypatch.setattr("torch.distributed.is_gloo_available", lambda: False)
    bench.run_view.start.click()
    assert "needs gloo" in bench.engine.menu.error and bench.run is None
    assert rw.runs() == []


def test_a_closed_workbench_is_collected_with_its_data(small_data, runs_here) -> None:
    def opened_and_closed() -> list[weakref.ref]:
        data = rw.datasets.digits()
        bench = rw.Workbench(NET, data, RECIPE)
        bench.run_view.start.click()
        bench.run.wait(300)
        bench.close()
        return [
            weakref.ref(thing) for thing in (bench, bench.run_view, bench.build.drawing, data.train.images)
        ]

    held = opened_and_closed()

    def gone() -> bool:
        gc.collect()
        return all(reference() is None for reference in held)

    wait_for(gone)
    assert [reference() for reference in held] == [None] * 4


def test_the_table_follows_a_run_that_begins(workbench) -> None:
    bench = workbench(LONG)
    bench.run_view.start.click()
    wait_for(lambda: [row["cells"]["state"] for row in bench.runs_panel.table.rows] == ["running"])
    assert bench.runs_panel.table.rows[0]["cells"]["step"].endswith(f"of {LONG.steps:,}")


def test_the_state_line_and_the_command_line_tell_that_a_run_compiles(
    monkeypatch: pytest.MonkeyPatch, small_data
) -> None:
    goes_on = threading.Event()

    def compile_(model: torch.nn.Module, **_: object) -> torch.nn.Module:
        goes_on.wait(300)
        raise RuntimeError("<b>no compiler</b>")

    monkeypatch.setattr("reswork.training.modes._missing_compiler", lambda kind: "")
    monkeypatch.setattr(torch, "compile", compile_)
    recipe = rw.Recipe(steps=2, batch_size=8, device="cpu", precision="fp32", compile="on")
    run = Run(rw.resnet(depth=8, width=2, in_channels=1, num_classes=3), small_data, recipe)
    run.start()
    wait_for(lambda: waiting_for(run.history) != "")
    view = RunView(run)
    view.refresh()
    assert "step 0 of 2 · compiling, which takes about 1" in view.status.value
    assert _progress_line(run).startswith("step 0/2  compiling, which takes about 1")
    goes_on.set()
    run.wait()
    view.refresh()
    assert "compiling" not in view.status.value and "not compiled" in view.status.value
    assert "The compiler failed in step 1" in view.remarks.value
    assert "It said: &lt;b&gt;no compiler" in view.remarks.value
    assert "compiling" not in _progress_line(run)
    view.refresher.stop()
    close_tree(view.bar)
    close_tree(view.plots)


def test_the_first_steps_are_told_until_one_click_and_a_teacher_brings_them_back(
    small_data, tmp_path, monkeypatch
):
    def told(**settings) -> rw.Workbench:
        benches.append(rw.Workbench(NET, small_data, RECIPE, **settings))
        return benches[-1]

    benches: list[rw.Workbench] = []
    try:
        first = told()
        (steps,) = first._first_steps.children
        assert "Press <b>Start</b>" in steps.children[0].value
        assert told()._first_steps.children, "looking is not dismissing"
        steps.button.click()
        assert first._first_steps.children == () and steps.comm is None
        assert told()._first_steps.children == ()
        assert told(first_steps=True)._first_steps.children
        (tmp_path / "file").touch()
        monkeypatch.setenv("RESWORK_CONFIG", str(tmp_path / "file" / "below"))  # cannot be written
        other = told()
        other._first_steps.children[0].button.click()
        assert other._first_steps.children == ()
    finally:
        for bench in benches:
            bench.close()


def test_a_data_set_in_the_place_of_the_network_is_told(small_data) -> None:
    with pytest.raises(rw.InvalidSetting, match=r"config is a Dataset: .* data=\.\.\."):
        rw.Workbench(small_data)
