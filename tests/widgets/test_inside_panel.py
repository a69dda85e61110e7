import threading

import pytest

import reswork as rw
from reswork.widgets.film_panel import FilmPanel
from reswork.widgets.inside_panel import PLOTS, InsidePanel
from reswork.widgets.tree import close_tree
from tests.waiting import wait_for

RECIPE = rw.Recipe(
    steps=10**6, batch_size=16, learning_rate=0.05, device="cpu", compile="off", precision="fp32"
)


@pytest.fixture
def run():
    run = rw.train(rw.resnet(depth=8, width=4, in_channels=1), rw.datasets.digits(), RECIPE)
    yield run
    run.stop()
    run.wait_until_still(300)


@pytest.fixture
def panel(run):
    panel = InsidePanel()
    panel.watch(run)
    panel.view.show()
    panel.table.show()
    yield panel
    close_tree(panel.view)


def test_the_plots_begin_with_the_blocks() -> None:
    assert PLOTS == (
        "shortcut_and_branch", "shortcut_cosine", "shortcut_gradients", "signal_variance", "activations", "dead_units",
        "update_ratios", "update_profile", "weight_norms", "noise_scale",
    )  # fmt: skip


def test_every_recorder_has_its_price_and_every_plot_its_numbers(panel, run) -> None:
    wait_for(lambda: run.steps_done > 120)
    run.pause()
    run.wait_until_still(300)
    panel.refresh()
    priced = [name for name, row in panel._rows.items() if "ms" in row.price.value]
    assert {"gradient_norms", "activations", "shortcut_and_branch", "update_ratios"} <= set(priced)
    assert "% of a step" in panel._total.value
    empty = [name for name in PLOTS if panel.plots[name].summary.startswith(("No ", "Nothing "))]
    assert empty == []


def test_a_tick_starts_and_stops_a_recorder_while_the_run_goes_on(panel, run) -> None:
    wait_for(lambda: len(run.history.vectors("activation_mean")) > 0)
    panel._rows["activations"].tick.value = False
    assert "activations" not in panel._recorder_controls.taken
    wait_for(lambda: run.history.notes and any(note.kind == "recorder stopped" for note in run.history.notes))
    run.pause()
    run.wait_until_still(300)
    count = len(run.history.vectors("activation_mean"))
    run.resume()
    step = run.steps_done
    wait_for(lambda: run.steps_done > step + 120)
    assert len(run.history.vectors("activation_mean")) == count
    panel._rows["activations"].tick.value = True
    wait_for(lambda: len(run.history.vectors("activation_mean")) > count)


def test_a_tick_pressed_while_the_rows_are_brought_up_to_date_is_not_lost(panel, run, monkeypatch) -> None:
    """The page is brought up to date by one thread, a person's press arrives in another."""
    row, showing, pressed = panel._rows["activations"], threading.Event(), threading.Event()
    last = list(panel._rows.values())[-1]

    def show(control, *, active) -> None:
        showing.set()
        assert pressed.wait(300)

    monkeypatch.setattr(last, "show", show)
    refreshing = threading.Thread(target=panel.refresh)
    refreshing.start()
    assert showing.wait(300)
    switch = panel.switch
    monkeypatch.setattr(panel, "switch", lambda *press: (pressed.set(), switch(*press)))
    pressing = threading.Thread(target=setattr, args=(row.tick, "value", False))
    pressing.start()
    refreshing.join(300)
    pressing.join(300)
    monkeypatch.undo()
    panel.refresh()
    assert row.tick.value is False
    assert "activations" not in panel._recorder_controls.taken


def test_interval_and_budget_reach_the_run(panel, run) -> None:
    panel._rows["update_ratios"].every.value = 7
    assert panel._recorder_controls.taken["update_ratios"].every == 7
    panel._share.value = 2.0
    assert panel._recorder_controls.share == pytest.approx(0.02)


def test_a_run_from_disk_has_its_plots_and_no_switches(panel, run) -> None:
    wait_for(lambda: run.steps_done > 60)
    run.stop()
    run.wait(300)
    panel.watch(rw.load_run(run.name))
    panel.refresh()
    assert all(row.tick.disabled for row in panel._rows.values())
    assert not panel.plots["activations"].summary.startswith(("No ", "Nothing "))


def test_the_film_grows_from_snapshots_and_keeps_what_was_pinned(run) -> None:
    data = rw.datasets.digits()
    seen: list[int] = []
    panel = FilmPanel(lambda snapshot, step: seen.append(step), interval_s=0.05)
    panel.follow(run, data)
    wait_for(lambda: panel.film.frames)
    panel.view.show()
    panel.pin(7)
    assert panel.film.pictures[-1] == 7
    wait_for(lambda: len(panel.film.frames) >= 4)
    assert panel.film.frames[0].maps.shape == (5, 8, 8)
    assert "moments from step" in panel.strip.summary
    assert seen
    panel._pinned.value = "1, many"
    assert "many" in panel._pinned.error
    panel.close()
    close_tree(panel.view)


def test_the_films_price_counts_in_the_budget_and_stands_beside_the_recorders(panel, run) -> None:
    film = FilmPanel()
    film.follow(run, rw.datasets.digits())
    wait_for(lambda: film.observer.look_s is not None)
    panel.refresh()
    assert "film strip" in panel._beside.value and "ms" in panel._beside.value
    assert film.observer in [each for each, _ in panel._recorder_controls.observers]
    film.close()
    assert panel._recorder_controls.observers == []
    panel.refresh()
    assert panel._beside.value == ""
    close_tree(film.view)
