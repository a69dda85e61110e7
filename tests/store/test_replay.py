import json
import os
from pathlib import Path

import pytest

from reswork.history import History
from reswork.store.metrics_log import MetricsLog
from reswork.store.replay import last_step, read_history

GOOD = '{"step": 1, "values": {"a": 1.0}}\n{"step": 2, "values": {"a": "Infinity"}}\n'
BAD = [
    "nonsense",
    "[1, 2]",
    "3",
    "{}",
    '{"step": -1, "values": {"a": 1}}',
    '{"step": true, "values": {"a": 1}}',
    '{"step": 1e3, "values": {"a": 1}}',
    '{"step": 0, "values": {"a": 1}}',  # goes back
    '{"step": 3, "values": {"a": "word"}}',
    '{"step": 3, "values": {"a": [1]}}',
    '{"step": 3, "group": "g", "row": [1]}',  # labels never came
    '{"group": "g", "labels": [1]}',
    '{"step": 3, "array": "c", "dtype": "O", "shape": [1], "items": [1]}',
    '{"step": 3, "array": "c", "dtype": "int64", "shape": [1000000000000], "items": [1]}',
    '{"step": 3, "array": "c", "dtype": "U5", "shape": [1], "items": ["x"]}',
    '{"step": 3, "note": 5, "details": {}}',
    '{"step": 3, "note": "n", "details": {"step": 1}}',
    "[" * 100_000,
    "\x00\xff",
]


@pytest.mark.parametrize("line", BAD)
def test_a_line_that_makes_no_sense_is_left_out_and_counted(tmp_path: Path, line: str) -> None:
    path = tmp_path / "m"
    path.write_bytes((GOOD + line + "\n" + '{"step": 4, "values": {"a": 3}}\n').encode("latin-1"))
    history = read_history(path)
    assert history.series("a").steps.tolist() == [1, 2, 4]
    (note,) = history.notes
    assert (note.kind, note.details) == ("unreadable_lines", {"count": 1})


def test_a_torn_last_line_is_left_out_silently(tmp_path: Path) -> None:
    (tmp_path / "m").write_text(GOOD + '{"step": 3, "values"')
    history = read_history(tmp_path / "m")
    assert history.series("a").steps.tolist() == [1, 2]
    assert history.notes == ()


def test_no_file_is_an_empty_history_and_a_pipe_is_refused(tmp_path: Path) -> None:
    assert read_history(tmp_path / "m").names == ()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="not a regular file"):
        read_history(tmp_path / "pipe")
    assert last_step(tmp_path / "pipe") == 0


def test_the_last_step_is_read_from_the_end(tmp_path: Path) -> None:
    assert last_step(tmp_path / "m") == 0
    (tmp_path / "m").write_text(GOOD + '{"step": 3, "values"')
    assert last_step(tmp_path / "m") == 2


def test_a_hundred_thousand_steps_are_written_and_read(tmp_path: Path) -> None:
    history = History()
    for step in range(100_000):
        history.record(step, {"loss/train": step / 3, "learning_rate": 0.1})
    MetricsLog(tmp_path / "m", history).flush()
    read = read_history(tmp_path / "m")
    assert json.loads((tmp_path / "m").read_text().splitlines()[-1])["step"] == 99_999
    assert len(read.series("loss/train")) == 100_000
