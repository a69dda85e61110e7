import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from reswork.errors import InvalidSetting
from reswork.history import History
from reswork.models.network import ResNet
from reswork.store import writer as writer_module
from reswork.store.directory import LOCK_FILE, METRICS_FILE, RUN_FILE, WEIGHTS_FILE, has_writer
from reswork.store.replay import read_history
from reswork.store.writer import RunWriter
from reswork.tasks import Classification
from reswork.training.events import EpochDone, RunEnded, RunPaused, RunStarted, StepDone
from reswork.training.live_run import RunState
from reswork.training.modes import Mode
from reswork.training.progress import TrainingState

Make = Callable[..., tuple[RunWriter, History]]


def _started(model: ResNet) -> RunStarted:
    return RunStarted(
        0,
        model,
        8,
        4,
        "cpu",
        "fp32 on the processor",
        Mode("cpu"),
        Classification(),
        lambda: TrainingState(0),
    )


def _step(step: int, model: ResNet) -> StepDone:
    return StepDone(step, 1, torch.tensor(0.5), torch.tensor(0.5), "top1", 8, 0.1, model)


def _epoch(step: int, model: ResNet) -> EpochDone:
    return EpochDone(step, 1, 1.0, {"loss": 0.4}, {}, model)


def _json(writer: RunWriter) -> dict[str, object]:
    return json.loads((writer.directory / RUN_FILE).read_text())


def test_the_folder_says_what_it_is_before_the_first_step(made_writer: Make) -> None:
    writer, _ = made_writer()
    values = _json(writer)
    assert values["state"] == "READY"
    assert values["recipe"]["epochs"] == 2  # type: ignore[index]
    assert values["config"]["depth"] == 8  # type: ignore[index]
    assert values["data"]["classes"] == ["<b>one</b>", "two"]  # type: ignore[index]
    assert len(values["data"]["hash"]) == 64  # type: ignore[index]
    assert {"reswork", "python", "torch", "numpy"} <= values["versions"].keys()  # type: ignore[attr-defined]
    assert has_writer(writer.directory)


def test_the_state_follows_the_events(made_writer: Make, tiny_net: ResNet) -> None:
    writer, history = made_writer(interval_s=0.0)
    states = []
    ended = RunEnded(3, RunState.FINISHED, None)
    for event in (_started(tiny_net), _step(1, tiny_net), RunPaused(1), _step(2, tiny_net), ended):
        writer(event)
        states.append(_json(writer)["state"])
    assert states == ["RUNNING", "RUNNING", "PAUSED", "RUNNING", "FINISHED"]
    assert _json(writer)["mode"] == "fp32 on the processor"
    assert _json(writer)["progress"] == {"step": 3}
    assert not has_writer(writer.directory)
    assert history.notes == ()


def test_metrics_are_written_at_most_once_an_interval_and_at_the_end(
    made_writer: Make, tiny_net: ResNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(writer_module.time, "monotonic", lambda: now[0])
    writer, history = made_writer(interval_s=0.5)
    path = writer.directory / METRICS_FILE
    writer(_started(tiny_net))
    for step in range(1, 11):  # a tenth of a second each
        now[0] += 0.1
        history.record(step, {"loss/train": 1.0})
        writer(_step(step, tiny_net))
        assert step - len(read_history(path).series("loss/train")) < 6
    writer(RunEnded(10, RunState.STOPPED, None))
    assert len(read_history(path).series("loss/train")) == 10


def test_final_weights_are_those_last_evaluated(made_writer: Make, tiny_net: ResNet) -> None:
    writer, _ = made_writer()
    averaged = ResNet(tiny_net.config)
    writer(_started(tiny_net))
    writer(_step(1, tiny_net))
    writer(_epoch(1, averaged))
    writer(RunEnded(1, RunState.FINISHED, None))
    saved = load_file(writer.directory / WEIGHTS_FILE)
    assert saved.keys() == averaged.state_dict().keys()
    assert all(torch.equal(saved[name], value) for name, value in averaged.state_dict().items())
    modes = {stat.S_IMODE((writer.directory / name).stat().st_mode) for name in (RUN_FILE, WEIGHTS_FILE)}
    assert len(modes) == 1


def test_a_failed_run_leaves_its_error_and_weights(made_writer: Make, tiny_net: ResNet) -> None:
    writer, _ = made_writer()
    writer(_started(tiny_net))
    writer(RunEnded(0, RunState.FAILED, ArithmeticError("the loss is NaN at step 1")))
    assert _json(writer)["error"] == {"type": "ArithmeticError", "message": "the loss is NaN at step 1"}
    assert (writer.directory / WEIGHTS_FILE).is_file()


def test_a_full_disk_is_told_once_and_made_good(
    made_writer: Make, tiny_net: ResNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(writer_module.time, "monotonic", lambda: now[0])
    writer, history = made_writer(interval_s=0.0)
    writer(_started(tiny_net))
    moved = writer.directory.rename(writer.directory.with_name("away"))
    for step in range(1, 6):
        now[0] += 2.0
        history.record(step, {"loss/train": float(step)})
        writer(_step(step, tiny_net))
    (note,) = history.notes
    assert note.kind == "not_saved"
    assert "No such file" in note.details["reason"]
    assert writer.error is not None
    moved.rename(writer.directory)
    now[0] += 10.0
    writer(_step(6, tiny_net))
    assert writer.error is None
    assert [note.kind for note in history.notes] == ["not_saved", "saved_again"]
    writer(RunEnded(6, RunState.FINISHED, None))
    assert read_history(writer.directory / METRICS_FILE).to_dict() == history.to_dict()


def test_two_writers_cannot_have_one_folder(made_writer: Make) -> None:
    writer, _ = made_writer()
    with pytest.raises(InvalidSetting, match="being written"):
        RunWriter(writer.directory, History(), {})


def test_a_writer_that_nobody_holds_frees_its_lock(made_writer: Make, tmp_path: Path) -> None:
    made_writer("dropped")
    assert (tmp_path / "dropped" / LOCK_FILE).exists()
    assert not has_writer(tmp_path / "dropped")
