import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from reswork.errors import InvalidSetting
from reswork.history import History
from reswork.models.network import ResNet
from reswork.store.directory import METRICS_FILE, RUN_FILE, WEIGHTS_FILE
from reswork.store.run_table import runs
from reswork.store.saved_run import SavedRun, load_run
from reswork.store.writer import RunWriter
from reswork.tasks import Classification
from reswork.training.events import RunEnded, RunStarted
from reswork.training.modes import Mode
from reswork.training.progress import TrainingState
from reswork.training.run import RunState

Make = Callable[..., tuple[RunWriter, History]]


def _finish(made: tuple[RunWriter, History], model: ResNet, state: str = "FINISHED") -> RunWriter:
    writer, history = made
    writer(RunStarted(0, model, 8, 4, "cpu", "fp32", Mode("cpu"), Classification(), lambda: TrainingState(0)))
    history.record(1, {"loss/train": 0.5, "loss/test": 0.7, "top1/test": 0.75})
    writer(RunEnded(1, RunState[state], None))
    return writer


def test_a_finished_run_comes_back_with_everything(
    made_writer: Make, tiny_net: ResNet, tmp_path: Path
) -> None:
    _finish(made_writer(), tiny_net)
    run = load_run("made", tmp_path)
    assert (run.name, run.state, run.interrupted, run.error) == ("made", RunState.FINISHED, False, None)
    assert run.config == tiny_net.config
    assert run.recipe.batch_size == 8
    assert (run.dataset_name, run.classes, run.input_shape) == ("tiny", ("<b>one</b>", "two"), (1, 8, 8))
    assert run.history.last("loss/train") == 0.5
    assert run.mode == "fp32"
    assert run.summary()["score"] == 0.75
    assert run.summary()["step"] == 1
    assert "finished" in repr(run)
    network = run.model()
    assert not network.training
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), tiny_net.parameters(), strict=True))


def test_a_run_is_found_by_name_and_by_path(
    made_writer: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_writer()
    monkeypatch.chdir(tmp_path)
    found = [
        load_run("made", tmp_path),
        load_run(tmp_path / "made"),
        load_run(str(tmp_path / "made")),
        load_run("made"),
    ]
    assert {run.directory.resolve() for run in found} == {(tmp_path / "made").resolve()}


def test_a_run_that_goes_on_is_running_and_one_without_a_writer_interrupted(
    made_writer: Make, tiny_net: ResNet, tmp_path: Path
) -> None:
    writer, history = made_writer()
    history.record(3, {"loss/train": 0.5})
    writer(
        RunStarted(0, tiny_net, 8, 4, "cpu", "fp32", Mode("cpu"), Classification(), lambda: TrainingState(0))
    )
    going_on = load_run("made", tmp_path)
    assert (going_on.state, going_on.interrupted, going_on.state_word) == (RunState.RUNNING, False, "running")
    writer._lock.release()
    dead = load_run("made", tmp_path)
    assert (going_on.done, dead.done) == (False, True)
    assert (dead.state, dead.interrupted, dead.state_word) == (RunState.STOPPED, True, "interrupted")
    assert dead.summary()["step"] == 3
    with pytest.raises(InvalidSetting, match="interrupted before its end"):
        dead.model()


def test_runs_are_listed_newest_first(made_writer: Make, tmp_path: Path) -> None:
    for name in ("b", "a", "c"):
        writer, _ = made_writer(name)
        values = json.loads((writer.directory / RUN_FILE).read_text())
        values["created"] = {
            "b": "2026-01-02T00:00:00Z",
            "a": "2026-01-03T00:00:00+01:00",
            "c": "2026-01-01",
        }[name]
        (writer.directory / RUN_FILE).write_text(json.dumps(values))
    assert [run.name for run in runs(tmp_path)] == ["a", "b", "c"]
    assert runs(tmp_path / "none") == []


def _text(text: str) -> Callable[[Path], object]:
    return lambda path: (path / RUN_FILE).write_text(text)


def _changed(**changes: Any) -> Callable[[Path], object]:
    def change(path: Path) -> None:
        values = json.loads((path / RUN_FILE).read_text())
        (path / RUN_FILE).write_text(json.dumps({**values, **changes}))

    return change


def _pipe(path: Path) -> None:
    (path / RUN_FILE).unlink()
    os.mkfifo(path / RUN_FILE)


def _endless(path: Path) -> None:
    (path / RUN_FILE).unlink()
    (path / RUN_FILE).symlink_to("/dev/zero")


def _large(path: Path) -> None:
    with (path / RUN_FILE).open("wb") as file:
        file.truncate(10 * 1024**3)


BROKEN: list[Callable[[Path], object]] = [
    _text(""),
    _text("{"),
    _text("[]"),
    _text("[" * 200_000),
    _text("null"),
    _text('{"format": 1}'),
    _text('{"format": 99}'),
    _changed(state="NONSENSE"),
    _changed(state=None),
    _changed(created="yesterday"),
    _changed(created=1e400),
    _changed(recipe={"epochs": -1}),
    _changed(recipe={"from_the_future": 1}),
    _changed(recipe=[1]),
    _changed(config={"depth": 21}),
    _changed(config={"depth": "20"}),
    _changed(config=5),
    _changed(data=None),
    _changed(model={"label": "x", "parameters": "many"}),
    _changed(progress=[1]),
    _changed(versions=3),
    _changed(error="text"),
    lambda path: (path / RUN_FILE).unlink(),
    lambda path: (path / RUN_FILE).write_bytes(b"\xff\xfe\x00"),
    _pipe,
    _endless,
    _large,
]


@pytest.mark.parametrize("break_it", BROKEN)
def test_a_broken_folder_is_listed_with_a_sentence_and_spoils_no_other(
    made_writer: Make, tiny_net: ResNet, tmp_path: Path, break_it: Callable[[Path], object]
) -> None:
    _finish(made_writer("good"), tiny_net)
    broken = _finish(made_writer("broken"), tiny_net)
    break_it(broken.directory)
    listed = {run.name: run for run in runs(tmp_path)}
    assert listed["good"].unreadable is None
    assert listed["broken"].unreadable
    assert len(listed["broken"].unreadable) < 1000
    assert listed["broken"].state_word == "unreadable"
    assert listed["broken"].summary()["problem"] == listed["broken"].unreadable
    assert listed["broken"].history.notes[0].kind == "unreadable"
    assert "broken" in repr(listed["broken"])
    with pytest.raises(InvalidSetting, match="cannot be read"):
        load_run("broken", tmp_path)
    with pytest.raises(InvalidSetting, match="cannot be read"):
        listed["broken"].model()


def test_links_that_lead_out_and_stray_files_do_no_harm(made_writer: Make, tmp_path: Path) -> None:
    made_writer("good")
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / ".ipynb_checkpoints").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "out").symlink_to("/")
    (tmp_path / "empty").mkdir()
    listed = {run.name: run.unreadable for run in runs(tmp_path)}
    assert listed.keys() == {"good", "loop", "out", "empty"}
    assert listed["good"] is None
    assert "leads out" in str(listed["out"])
    assert "no run.json" in str(listed["empty"])


@pytest.mark.parametrize("name", ["../outside", "/etc", "..", ".", "", "none"])
def test_a_name_never_leads_out_of_the_folder_of_runs(made_writer: Make, tmp_path: Path, name: str) -> None:
    made_writer("good")
    with pytest.raises(InvalidSetting):
        load_run(name, tmp_path)


def test_weights_that_do_not_fit_are_told(made_writer: Make, tiny_net: ResNet, tmp_path: Path) -> None:
    writer = _finish(made_writer(), tiny_net)
    for content in (b"", b"\xff" * 100, b"\x80" + b"\x00" * 200):
        (writer.directory / WEIGHTS_FILE).write_bytes(content)
        with pytest.raises(InvalidSetting, match="cannot be used"):
            load_run("made", tmp_path).model()
    _finish(
        made_writer("other"), ResNet(tiny_net.config.from_dict({**tiny_net.config.to_dict(), "depth": 14}))
    )
    (tmp_path / "other" / WEIGHTS_FILE).rename(writer.directory / WEIGHTS_FILE)
    with pytest.raises(InvalidSetting, match="cannot be used"):
        load_run("made", tmp_path).model()


def test_metrics_that_cannot_be_opened_give_an_empty_history_with_the_reason(
    made_writer: Make, tiny_net: ResNet, tmp_path: Path
) -> None:
    writer = _finish(made_writer(), tiny_net)
    (writer.directory / METRICS_FILE).unlink()
    os.mkfifo(writer.directory / METRICS_FILE)
    (note,) = load_run("made", tmp_path).history.notes
    assert (note.kind, note.details) == (
        "unreadable",
        {"reason": "metrics.jsonl: metrics.jsonl is not a regular file"},
    )


def test_an_unreadable_entry_has_the_same_fields(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (entry,) = runs(tmp_path)
    assert isinstance(entry, SavedRun)
    assert entry.summary().keys() >= {"name", "state", "network", "step"}
