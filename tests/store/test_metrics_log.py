import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reswork.history import History
from reswork.store.metrics_log import MetricsLog
from reswork.store.replay import read_history


def _lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_one_line_a_step_and_only_what_is_new(tmp_path: Path) -> None:
    history, path = History(), tmp_path / "m"
    log = MetricsLog(path, history)
    history.record(1, {"loss/train": 0.5, "top1/train": 0.25})
    history.record(2, {"loss/train": 0.25})
    log.flush()
    history.record(2, {"top1/train": 0.5})
    history.record(3, {"loss/train": math.nan})
    log.flush()
    log.flush()
    assert _lines(path) == [
        {"step": 1, "values": {"loss/train": 0.5, "top1/train": 0.25}},
        {"step": 2, "values": {"loss/train": 0.25}},
        {"step": 2, "values": {"top1/train": 0.5}},
        {"step": 3, "values": {"loss/train": "NaN"}},
    ]


def test_everything_comes_back(tmp_path: Path) -> None:
    history, path = History(), tmp_path / "m"
    log = MetricsLog(path, history)
    for step in range(1, 30):
        history.record(step, {"loss/train": 1 / step, "bad": math.inf if step == 7 else -math.inf})
        if step % 10 == 0:
            history.record_vector("grad_norm", step, ["conv1", "fc"], [step, math.nan])
            history.keep("confusion/test", step, np.arange(4).reshape(2, 2) + step)
            history.note(step, "setting", name="learning_rate", value=0.1)
        if step % 4 == 0:
            log.flush()
    log.flush()
    assert read_history(path).to_dict() == history.to_dict()


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "group", "flush"]), st.integers(0, 2), st.floats(allow_nan=True)
        ),
        max_size=40,
    )
)
def test_any_course_comes_back(
    tmp_path_factory: pytest.TempPathFactory, course: list[tuple[str, int, float]]
) -> None:
    history, path = History(), tmp_path_factory.mktemp("log") / "m"
    log, step = MetricsLog(path, history), 0
    for what, further, value in course:
        step += further
        if what == "flush":
            log.flush()
        elif what == "group":
            history.record_vector("g", step, ["x"], [value])
        else:
            history.record(step, {what: value})
    log.flush()
    kept, made = read_history(path), history
    assert set(kept.names) == set(made.names)
    for name in [*made.names, "g/x"]:
        assert kept.series(name).steps.tolist() == made.series(name).steps.tolist()
        np.testing.assert_array_equal(kept.series(name).values, made.series(name).values)


def test_a_torn_write_is_cut_off_and_nothing_is_missing_afterwards(tmp_path: Path) -> None:
    history, path = History(), tmp_path / "m"
    log = MetricsLog(path, history)
    history.record(1, {"a": 1.0})
    log.flush()
    with path.open("ab") as file:  # what a full disk leaves
        file.write(b'{"step": 2, "val')
    history.record(2, {"a": 2.0})
    log.flush()
    assert [line["step"] for line in _lines(path)] == [1, 2]


def test_a_failed_flush_is_made_good_by_the_next(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    history, log = History(), MetricsLog(folder / "m", History())
    log = MetricsLog(folder / "m", history)
    history.record(1, {"a": 1.0})
    with pytest.raises(FileNotFoundError):
        log.flush()
    folder.mkdir()
    history.record(2, {"a": 2.0})
    log.flush()
    assert read_history(folder / "m").series("a").values.tolist() == [1.0, 2.0]
