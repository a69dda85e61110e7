import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from reswork.datasets.dataset import Dataset, Split
from reswork.errors import InvalidSetting
from reswork.experiment.launch import train
from reswork.models.network import ResNet, resnet
from reswork.recorders import learning_rate, losses
from reswork.store import directory as directory_module
from reswork.store.run_table import runs
from reswork.store.saved_run import load_run
from reswork.training.recipe import Recipe
from reswork.training.run import RunState

RECIPE = Recipe(epochs=2, batch_size=16, device="cpu", precision="fp32", compile="off", channels_last=False)


@pytest.fixture
def data() -> Dataset:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (80, 1, 8, 8), dtype=torch.uint8, generator=generator)
    labels = torch.arange(80) % 2
    splits = Split(images[:64], labels[:64]), Split(images[64:], labels[64:])
    return Dataset("tiny", *splits, classes=("one", "two"), mean=(0.5,), std=(0.3,), source="made up")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RESWORK_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


def _net() -> ResNet:
    return resnet(depth=8, width=2, in_channels=1, num_classes=2)


def test_a_run_is_recorded_and_written(data: Dataset, folder: Path) -> None:
    model = _net()
    run = train(model, data, RECIPE)
    run.wait(300)
    (saved,) = runs()
    assert saved.directory == folder / run.name
    assert saved.state is RunState.FINISHED
    assert saved.recipe == RECIPE
    assert saved.config == model.config
    assert (saved.dataset_name, saved.dataset_hash) == ("tiny", data.fingerprint)
    assert saved.mode
    assert saved.total_steps == 8
    assert saved.history.to_dict() == run.history.to_dict()
    assert len(saved.history.series("loss/train")) == 8
    assert len(saved.history.series("top1/test")) == 2
    state = saved.model().state_dict()
    assert all(torch.equal(state[name], value.cpu()) for name, value in model.state_dict().items())


def test_a_stopped_run_keeps_what_it_has(data: Dataset) -> None:
    run = train(
        _net(), data, Recipe(**{**RECIPE.to_dict(), "steps": 100_000, "augmentation": RECIPE.augmentation})
    )
    while run.steps_done < 3:
        time.sleep(0.01)
    run.stop()
    run.wait(300)
    saved = load_run(run.name)
    assert saved.state is RunState.STOPPED
    assert not saved.interrupted
    assert saved.history.to_dict() == run.history.to_dict()
    assert saved.model() is not None


def test_start_false_waits_and_recorders_can_be_chosen(data: Dataset) -> None:
    run = train(_net(), data, RECIPE, start=False, recorders=[losses, learning_rate])
    assert run.state is RunState.READY
    assert load_run(run.name).state is RunState.READY
    run.start()
    run.wait(300)
    assert "learning_rate" in run.history.names
    assert run.history.groups == ()
    assert load_run(run.name).state is RunState.FINISHED


def test_names_and_folders_are_checked_before_anything_starts(data: Dataset, tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting):
        train(_net(), data, RECIPE, name="../out")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(InvalidSetting, match="not empty"):
        train(_net(), data, RECIPE, directory=tmp_path / "full")
    assert runs() == []


def test_a_folder_and_a_name_of_ones_own(data: Dataset, tmp_path: Path) -> None:
    train(_net(), data, RECIPE, directory=tmp_path / "mine").wait(300)
    assert load_run(tmp_path / "mine").state is RunState.FINISHED
    made = [train(_net(), data, RECIPE, name="seed 1") for _ in range(2)]
    for run in made:
        run.wait(300)
    assert [run.name for run in made] == ["seed 1", "seed 1-2"]


def test_a_read_only_folder_stops_no_training(
    data: Dataset, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object, **_options: object) -> Path:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(directory_module.Path, "mkdir", refuse)  # root may write anywhere
    run = train(_net(), data, RECIPE)
    with pytest.warns(RuntimeWarning, match="not saved: .*Permission denied"):
        assert run.wait(300) is RunState.FINISHED
    (note,) = [note for note in run.history.notes if note.kind == "not_saved"]
    assert "Permission denied" in note.details["reason"]
    assert len(run.history.series("loss/train")) == 8


def test_a_foreign_network_is_trained_and_saved_without_a_config(data: Dataset) -> None:
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2))
    run = train(model, data, RECIPE)
    run.wait(300)
    saved = load_run(run.name)
    assert (saved.config, saved.model_label, saved.parameters) == (None, "Sequential", 130)
    with pytest.raises(InvalidSetting, match="was not built here"):
        saved.model()


SCRIPT = """
import sys, time
import reswork as rw

data = rw.datasets.digits()
recipe = rw.Recipe(steps=100_000, batch_size=32, device="cpu", precision="fp32", compile="off")
run = rw.train(rw.resnet(depth=8, width=4, in_channels=1), data, recipe, name="killed")
while True:
    loss = run.history.series("loss/train")
    print(time.time(), int(loss.steps[-1]) if len(loss) else 0, flush=True)
    time.sleep(0.02)
"""


@pytest.mark.serial
def test_after_a_killed_kernel_everything_but_the_last_second_is_there(folder: Path) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    child = subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert child.stdout is not None
    told: list[tuple[float, int]] = []
    try:
        deadline = time.time() + 120
        while time.time() < deadline and (not told or told[-1][1] < 60 or told[-1][0] - told[0][0] < 4):
            moment, step = child.stdout.readline().split()
            told.append((float(moment), int(step)))
        assert load_run("killed").state is RunState.RUNNING
        assert load_run("killed").history.last("loss/train") is not None
    finally:
        child.send_signal(signal.SIGKILL)
        rest = child.communicate()[0].splitlines()
    told += [(float(line.split()[0]), int(line.split()[1])) for line in rest if len(line.split()) == 2]
    saved = load_run("killed")
    assert (saved.state, saved.interrupted, saved.state_word) == (RunState.STOPPED, True, "interrupted")
    known = max(step for moment, step in told if moment <= told[-1][0] - 1.5)
    steps = saved.history.series("loss/train").steps
    assert steps[-1] >= known, "more than a second and a half of the record is missing"
    assert steps.tolist() == list(range(1, len(steps) + 1))
    assert saved.summary()["step"] >= steps[-1]
    assert json.loads((folder / "killed" / "run.json").read_text())["state"] == "RUNNING"


FULL_DISK = """
import resource
import reswork as rw

data = rw.datasets.digits()
recipe = rw.Recipe(steps=60, batch_size=32, device="cpu", precision="fp32", compile="off")
resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, 5_000))  # a file that would grow further cannot be written
run = rw.train(rw.resnet(depth=8, width=4, in_channels=1), data, recipe, name="full")
run.wait()
kinds = [note.kind for note in run.history.notes if note.kind != "recorders thinned"]  # the net is tiny
print(run.state.name, *sorted(set(kinds)), run.steps_done)
"""


def test_a_full_disk_stops_no_training_and_leaves_a_readable_run(folder: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FULL_DISK], capture_output=True, text=True, timeout=300)
    assert done.stdout.split() == ["FINISHED", "moments_not_saved", "no_checkpoint", "not_saved", "60"], (
        done.stderr
    )
    assert "RuntimeWarning: This run is not saved" in done.stderr
    saved = load_run("full")
    assert saved.unreadable is None
    steps = saved.history.series("loss/train").steps
    assert steps.tolist() == list(range(1, len(steps) + 1))
    assert sorted(path.name for path in saved.directory.iterdir()) == [
        "checkpoints", "metrics.jsonl", "moments", "run.json", "writer.lock",
    ]  # fmt: skip
    assert list((saved.directory / "checkpoints").iterdir()) == []
