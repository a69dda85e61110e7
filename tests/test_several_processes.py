"""`reswork train` by several processes: the folder is that of one run, and any number goes on with it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from reswork import cli, datasets
from reswork.experiment.launch import train
from reswork.models.network import resnet
from reswork.store.saved_run import load_run
from reswork.training.recipe import Recipe
from tests.ranks import RanksOf, jobs

pytestmark = [
    pytest.mark.serial,  # two processes at once
    pytest.mark.skipif(sys.platform == "win32", reason="torchrun's ranks need fork"),
]

SMALL = [
    *("train", "--data", "digits", "--depth", "8", "--width", "4", "--interval", "0.05"),
    *("--device", "cpu", "--precision", "fp32", "--compile", "off", "--name", "mine"),
]
AT_MOST_S = 300.0


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RESWORK_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


def ranks_of(tmp_path: Path, *arguments: str, count: int = 2, **environ: str) -> RanksOf:
    return RanksOf(
        tmp_path, jobs.command, *arguments, count=count, RESWORK_RUNS=os.environ["RESWORK_RUNS"], **environ
    )


def test_the_first_rank_tells_and_writes(tmp_path: Path) -> None:
    first, second = ranks_of(tmp_path, *SMALL, "--epochs", "2").outcomes()
    assert (first.unwrap(), second.unwrap()) == (0, 0)
    lines = first.said.splitlines()
    assert lines[0].startswith("ResNet-8: ")
    assert lines[-1].startswith("finished after 20 steps")
    assert second.said == ""
    run = load_run("mine")
    (note,) = [note for note in run.history.notes if note.kind == "ranks"]
    assert note.details["count"] == 2
    assert note.details["told"].endswith("batch norm with the statistics of each rank's own part of a batch")
    assert [each.name for each in run.directory.parent.iterdir()] == ["mine"]
    assert run.history.series("top1/test").steps.tolist() == [10, 20]


@pytest.mark.parametrize("asked", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_run_goes_on_with_another_number(asked: signal.Signals, tmp_path: Path) -> None:
    """Ctrl+C reaches all ranks, as torchrun's own signal does."""
    go = tmp_path / "go"
    runs = {"RESWORK_RUNS": os.environ["RESWORK_RUNS"]}
    group = RanksOf(tmp_path, jobs.held_command, str(go), *SMALL, "--steps", "200", **runs)
    group.wait_for("step 1")
    for process in group.processes:
        assert process.pid is not None
        os.kill(process.pid, asked)
    go.touch()
    first, second = group.outcomes(AT_MOST_S)
    assert (first.unwrap(), second.unwrap(), second.said) == (130, 0, "")
    run = load_run("mine")
    assert run.state.name == "STOPPED"
    assert 1 <= (done := run.progress["step"]) < 200
    if asked is signal.SIGTERM:
        assert cli.main(["train", "--resume", "mine", "--interval", "0.05"]) == 0
    else:
        (code, *others) = values_of_command(tmp_path, "train", "--resume", "mine", count=3)
        assert (code, others) == (0, [0, 0])
    run = load_run("mine")
    assert run.state.name == "FINISHED"
    assert run.history.series("loss/train").steps.tolist() == list(range(1, 201))
    assert [note.step for note in run.history.notes if note.kind == "resumed"] == [done]


def values_of_command(tmp_path: Path, *arguments: str, count: int) -> list[int]:
    return [each.unwrap() for each in ranks_of(tmp_path, *arguments, count=count).outcomes()]


def test_two_ranks_go_on_as_one_process_would(tmp_path: Path, folder: Path) -> None:
    recipe = Recipe(
        **jobs.PLAIN, steps=30, ema=0.9, optimizer="adamw", learning_rate=1e-3, schedule="one_cycle"
    )
    data = datasets.digits()

    def begun(name: str) -> None:
        model = resnet(depth=8, width=4, in_channels=1, norm="group")
        model.load_state_dict(weights)
        run = train(model, data, recipe, name=name, start=False)
        if name == "broken":
            run.step(12)
            run.wait_until_still(300)
            run.stop()
        run.start()
        run.wait()

    weights = resnet(depth=8, width=4, in_channels=1, norm="group").state_dict()
    begun("whole")
    begun("broken")
    assert values_of_command(tmp_path, "train", "--resume", "broken", count=2) == [0, 0]
    whole, broken = (load_run(name).history for name in ("whole", "broken"))
    for series in ("loss/train", "loss/test", "top1/test", "learning_rate"):
        assert broken.series(series).steps.tolist() == whole.series(series).steps.tolist()
        assert broken.series(series).values == pytest.approx(whole.series(series).values, rel=1e-4), series


def test_what_only_the_first_rank_refuses_ends_all(tmp_path: Path, folder: Path) -> None:
    (folder / "taken").mkdir(parents=True)
    (folder / "taken" / "file").touch()
    outcomes = ranks_of(tmp_path, *SMALL, "--directory", str(folder / "taken")).outcomes(AT_MOST_S)
    assert [each.unwrap() for each in outcomes] == [2, 0]
    assert outcomes[0].said.splitlines()[-1].endswith("choose a new one")
    assert outcomes[1].said == ""


def test_torchrun_ends_when_a_rank_is_killed(folder: Path) -> None:
    """The real thing, with its agent, which ends all ranks when one has failed."""
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    started = subprocess.Popen(
        [sys.executable, *torchrun, "-m", "reswork", *SMALL, "--steps", "5000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert started.stdout is not None
    said = []
    for line in started.stdout:
        said.append(line)
        if line.startswith("step 2"):
            break
    (pid,) = [
        each.pid for each in psutil.Process(started.pid).children() if each.environ().get("RANK") == "1"
    ]
    os.kill(pid, signal.SIGKILL)
    begin = time.monotonic()
    rest, _ = started.communicate(timeout=300)
    assert time.monotonic() - begin < AT_MOST_S, rest
    assert started.returncode == 1, "".join(said) + rest
    run = load_run("mine")
    assert run.can_be_resumed
    assert run.state.name == "FAILED"
    assert f"reswork: Rank 1 of 2 (process {pid}) ended without a word" in rest
