import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reswork.errors import InvalidSetting
from reswork.store.notes import LONGEST_NOTE, NOTE_FILE
from reswork.store.saved_run import load_run
from tests.store.made_runs import HOSTILE, made_run, words_of


def test_a_note_is_kept_replaced_and_taken_away(tmp_path: Path) -> None:
    run = made_run(tmp_path, "mine")
    assert run.note == ""
    run.write_note("  first words \n")
    run.write_note("worked\nbecause of warm-up")
    assert run.note == "worked\nbecause of warm-up"
    assert words_of(run)["note"] == "worked because of warm-up"
    assert sorted(os.listdir(run.directory)) == ["metrics.jsonl", NOTE_FILE, "run.json"]
    run.write_note(" \n ")
    run.write_note("")
    assert run.note == ""
    assert not (run.directory / NOTE_FILE).exists()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.one_of(st.text(max_size=200), st.sampled_from(HOSTILE)))
def test_any_text_comes_back_or_is_refused(tmp_path: Path, text: str) -> None:
    run = made_run(tmp_path, "mine") if not (tmp_path / "mine").exists() else None
    run = load_run(tmp_path / "mine") if (tmp_path / "mine").exists() else made_run(tmp_path, "mine")
    try:
        run.write_note(text)
    except InvalidSetting as error:
        assert any("\ud800" <= mark <= "\udfff" for mark in text), error
    else:
        assert run.note == text.strip()


def test_a_note_that_is_too_long_is_refused_and_the_old_one_stays(tmp_path: Path) -> None:
    run = made_run(tmp_path, "mine")
    run.write_note("ü" * (LONGEST_NOTE // 2))
    with pytest.raises(InvalidSetting, match="16,386 bytes; at most 16,384"):
        run.write_note("ü" * (LONGEST_NOTE // 2 + 1))
    assert run.note == "ü" * (LONGEST_NOTE // 2)


@pytest.mark.parametrize("kind", ["pipe", "endless", "large", "bytes", "folder"])
def test_a_note_that_is_no_text_is_a_sentence_and_spoils_no_list(tmp_path: Path, kind: str) -> None:
    run = made_run(tmp_path, "mine")
    path = run.directory / NOTE_FILE
    {
        "pipe": lambda: os.mkfifo(path),
        "endless": lambda: path.symlink_to("/dev/zero"),
        "large": lambda: path.write_text("a" * (LONGEST_NOTE + 1)),
        "bytes": lambda: path.write_bytes(b"\xff\xfe"),
        "folder": path.mkdir,
    }[kind]()
    with pytest.raises(InvalidSetting, match="the note on run 'mine' cannot be read"):
        _ = run.note
    assert "cannot be read" in words_of(run)["note"]


def test_a_note_on_a_run_that_is_gone_is_refused(tmp_path: Path) -> None:
    run = made_run(tmp_path, "mine")
    run.delete()
    with pytest.raises(InvalidSetting, match="holds no run any more"):
        run.write_note("late")
    assert not run.directory.exists()


def test_a_note_through_a_link_does_not_write_where_the_link_leads(tmp_path: Path) -> None:
    run = made_run(tmp_path, "mine")
    outside = tmp_path / "outside.txt"
    outside.write_text("theirs")
    (run.directory / NOTE_FILE).symlink_to(outside)
    run.write_note("mine")
    assert (outside.read_text(), run.note) == ("theirs", "mine")
