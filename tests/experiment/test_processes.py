"""Runs in processes of their own, against real ones; what needs none is in test_process_parts.py."""

import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

import reswork as rw
from reswork.datasets import Augmentation, Dataset
from reswork.experiment.processes import WorkerFailed, resume_in_process, starting
from reswork.store.worker_file import living_worker

NET = rw.ResNetConfig(depth=8, width=4, in_channels=1, num_classes=3, dropout=0.1)
PLAIN = {"batch_size": 16, "learning_rate": 0.05, "device": "cpu", "compile": "off", "precision": "fp32"}
LONG = rw.Recipe(steps=10**6, **PLAIN)
HARD = rw.Recipe(
    steps=14,
    ema=0.9,
    mixup=0.3,
    augmentation=Augmentation(flip=True, crop_padding=1),
    label_smoothing=0.1,
    frozen=("conv1", "bn1"),
    unfreeze_epochs={"conv1": 1.5},
    layer_rates={"fc": 2.0},
    class_weights="balanced",
    **PLAIN,
)


@pytest.fixture(autouse=True)
def runs_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RESWORK_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


@pytest.fixture
def data() -> Dataset:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (84, 1, 8, 8), dtype=torch.uint8, generator=generator).numpy()
    labels = (torch.arange(84) % 3).numpy()
    names = ("<b>one", "two", "three")
    return rw.datasets.arrays(images[:64], labels[:64], images[64:], labels[64:], classes=names, name="noise")


@pytest.fixture
def train(data: Dataset) -> Iterator[Callable[..., rw.ProcessRun]]:
    """`rw.train` in a process, on a network that always begins with the same weights; no process is left over."""
    made: list[rw.ProcessRun] = []

    def start(recipe: rw.Recipe = LONG, **options: object) -> rw.ProcessRun:
        run = rw.train(net(), data, recipe, **{"engine": "process", **options})
        made.append(run)
        return run

    yield start
    for run in made:
        run.kill()
        run.wait_until_over()
        run.stop()  # one that was never started
        assert run.done


def net() -> rw.ResNet:
    torch.manual_seed(5)
    return rw.resnet(NET)


def wait_for(condition: Callable[[], object], seconds: float = 300.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.01)


def leftovers() -> tuple[int, int, set[str]]:
    """Children, open files and threads of this process."""
    gc.collect()
    me = psutil.Process()
    return len(me.children()), me.num_fds(), {thread.name for thread in threading.enumerate()}


def test_thread_and_process_are_equal_to_the_last_bit_and_nothing_is_left_over(
    train, data, runs_here
) -> None:
    in_thread = rw.train(net(), data, HARD, name="thread")
    in_thread.wait(300)
    before = leftovers()
    run = train(HARD, name="process")
    assert run.state is rw.RunState.RUNNING
    assert run.wait(300) is rw.RunState.FINISHED
    assert (run.steps_done, run.seconds_left, run.error) == (14, 0.0, None)
    assert str(run.mode).startswith("cpu, fp32")
    assert in_thread.history.names
    for name in ("loss/train", "top1/train", "loss/test", "top1/test", "learning_rate"):
        one, other = in_thread.history.series(name), run.history.series(name)
        assert np.array_equal(one.steps, other.steps) and np.array_equal(one.values, other.values), name
    one, other = in_thread.history.vectors("grad_norm"), run.history.vectors("grad_norm")
    assert one.labels == other.labels and np.array_equal(one.values, other.values)
    assert np.array_equal(
        in_thread.history.array("confusion/test")[1], run.history.array("confusion/test")[1]
    )
    ours, theirs = in_thread.model.state_dict(), run.model.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    assert not run.model.training and not run.snapshot().training
    saved = rw.load_run("process")
    assert (saved.state_word, saved.pid) == ("finished", None)
    assert saved.history.to_dict()["series"].keys() == run.history.to_dict()["series"].keys()
    assert np.array_equal(saved.history.series("loss/train").values, run.history.series("loss/train").values)
    wait_for(lambda: leftovers() == before)
    assert not (runs_here / "process" / "worker.json").exists()


def test_seeds_in_processes_sent_to_tensorboard_are_those_of_the_thread(data, tmp_path) -> None:
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    recipe = rw.Recipe(steps=5, **PLAIN)
    here = rw.train_seeds(net(), data, recipe, seeds=2, name="here")
    here.wait(300)
    recorders = [rw.recorders.default_recorders, rw.recorders.tensorboard(tmp_path / "logs")]
    apart = rw.train_seeds(net(), data, recipe, seeds=2, name="apart", engine="process", recorders=recorders)
    assert apart.wait(300) == (rw.RunState.FINISHED,) * 2
    for one, other in zip(here.histories, apart.histories, strict=True):
        assert one.series("loss/train").values.tolist() == other.series("loss/train").values.tolist()
    for seed, history in enumerate(apart.histories):
        read = reader.EventAccumulator(str(tmp_path / "logs" / f"apart-seed-{seed}"))
        read.Reload()
        assert [event.value for event in read.Scalars("loss/train")] == pytest.approx(
            history.series("loss/train").values.tolist(), rel=1e-6
        )
    assert not [run for run in apart.runs if living_worker(run.directory)]


def test_a_run_that_goes_on_in_a_process_is_sent_on(data, tmp_path, runs_here) -> None:
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    send = rw.recorders.tensorboard(tmp_path / "logs")
    recorders = [rw.recorders.default_recorders, send]
    first = rw.train(net(), data, rw.Recipe(steps=5, **PLAIN), name="mine", recorders=recorders, start=False)
    first.step(3)
    first.wait_until_still(300)
    first.stop()
    first.wait(300)
    run = resume_in_process(rw.load_run("mine"), data=data, recorders=[send])
    assert run.wait(300) is rw.RunState.FINISHED
    assert not [note for note in run.history.notes if note.kind in ("not_sent", "recorder removed")]
    read = reader.EventAccumulator(str(tmp_path / "logs" / "mine"))
    read.Reload()
    series = run.history.series("loss/train")
    assert [event.step for event in read.Scalars("loss/train")] == series.steps.tolist() == [1, 2, 3, 4, 5]
    assert [event.value for event in read.Scalars("loss/train")] == pytest.approx(
        series.values.tolist(), rel=1e-6
    )


def test_every_button_through_the_process_with_two_kernels_and_a_worker_that_hangs(
    train, runs_here, monkeypatch
) -> None:
    run = train(start=False, name="steered", recorders=[rw.recorders.losses, rw.recorders.learning_rate])
    assert (run.state, run.pid, rw.load_run("steered").state_word) == (rw.RunState.READY, None, "ready")
    assert all(
        torch.equal(a, b) for a, b in zip(run.snapshot().parameters(), net().parameters(), strict=True)
    )
    run.set(learning_rate=0.0123)
    run.pause()
    run.start()
    run.start()
    assert "starting in process" in rw.load_run("steered").state_word
    assert run.wait_until_still(300) is rw.RunState.PAUSED
    assert run.steps_done == 0
    for n, total in ((1, 1), (3, 4)):
        run.step(n)
        assert run.wait_until_still(300) is rw.RunState.PAUSED
        assert run.steps_done == total
        assert run.history.series("loss/train").steps.tolist() == list(range(1, total + 1))
    assert [note.details["value"] for note in run.history.notes if note.kind == "learning_rate"] == [0.0123]
    looked = run.snapshot()
    assert not looked.training and not torch.equal(next(looked.parameters()), next(net().parameters()))
    for name, value in (("learning_rate", -1.0), ("depth", 3.0)):
        with pytest.raises(rw.InvalidSetting):
            run.set(**{name: value})
    with pytest.raises(rw.InvalidSetting):
        run.step(0)

    run.add_recorder("update_ratios")
    assert "update_ratios" in run.recorders
    run.remove_recorder("update_ratios")
    assert run.recorders == ("losses", "learning_rate")
    with pytest.raises(rw.InvalidSetting, match="engine='thread'"):
        run.add_recorder(print)

    assert rw.attach("steered") is run
    monkeypatch.setattr(starting, "active_runs", list)  # as in a second kernel
    other = rw.attach("steered")
    monkeypatch.undo()
    monkeypatch.setenv("RESWORK_RUNS", str(runs_here))
    assert other is not run and (other.pid, other.state, other.recorders) == (
        run.pid,
        run.state,
        run.recorders,
    )
    assert np.array_equal(other.history.series("loss/train").values, run.history.series("loss/train").values)
    other.step(2)
    assert other.wait_until_still(300) is rw.RunState.PAUSED and other.steps_done == 6
    other.set(momentum=0.5)
    other.resume()
    wait_for(lambda: run.steps_done > 8)
    assert run.state is rw.RunState.RUNNING
    assert rw.load_run("steered").pid == run.pid and set(rw.active_runs()) == {run, other}

    os.kill(run.pid, signal.SIGSTOP)
    wait_for(lambda: psutil.Process(run.pid).status() == psutil.STATUS_STOPPED)
    run._client.patience_s = 0.3
    with pytest.raises(RuntimeError, match="does not answer"):
        run.pause()
    os.kill(run.pid, signal.SIGCONT)
    assert run.wait_until_still(300) is rw.RunState.PAUSED  # it lands when the worker wakes
    run.resume()
    run.stop()
    assert run.wait(300) is rw.RunState.STOPPED
    assert other.wait(300) is rw.RunState.STOPPED
    assert any(note.kind == "momentum" for note in run.history.notes)
    for button in (run.start, run.pause, run.step, run.resume, run.stop, run.kill):
        button()
        assert run.state is rw.RunState.STOPPED
    with pytest.raises(rw.InvalidSetting, match="start a new run"):
        run.set(learning_rate=0.1)
    assert torch.equal(next(run.snapshot().parameters()), next(rw.load_run("steered").model().parameters()))
    with pytest.raises(rw.InvalidSetting, match=r"rw\.load_run"):
        rw.attach("steered")


KERNEL = """
import time, reswork as rw
data = rw.datasets.digits().subset(64, 20)
for ends in ("stop", "go_on"):
    model = rw.resnet(depth=8, width=4, in_channels=1)
    recipe = rw.Recipe(steps=10**6, batch_size=16, device="cpu", compile="off", precision="fp32")
    rw.train(model, data, recipe, engine="process", when_kernel_ends=ends, name=ends)
runs = rw.active_runs()
while any(run.steps_done < 3 for run in runs):
    time.sleep(0.01)
print("trains", flush=True)
time.sleep(600)
"""


def test_a_killed_kernel_ends_a_run_or_not_as_it_was_told_and_a_killed_worker_is_told(tmp_path) -> None:
    kernel = subprocess.Popen(
        [sys.executable, "-c", KERNEL], stdout=subprocess.PIPE, text=True, cwd=rw_root()
    )
    workers = []
    try:
        assert kernel.stdout.readline() == "trains\n"
        workers = [living_worker(rw.load_run(name).directory) for name in ("stop", "go_on")]
        kernel.kill()
        kernel.wait(300)
        wait_for(lambda: not workers[0].alive)
        stopped = rw.load_run("stop")
        assert (stopped.state_word, stopped.pid) == ("stopped", None)
        assert stopped.model().training is False
        assert [note.details for note in stopped.history.notes if note.kind == "kernel ended"] == [
            {"then": "stop"}
        ]

        assert rw.load_run("go_on").pid == workers[1].pid  # not an unnoticed orphan
        run = rw.attach("go_on")
        seen = run.steps_done
        wait_for(lambda: run.steps_done > seen + 5)
        assert run.history.series("loss/train").steps.tolist()[:3] == [1, 2, 3]
        assert [note.details for note in run.history.notes if note.kind == "kernel ended"] == [
            {"then": "go on"}
        ]
        run.pause()
        run.wait_until_still(300)
        assert run.history.series("loss/train").steps.tolist() == list(range(1, run.steps_done + 1))

        os.kill(run.pid, signal.SIGKILL)
        with pytest.raises(WorkerFailed, match="ended while it trained") as caught:
            run.wait(300)
        assert "worker.log" in str(caught.value)
        assert run.state is rw.RunState.FAILED and rw.active_runs() == []
        assert not any(worker.folder.exists() for worker in workers)
        wait_for(lambda: rw.load_run("go_on").state_word == "interrupted")
        with pytest.raises(RuntimeError, match="lost"):
            run.snapshot()
        run.pause()
        assert run.state is rw.RunState.FAILED
    finally:
        kernel.kill()
        kernel.wait(300)
        kernel.stdout.close()
        for worker in workers:
            if worker is not None and worker.process is not None:
                worker.process.kill()


def rw_root() -> Path:
    return Path(rw.__file__).parents[1]


def test_a_worker_that_cannot_begin_says_why(train, tmp_path, monkeypatch, runs_here) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "torch.py").write_text("raise ImportError('this file is broken')")
    monkeypatch.setenv("PYTHONPATH", str(broken))
    run = train(name="broken")
    with pytest.raises(WorkerFailed, match="before it began to train: ImportError: this file is broken"):
        run.wait(300)
    assert "Traceback" in (runs_here / "broken" / "worker.log").read_text()
    assert json.loads((runs_here / "broken" / "run.json").read_text())["name"] == "broken"
