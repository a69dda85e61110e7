"""The table of runs in a plain Python process: what a click sends is handed in as the page would."""

import os
import time
from pathlib import Path
from typing import Any

import ipywidgets as w
import pytest

import reswork as rw
from reswork.store.directory import RUN_FILE, writer_lock
from reswork.widgets.runs_panel import SHOWN, RunsPanel
from reswork.widgets.seeds_view import SeedsView
from reswork.widgets.tree import close_tree
from tests.store.made_runs import HOSTILE, made_run

RECIPE = rw.Recipe(steps=20, batch_size=8)


class Seen:
    """A panel and what it asked the workbench to do."""

    def __init__(self) -> None:
        self.drawn: dict[str, Any] = {}
        self.opened: list[rw.SavedRun] = []
        self.panel = RunsPanel(self._draw, self.opened.append)
        self.panel.view.show()

    def _draw(self, drawn: Any) -> None:
        self.drawn = dict(drawn)

    def click(self, kind: str, name: str) -> None:
        self.panel.table._handle_custom_msg({"kind": kind, "name": name}, [])

    @property
    def names(self) -> list[str]:
        return [row["name"] for row in self.panel.table.rows]

    def shown(self) -> str:
        """All HTML of the panel that is on the page."""
        return " ".join(_html(self.panel.view))


def _html(widget: Any) -> list[str]:
    if widget.layout.display == "none":
        return []
    if isinstance(widget, w.HTML):
        return [widget.value]
    return [text for child in getattr(widget, "children", ()) for text in _html(child)]


@pytest.fixture
def seen(runs_here: Path) -> Any:
    for place in range(SHOWN + 3):
        made_run(
            runs_here, f"run-{place:02}", accuracy=0.5 + place / 100, created=f"2026-01-{place + 1:02}T00:00:00+00:00",
            depth=20 if place % 2 else 8, recipe=rw.Recipe(steps=20, batch_size=8, seed=place % 3),
        )  # fmt: skip
    seen = Seen()
    yield seen
    close_tree(seen.panel.view)


def test_a_page_of_the_newest_runs_is_shown_and_the_rest_by_turning(seen: Seen) -> None:
    panel = seen.panel
    assert seen.names == [f"run-{place:02}" for place in range(14, 2, -1)]
    assert "15 runs, 1 to 12 shown" in seen.shown()
    assert (panel.before.disabled, panel.after.disabled) == (True, False)
    panel.after.click()
    assert seen.names == ["run-02", "run-01", "run-00"]
    assert "13 to 15 shown" in seen.shown()
    assert (panel.before.disabled, panel.after.disabled) == (False, True)
    panel.turn(99)
    panel.before.click()
    assert len(seen.names) == SHOWN


def test_a_head_sorts_and_pressed_again_the_other_way_round(seen: Seen) -> None:
    seen.click("sort", "score")
    assert seen.names[:2] == ["run-14", "run-13"] and seen.panel.table.sort == ["score", True]
    seen.click("sort", "score")
    assert seen.names[:2] == ["run-00", "run-01"] and seen.panel.table.sort == ["score", False]
    seen.click("sort", "loss")
    assert seen.names[0] == "run-14"
    seen.click("sort", "nonsense")
    seen.panel.table._handle_custom_msg({"kind": "launch", "name": 3}, [])
    seen.panel.table._handle_custom_msg("text", [])
    assert seen.panel.table.sort == ["loss", False]


def test_a_search_finds_over_all_pages_and_keeps_the_ticks(seen: Seen) -> None:
    seen.click("tick", "run-14")
    seen.panel.after.click()
    seen.panel.search.value = "resnet-8 -00"
    assert seen.names == ["run-00"]
    assert "1 of 15 runs found" in seen.shown()
    seen.panel.search.value = "nothing has this"
    assert seen.names == [] and "0 of 15 runs found" in seen.shown()
    seen.panel.search.value = ""
    assert [row["ticked"] for row in seen.panel.table.rows] == [True] + [False] * 11


def test_ticked_runs_are_drawn_and_their_differences_shown(seen: Seen) -> None:
    seen.click("tick", "run-14")
    assert list(seen.drawn) == ["run-14"] and "Settings that differ" not in seen.shown()
    seen.click("tick", "run-13")
    assert list(seen.drawn) == ["run-14", "run-13"]
    shown = seen.shown()
    assert "network: depth" in shown and "recipe: seed" in shown and "learning_rate" not in shown
    seen.click("untick", "run-14")
    assert list(seen.drawn) == ["run-13"]
    seen.panel.untick.click()
    assert seen.drawn == {} and seen.panel.ticked == ()


def test_seeds_are_drawn_together_and_two_groups_weighed(seen: Seen) -> None:
    for place in (0, 2, 4, 1, 3, 5):
        seen.click("tick", f"run-{place:02}")
    assert len(seen.drawn) == 6
    seen.panel.seeds.value = True
    assert [len(group) for group in seen.drawn.values()] == [3, 3]
    assert list(seen.drawn) == ["run", "run (2)"]
    assert "3 against 3 runs: the difference of 1.0 points is not larger than the spread" in seen.shown()
    seen.panel.seeds.value = False
    assert len(seen.drawn) == 6


def test_a_note_is_written_shown_and_found(seen: Seen) -> None:
    seen.click("note", "run-03")
    assert "Note on run-03" in seen.shown()
    seen.panel.note.text.value = "the <b>good</b> one"
    seen.panel.note.keep.click()
    assert rw.load_run("run-03").note == "the <b>good</b> one"
    seen.panel.search.value = "good one"
    assert seen.names == ["run-03"]
    assert seen.panel.table.rows[0]["cells"]["note"] == "the <b>good</b> one"
    assert "Note on" not in seen.shown()
    seen.click("note", "run-03")
    assert seen.panel.note.text.value == "the <b>good</b> one"
    seen.panel.note.text.value = "x" * 20_000
    seen.panel.note.keep.click()
    assert "at most 16,384" in seen.shown()
    seen.panel.note.leave.click()
    assert rw.load_run("run-03").note == "the <b>good</b> one"


def test_a_run_is_deleted_only_after_the_second_button(seen: Seen, runs_here: Path) -> None:
    seen.click("tick", "run-14")
    seen.click("delete", "run-14")
    assert (runs_here / "run-14").exists()
    assert seen.panel.delete.sure.description == "Really delete run-14"
    seen.panel.delete.leave.click()
    seen.panel.delete.sure.click()  # hidden now: does nothing
    assert (runs_here / "run-14").exists()
    seen.click("delete", "run-14")
    seen.panel.delete.sure.click()
    assert not (runs_here / "run-14").exists()
    assert "run-14" not in seen.names and seen.drawn == {} and "run-14 was deleted." in seen.shown()


def test_a_run_that_is_written_and_a_foreign_file_are_told(seen: Seen, runs_here: Path) -> None:
    with writer_lock(runs_here / "run-13").acquire(timeout=0):
        seen.click("delete", "run-13")
        seen.panel.delete.sure.click()
    assert "is being written; stop it first" in seen.shown() and (runs_here / "run-13" / RUN_FILE).exists()
    (runs_here / "run-12" / "<b>mine.txt").write_text("")
    seen.click("delete", "run-12")
    seen.panel.delete.sure.click()
    assert "no part of a run: &lt;b&gt;mine.txt" in seen.shown()


def test_a_run_that_somebody_else_deleted_is_one_sentence(seen: Seen) -> None:
    seen.click("tick", "run-14")
    rw.load_run("run-14").delete()
    seen.click("show", "run-14")
    assert "Run &#x27;run-14&#x27; is gone; it was deleted or moved." in seen.shown()
    assert seen.opened == [] and seen.drawn == {} and "run-14" not in seen.names
    seen.click("show", "run-13")
    assert [run.name for run in seen.opened] == ["run-13"] and "is gone" not in seen.shown()


@pytest.mark.parametrize(("button", "ending"), [("page", "html"), ("csv", "csv")])
def test_ticked_runs_are_saved_beside_their_folder_and_offered(
    seen: Seen, runs_here: Path, button: str, ending: str
) -> None:
    press = getattr(seen.panel.export, button).click
    press()
    assert "Tick the runs that shall be saved" in seen.shown()
    seen.click("tick", "run-14")
    press()
    _wait(lambda: "Saved as" in seen.shown())
    assert str(runs_here / f"run-14.{ending}") in seen.shown()
    download = seen.panel.export._download
    assert download.name == f"run-14.{ending}"
    sent: list[Any] = []
    download.send = lambda content, buffers=None: sent.append((content, buffers))
    download._handle_custom_msg({"kind": "fetch", "ticket": "7"}, [])
    assert sent == [({"kind": "file", "ticket": "7"}, [(runs_here / f"run-14.{ending}").read_bytes()])]
    (runs_here / f"run-14.{ending}").unlink()
    download._handle_custom_msg({"kind": "fetch", "ticket": "8"}, [])
    assert sent[1] == ({"kind": "gone", "ticket": "8"}, None)
    assert len(rw.runs()) == SHOWN + 3, "what was saved is no run"


def test_hostile_names_are_text_everywhere(runs_here: Path) -> None:
    for words in HOSTILE:
        made_run(runs_here, words.replace("/", "_"), data=words, classes=(words, "b", "c")).write_note(words)
    os.mkdir(os.fsencode(runs_here) + b"/\xff\xfe")
    seen = Seen()
    for name in seen.names:
        seen.click("tick", name)
        seen.click("delete", name)
        seen.click("note", name)
        name.encode()  # a message can carry it
    shown = seen.shown()
    assert len(seen.names) == 5 and "<img" not in shown and "<script" not in shown and "$\\" not in shown
    seen.panel.seeds.value = True
    seen.panel._tell("<img>")
    assert "<img" not in seen.shown()
    seen.click("show", seen.names[0])
    close_tree(seen.panel.view)


def test_no_runs_are_said(runs_here: Path) -> None:
    seen = Seen()
    assert "No runs yet." in seen.shown() and seen.names == []
    close_tree(seen.panel.view)


def test_a_closed_panel_leaves_no_widget(runs_here: Path) -> None:
    made_run(runs_here, "one")
    before = set(w.widgets.widget._instances)
    seen = Seen()
    seen.click("tick", "one")
    close_tree(seen.panel.view)
    assert set(w.widgets.widget._instances) == before


def test_several_seeds_are_watched_with_mean_and_band(runs_here: Path) -> None:
    recipe = rw.Recipe(steps=4, batch_size=16, device="cpu", compile="off", precision="fp32")
    runs = rw.train_seeds(
        rw.resnet(depth=8, width=4, in_channels=1), rw.datasets.digits(), recipe, seeds=2, name="x&y"
    )
    view = rw.live(runs)
    assert isinstance(view, SeedsView)
    runs.wait(300)
    _wait(lambda: view.stop.disabled and view.status.value.count("finished, step 4 of 4") == 2)
    assert "x&amp;y" in view.status.value
    _wait(lambda: "(2 runs): at step 4" in view.loss.summary)  # the plots come after the words
    assert view.loss.numbers["0/x"][1] == (8,)  # the band, there and back
    before = set(w.widgets.widget._instances)
    other = rw.live(runs)
    other.close()
    view.close()
    assert set(w.widgets.widget._instances) < before


def _wait(condition: Any, seconds: float = 300.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.01)
