import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reswork.errors import InvalidSetting
from reswork.store import run_table
from reswork.store.directory import RUN_FILE, writer_lock
from reswork.store.run_table import COLUMNS, RunTable, matching, ordered, row_of, runs
from reswork.store.saved_run import SavedRun
from reswork.training.recipe import Recipe
from reswork.training.run import RunState
from tests.store.made_runs import made_run


@pytest.fixture
def three(tmp_path: Path) -> Path:
    made_run(
        tmp_path, "deep", depth=20, accuracy=0.8, created="2026-01-01T00:00:00+00:00", recipe=Recipe(seed=7)
    )
    made_run(tmp_path, "wide", depth=8, accuracy=0.9, created="2026-01-02T00:00:00+00:00", data="fashion")
    run = made_run(tmp_path, "other", created="2026-01-03T00:00:00+00:00", progress={})
    run.write_note("Überraschend gut\nwith warm-up")
    return tmp_path


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("", ["other", "wide", "deep"]),
        ("resnet-20", ["deep"]),
        ("DIGITS finished", ["other", "deep"]),
        ("überraschend warm", ["other"]),
        ("90.0% fashion", ["wide"]),
        ("wide deep", []),
        ("   ", ["other", "wide", "deep"]),
    ],
)
def test_all_words_of_a_search_must_stand_in_the_row(three: Path, search: str, found: list[str]) -> None:
    assert [run.name for run in runs(three, search=search)] == found


@pytest.mark.parametrize(
    ("sort", "falling", "found"),
    [
        ("score", None, ["wide", "deep", "other"]),
        ("score", False, ["deep", "wide", "other"]),
        ("loss", None, ["wide", "deep", "other"]),
        ("name", None, ["deep", "other", "wide"]),
        ("name", True, ["wide", "other", "deep"]),
        ("created", False, ["deep", "wide", "other"]),
        ("data", None, ["other", "deep", "wide"]),
        ("seed", True, ["deep", "other", "wide"]),
        ("note", None, ["other", "wide", "deep"]),
    ],
)
def test_runs_are_sorted_by_any_column_and_unknown_values_come_last(
    three: Path, sort: str, falling: bool | None, found: list[str]
) -> None:
    assert [run.name for run in runs(three, sort=sort, falling=falling)] == found


def test_another_column_is_refused_with_the_choice(three: Path) -> None:
    with pytest.raises(InvalidSetting, match="sort='speed' is no column; choose name, created"):
        runs(three, sort="speed")


def test_every_column_sorts_with_unreadable_and_unknown_runs(three: Path) -> None:
    (three / "empty").mkdir()
    rows = RunTable(three).read()
    for column in COLUMNS:
        for falling in (True, False):
            found = ordered(rows, column, falling=falling)
            known = [row.values[column] for row in found if row.values[column] is not None]
            assert len(found) == 4
            assert known == sorted(known, key=run_table._key, reverse=falling)
            assert all(row.values[column] is None for row in found[len(known) :])
    assert [row.run.name for row in matching(rows, "there is no run.json")] == ["empty"]


@given(st.text(max_size=30))
def test_no_search_fails_and_every_word_is_needed(search: str) -> None:
    row = row_of(SavedRun(Path("a"), "name", datetime(2026, 1, 2, tzinfo=UTC), RunState.STOPPED))
    assert bool(matching([row], search)) == all(word in row.text for word in search.casefold().split())


def test_unchanged_runs_are_not_read_again(three: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = RunTable(three)
    first = {row.run.name: row for row in table.read()}
    reads: list[str] = []
    original = run_table.read_listed

    def counting(path: Path, folder: Path) -> SavedRun:
        reads.append(path.name)
        return original(path, folder)

    monkeypatch.setattr(run_table, "read_listed", counting)
    assert {row.run.name: row for row in table.read()} == first
    assert reads == []
    first["deep"].run.write_note("new")
    values = json.loads((three / "wide" / RUN_FILE).read_text())
    (three / "wide" / RUN_FILE).write_text(json.dumps(values | {"state": "STOPPED"}))
    made_run(three, "fourth")
    again = {row.run.name: row for row in table.read()}
    assert sorted(reads) == ["deep", "fourth", "wide"]
    assert (again["deep"].note, again["wide"].run.state_word) == ("new", "stopped")
    reads.clear()
    (three / "fourth" / RUN_FILE).unlink()
    assert "no run.json" in {row.run.name: row for row in table.read()}["fourth"].cells["note"]


def test_a_run_that_goes_on_is_always_read_again(tmp_path: Path) -> None:
    made_run(tmp_path, "live", state="RUNNING", progress={})
    table = RunTable(tmp_path)
    with writer_lock(tmp_path / "live").acquire(timeout=0):
        (row,) = table.read()
        assert (row.run.state_word, row.values["step"]) == ("running", 20)
        with (tmp_path / "live" / "metrics.jsonl").open("a") as file:
            file.write('{"step": 21, "values": {"loss/train": 1.0}}\n')
        (row,) = table.read()
        assert row.values["step"] == 21
    (row,) = table.read()
    assert row.run.state_word == "interrupted"


def test_many_runs_are_looked_at_and_not_opened_the_second_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = made_run(tmp_path, "run-0")
    text = (model.directory / RUN_FILE).read_bytes()
    for number in range(1, 60):
        (tmp_path / f"run-{number}").mkdir()
        (tmp_path / f"run-{number}" / RUN_FILE).write_bytes(text)
    table = RunTable(tmp_path)
    assert len(table.read()) == 60
    opened: list[object] = []
    monkeypatch.setattr(os, "open", lambda *arguments, **_: opened.append(arguments))
    assert len(table.read()) == 60
    assert opened == []
