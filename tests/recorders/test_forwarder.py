"""What is sent, when, and that a receiver that fails or hangs stops nothing."""

import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from reswork.datasets.dataset import Dataset
from reswork.errors import InvalidSetting
from reswork.experiment.launch import train
from reswork.history import History
from reswork.models.network import ResNet
from reswork.recorders import default_recorders, losses, tensorboard
from reswork.recorders import forwarder as module
from reswork.recorders.forwarder import Forwarding, Point
from reswork.store.saved_run import SavedRun, load_run
from reswork.training.progress import TrainingState
from reswork.training.recipe import Recipe
from reswork.training.run import Run

RECIPE = Recipe(steps=6, batch_size=8, device="cpu", precision="fp32", compile="off")


@dataclass
class Listener:
    """Remembers what it was sent; fails the first so many times, or waits."""

    failures: int = 0
    gate: threading.Event | None = None
    name: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    points: list[Point] = field(default_factory=list)
    ended: str = ""
    begun: list[int | None] = field(default_factory=list)

    def open(self, name: str, settings: Mapping[str, str], step: int | None) -> None:
        if self.gate is not None:
            self.gate.wait(300)
        self._fail()
        self.name, self.settings = name, settings
        self.begun.append(step)

    def take(self, points: Sequence[Point]) -> None:
        self._fail()
        self.points += points

    def close(self, state: str) -> None:
        self._fail()
        self.ended = state

    def state(self) -> dict[str, Any]:
        return {"name": self.name}

    def restore(self, kept: Mapping[str, Any]) -> None:
        self.name = kept["name"]

    def _fail(self) -> None:
        if self.failures:
            self.failures -= 1
            raise ConnectionError("nobody there")


def sent(listener: Listener, net: ResNet, data: Dataset, folder: Path, **options: float) -> Run:
    def make(history: History) -> Forwarding:
        return Forwarding("listener", history, listener, **options)

    run = train(net, data, RECIPE, directory=folder / "mine", recorders=[default_recorders, make])
    assert run.wait(300).name == "FINISHED"
    return run


def test_every_value_arrives_once_and_the_settings_before(
    tmp_path: Path, tiny_net: ResNet, tiny_data: Dataset
) -> None:
    listener = Listener()
    run = sent(listener, tiny_net, tiny_data, tmp_path, interval_s=0.0)
    assert (listener.name, listener.ended) == ("mine", "FINISHED")
    assert listener.settings["recipe.steps"] == "6" and listener.settings["device"] == "cpu"
    assert listener.settings["data.hash"] == tiny_data.fingerprint
    names = {name for name, _, _ in listener.points}
    assert {"loss/train", "loss/test", "learning_rate", "grad_norm/conv1"} <= names
    for name in names:
        series = run.history.series(name)
        got = [(step, value) for each, step, value in listener.points if each == name]
        expected = list(zip(series.steps.tolist(), series.values.tolist(), strict=True))
        assert repr(got) == repr(expected), name  # so that NaN equals NaN
    assert names >= set(run.history.names)


def notes(run: Run, kind: str) -> list[Any]:
    return [note.details for note in run.history.notes if note.kind == kind]


def test_a_receiver_that_comes_back_gets_everything(
    tmp_path: Path, tiny_net: ResNet, tiny_data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_RETRY_S", 0.001)
    listener = Listener(failures=3)
    run = sent(listener, tiny_net, tiny_data, tmp_path)
    assert listener.ended == "FINISHED"
    assert [value for name, _, value in listener.points if name == "loss/train"] == run.history.series(
        "loss/train"
    ).values.tolist()


def test_one_that_is_never_there_is_noted_and_stops_nothing(
    tmp_path: Path, tiny_net: ResNet, tiny_data: Dataset
) -> None:
    with pytest.warns(RuntimeWarning, match="not sent to listener: ConnectionError: nobody there"):
        run = sent(Listener(failures=10**9), tiny_net, tiny_data, tmp_path)
    assert run.steps_done == 6 and not notes(run, "recorder removed")
    (told,) = notes(run, "not_sent")
    assert told == {"recorder": "listener", "reason": "ConnectionError: nobody there"}


def test_one_that_hangs_holds_up_the_end_for_its_patience_alone(
    tmp_path: Path, tiny_net: ResNet, tiny_data: Dataset
) -> None:
    gate = threading.Event()
    listener = Listener(gate=gate)
    try:
        with pytest.warns(RuntimeWarning, match="did not answer"):
            run = sent(listener, tiny_net, tiny_data, tmp_path, patience_s=0.05)
        assert not listener.name
        assert "did not answer for 0.05 seconds" in notes(run, "not_sent")[0]["reason"]
    finally:
        gate.set()


def test_what_waits_too_long_is_left_out_and_told(
    tmp_path: Path, tiny_net: ResNet, tiny_data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_WAITING", 2)
    gate = threading.Event()
    try:
        with pytest.warns(RuntimeWarning, match="values were left out"):
            run = sent(Listener(gate=gate), tiny_net, tiny_data, tmp_path, interval_s=0.0, patience_s=0.05)
        assert "values were left out" in notes(run, "not_sent")[0]["reason"]
    finally:
        gate.set()


def stopped_at_three(
    listener: Listener, net: ResNet, data: Dataset, folder: Path, lost_from: int | None = None
) -> SavedRun:
    """`lost_from`: the step from which on nothing arrives."""

    def make(history: History) -> Forwarding:
        return Forwarding("tensorboard", history, listener, interval_s=0.0)

    run = train(net, data, RECIPE, directory=folder, recorders=[default_recorders, make], start=False)
    for step in (1, 2, 3):
        if step == lost_from:
            time.sleep(0.2)  # what was sent before arrives
            listener.failures = 10**9
        run.step()
        run.wait_until_still(300)
    run.stop()
    with nullcontext() if lost_from is None else pytest.warns(RuntimeWarning, match="nobody there"):
        run.wait(300)
    listener.failures = 0
    return load_run(folder)


@pytest.mark.parametrize("lost_from", [None, 2])
def test_a_run_that_goes_on_sends_what_had_not_arrived(
    tmp_path: Path, tiny_net: ResNet, tiny_data: Dataset, lost_from: int | None
) -> None:
    listener = Listener()
    saved = stopped_at_three(listener, tiny_net, tiny_data, tmp_path / "mine", lost_from)
    first = list(listener.points)
    last = max(step for _, step, _ in first)
    assert last == (3 if lost_from is None else lost_from - 1)
    again = saved.resume(
        data=tiny_data,
        recorders=[lambda history: Forwarding("tensorboard", history, listener, interval_s=0.0)],
    )
    assert again.wait(300).name == "FINISHED" and not notes(again, "recorder removed")
    (_, begun), ended = listener.begun, listener.ended
    assert begun <= last and ended == "FINISHED"
    kept = [point for point in first if point[1] < begun]  # the receiver hides the others
    for name in again.history.names:
        series = again.history.series(name)
        sent_again = listener.points[len(first) :]
        got = [(step, value) for each, step, value in [*kept, *sent_again] if each == name]
        expected = list(zip(series.steps.tolist(), series.values.tolist(), strict=True))
        assert repr(got) == repr(expected), name


def test_a_run_that_goes_on_without_its_receiver_says_so(
    tmp_path: Path, tiny_net: ResNet, tiny_data: Dataset
) -> None:
    run = stopped_at_three(Listener(), tiny_net, tiny_data, tmp_path / "mine").resume(data=tiny_data)
    with pytest.warns(RuntimeWarning, match="not sent to tensorboard: resume"):
        assert run.wait(300).name == "FINISHED"
    (told,) = notes(run, "not_sent")
    assert told["recorder"] == "tensorboard" and "rw.recorders.tensorboard" in told["reason"]


def test_odd_values_in_a_checkpoint_cost_the_recorder_its_seat(
    tmp_path: Path, tiny_net: ResNet, tiny_data: Dataset
) -> None:
    history = History()
    recorder = Forwarding("tensorboard", history, Listener())
    start = TrainingState(0, values={"recorders": {"tensorboard": {"step": "many", "receiver": {}}}})
    run = Run(tiny_net, tiny_data, RECIPE, history=history, recorders=[recorder], start=start)
    assert recorder not in run.recorders and notes(run, "recorder removed")


def test_a_run_that_never_begins(tiny_net: ResNet, tiny_data: Dataset, tmp_path: Path) -> None:
    listener = Listener()
    run = train(tiny_net, tiny_data, RECIPE, directory=tmp_path / "mine", start=False,
                recorders=[losses, lambda history: Forwarding("listener", history, listener)])  # fmt: skip
    run.stop()
    assert run.state.name == "STOPPED" and not listener.name


def test_a_package_that_is_missing_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        InvalidSetting, match=r"TensorBoard is not installed; pip install 'reswork\[tensorboard\]'"
    ):
        tensorboard(tmp_path)
