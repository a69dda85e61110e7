"""`engine="torchrun"`: the same run, steered from here, in several processes under torchrun's agent."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import torch

import reswork as rw
from reswork.errors import InvalidSetting
from reswork.experiment.processes import resume_in_process
from reswork.history import History
from reswork.store.checkpoints import Checkpoints
from reswork.store.worker_file import living_worker

pytestmark = [
    pytest.mark.serial,  # two processes at once
    pytest.mark.skipif(sys.platform == "win32", reason="sockets in the file system"),
]

PLAIN = {"device": "cpu", "compile": "off", "precision": "fp32", "channels_last": True}
RECIPE = rw.Recipe(steps=60, schedule="constant", **PLAIN)
WAIT_S = 300.0


@pytest.fixture(autouse=True)
def runs_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RESWORK_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


@pytest.fixture
def train() -> Iterator[Callable[..., rw.ProcessRun]]:
    """`rw.train` in two processes; none is left over."""
    made: list[rw.ProcessRun] = []

    def start(recipe: rw.Recipe = RECIPE, **options: object) -> rw.ProcessRun:
        run = rw.train(net(), rw.datasets.digits(), recipe, engine="torchrun", ranks=2, **options)
        made.append(run)
        return run

    yield start
    for run in made:
        run.kill()
        run.wait_until_over()
        run.stop()


def net() -> rw.ResNet:
    torch.manual_seed(5)
    return rw.resnet(depth=8, width=4, in_channels=1, norm="group")


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def processes_of(run: rw.ProcessRun) -> dict[str, psutil.Process]:
    """The ranks, and the agent that has started them."""
    assert run.pid is not None
    agent = psutil.Process(run.pid)
    return {each.environ()["RANK"]: each for each in agent.children()} | {"agent": agent}


def test_it_is_steered_and_gives_what_one_process_gives(train: Callable[..., rw.ProcessRun]) -> None:
    run = train(start=False, name="mine")
    run.step(20)
    wait_for(lambda: run.state is rw.RunState.PAUSED)
    assert run.steps_done == 20
    processes = processes_of(run)
    assert sorted(processes) == ["0", "1", "agent"]
    assert living_worker(run.directory).pid == run.pid
    assert rw.attach("mine") is run
    looked_at = run.snapshot()
    run.set(learning_rate=0.02)
    run.resume()
    assert run.wait(WAIT_S) is rw.RunState.FINISHED
    assert not any(each.is_running() and each.status() != "zombie" for each in processes.values())
    assert not run._client.worker.folder.exists()

    alone = rw.train(net(), rw.datasets.digits(), RECIPE, start=False)
    alone.step(20)
    alone.wait_until_still(WAIT_S)
    torch.testing.assert_close(looked_at.state_dict(), alone.snapshot().state_dict(), rtol=1e-3, atol=1e-5)
    alone.set(learning_rate=0.02)
    alone.resume()
    alone.wait(WAIT_S)
    for series in ("loss/train", "loss/test", "top1/test", "learning_rate", "grad_norm"):
        ours, theirs = run.history.series(series), alone.history.series(series)
        assert ours.values[: len(theirs.values)] == pytest.approx(theirs.values[: len(ours.values)], rel=0.02)
    assert "ranks" in [note.kind for note in run.history.notes]


def test_it_goes_on_by_itself_where_a_rank_is_killed(train: Callable[..., rw.ProcessRun]) -> None:
    run = train(rw.Recipe(steps=10**6, **PLAIN), restarts=1, save_every_s=0.2)
    wait_for(lambda: any(kept.step > 0 for kept in Checkpoints(run.directory).all()))
    processes = processes_of(run)
    processes["1"].kill()
    wait_for(lambda: "resumed" in [note.kind for note in run.history.notes])
    (resumed,) = [note for note in run.history.notes if note.kind == "resumed"]
    assert resumed.step > 0
    wait_for(lambda: run.steps_done > resumed.step + 5)
    assert run.state is rw.RunState.RUNNING
    assert run.pid != processes["agent"].pid
    steps = run.history.series("loss/train").steps.tolist()
    assert steps == list(range(1, len(steps) + 1))
    processes_of(run)["0"].kill()  # once too often
    assert run.wait_until_over(WAIT_S) is rw.RunState.FAILED
    saved = rw.load_run(run.name)
    assert saved.can_be_resumed
    more = resume_in_process(saved, engine="torchrun", ranks=3, start=False)
    more.step(2)
    wait_for(lambda: more.state is rw.RunState.PAUSED)
    assert len(processes_of(more)) == 4
    more.stop()
    assert more.wait(WAIT_S) is rw.RunState.STOPPED


def test_it_stops_with_its_kernel(runs_here: Path) -> None:
    """The parent of a rank is torchrun's agent, whose parent is the kernel."""
    kernel = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time, reswork as rw\n"
            "net = rw.resnet(depth=8, width=4, in_channels=1)\n"
            f"recipe = rw.Recipe(steps=10**6, **{PLAIN!r})\n"
            "run = rw.train(net, rw.datasets.digits(), recipe, engine='torchrun', ranks=2, name='mine')\n"
            "while run.steps_done < 5: time.sleep(0.05)\n"
            "print('trains', flush=True); time.sleep(100)",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert kernel.stdout is not None
    assert kernel.stdout.readline() == "trains\n"
    worker = living_worker(runs_here / "mine")
    assert worker is not None
    os.kill(kernel.pid, signal.SIGKILL)
    kernel.wait()
    kernel.stdout.close()
    wait_for(lambda: not worker.alive)
    run = rw.load_run("mine")
    assert run.state is rw.RunState.STOPPED
    assert not run.interrupted
    assert ("kernel ended", "stop") in [(note.kind, note.details.get("then")) for note in run.history.notes]
    assert run.can_be_resumed


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"engine": "torchrun", "ranks": 0}, "ranks=0"),
        ({"engine": "torchrun", "restarts": -1}, "restarts=-1"),
        ({"engine": "process", "ranks": 2}, "ranks= is for engine='torchrun'"),
        ({"restarts": 2}, "restarts= is for engine='torchrun'"),
        ({"engine": "mpi"}, "choose 'thread', 'process' or 'torchrun'"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, object], told: str) -> None:
    with pytest.raises(InvalidSetting, match=told):
        rw.train(net(), rw.datasets.digits(), RECIPE, **options)
    assert rw.runs() == []


def test_small_batches_and_a_torch_without_gloo_are_refused_beforehand(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(InvalidSetting, match="a batch of 3 images is too small for 2 ranks"):
        rw.train(net(), rw.datasets.digits(), replace(RECIPE, batch_size=3), engine="torchrun", ranks=2)
    monkeypatch.setattr("torch.distributed.is_gloo_available", lambda: False)
    with pytest.raises(InvalidSetting, match="needs gloo"):
        rw.train(net(), rw.datasets.digits(), RECIPE, engine="torchrun")
    assert rw.runs() == []


def test_a_history_becomes_another() -> None:
    history, earlier = History(), History()
    for step in range(1, 9):
        history.record(step, {"loss": 1 / step})
    history.note(8, "late")
    earlier.record(1, {"loss": 1.0})
    before = history.version
    history.become(earlier)
    assert history.series("loss").steps.tolist() == [1]
    assert history.notes == ()
    assert history.version > before
    history.record(2, {"loss": 0.5})
    assert history.last("loss") == 0.5
