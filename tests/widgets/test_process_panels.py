"""The panels with a run of another process, whose worker is a thread here."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import reswork as rw
from reswork.experiment.processes import ProcessRun
from reswork.widgets.engine_choice import EngineChoice
from reswork.widgets.film_panel import FilmPanel
from reswork.widgets.inside_panel import InsidePanel
from reswork.widgets.tree import close_tree
from tests.served_runs import RECIPE, served_runs, small_digits
from tests.waiting import wait_for


@pytest.fixture
def run(tmp_path: Path) -> Iterator[ProcessRun]:
    with served_runs(tmp_path) as make:
        yield make(replace(RECIPE, steps=10**6), default=True)[0]


def test_the_view_steers_it_and_offers_to_kill_it_only_while_it_stops(run) -> None:
    view = rw.live(run)
    part = view.run_view
    run.start()
    part.watch(run)
    wait_for(lambda: run.steps_done > 3)
    wait_for(lambda: f"process {run.pid}" in part.status.value)
    part.pause.click()
    wait_for(lambda: "paused" in part.status.value)
    step = run.steps_done
    part.one_step.click()
    wait_for(
        lambda: f"step {step + 1:,} of" in part.status.value and part.loss.numbers["1/x"][1] == (step + 1,)
    )
    part.rate.value = 0.0123
    part.set_rate.click()
    assert part.error.layout.display == "none"
    assert part.kill.layout.display == "none"
    part.resume.click()
    wait_for(lambda: any(note.details.get("value") == 0.0123 for note in run.history.notes))
    ask, run.stop = run.stop, lambda: None  # one that does not obey
    part.stop.click()
    assert part.kill.layout.display is None
    run.stop = ask
    part.stop.click()
    wait_for(lambda: "stopped" in part.status.value)
    assert part.kill.layout.display == "none"
    view.close()


def test_recorders_are_switched_paced_and_priced_in_the_worker(run) -> None:
    panel = InsidePanel()
    panel.view.show()
    panel.table.show()
    run.start()
    panel.watch(run)
    wait_for(lambda: run.steps_done > 60)
    panel.refresh()
    assert "ms" in panel._rows["losses"].price.value and "% of a step now" in panel._total.value
    panel._rows["activations"].tick.value = False
    assert "activations" not in run.recorders
    wait_for(lambda: any(note.kind == "recorder stopped" for note in run.history.notes))
    panel._rows["update_ratios"].every.value = 7
    assert panel._recorder_controls.taken["update_ratios"].every == 7
    panel._share.value = 2.0
    assert panel._recorder_controls.share == pytest.approx(0.02)
    run.stop()
    run.wait(300)
    panel.refresh()
    assert all(row.tick.disabled for row in panel._rows.values())
    close_tree(panel.view)


def test_the_film_and_the_inspector_look_at_its_snapshots(run) -> None:
    film = FilmPanel()
    run.step(2)
    run.wait_until_still(300)
    film.follow(run, small_digits())
    wait_for(lambda: film.film is not None and film.film.frames)
    assert [each for each, _ in run.recorder_controls.observers] == [film.observer]
    assert film.film is not None and film.film.frames[-1].step == 2
    view = rw.inspect(run, small_digits())
    assert "step 2" in view.panel._note.value
    view.close()
    film.close()
    assert run.recorder_controls.observers == []
    close_tree(film.view)


def test_the_choice_says_what_train_takes_and_explains_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    choice = EngineChoice()
    choice.view.show()
    assert choice.settings == {"engine": "thread"}
    seen = set()
    for words in choice.menu.options:
        choice.menu.value = words
        seen.add(choice._line.value)
    assert choice.settings == {"engine": "torchrun", "when_kernel_ends": "stop", "ranks": 2}
    choice.ranks.value = 3
    assert choice.settings["ranks"] == 3 and choice.ranks.view.layout.display is None
    choice.menu.value = choice.menu.options[2]
    assert choice.settings == {"engine": "process", "when_kernel_ends": "go_on"}
    assert choice.ranks.view.layout.display == "none"
    assert len(seen) == 4
    close_tree(choice.view)


@pytest.mark.parametrize("missing", ["gloo", "a second core"])
def test_several_processes_are_offered_only_where_they_work(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if missing == "gloo":
        monkeypatch.setattr("torch.distributed.is_gloo_available", lambda: False)
    else:
        monkeypatch.setattr("os.cpu_count", lambda: 1)
        monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    choice = EngineChoice()
    assert len(choice.menu.options) == 3 and "several" not in " ".join(choice.menu.options)
    close_tree(choice.view)
