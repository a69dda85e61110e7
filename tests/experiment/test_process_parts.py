"""Orders, messages and requests of runs in processes of their own, without a process."""

import copy
import json
import os
import random
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from torch import nn

import reswork as rw
from reswork.experiment.processes import starting
from reswork.experiment.processes.connection import Connection, connect, listen
from reswork.experiment.processes.exit_reason import sentence_about
from reswork.experiment.processes.job import (
    ProcessSettings,
    make_job,
    private_folder,
    read_dataset,
    read_job,
    write_dataset,
    write_job,
)
from reswork.experiment.processes.portable import config_of, recorder_specs, recorders_from_specs
from reswork.experiment.processes.process_run import ProcessRun
from reswork.experiment.processes.starting import newest_going_on, resume_in_process
from reswork.experiment.processes.status import status_from, status_message
from reswork.store.history_sync import HistoryDelta, HistoryFollower, marks
from reswork.store.worker_file import Worker, living_worker, worker_of, write_worker
from reswork.tasks import task_for
from reswork.training.failures import NonFiniteLoss
from reswork.training.progress import TrainingState
from tests import served_runs
from tests.datasets.image_files import encoded, picture, write
from tests.served_runs import tiny

CAMPAIGN = int(os.environ.get("RESWORK_CAMPAIGN", "12"))
RECIPE = served_runs.RECIPE


@pytest.fixture
def data() -> rw.datasets.Dataset:
    return served_runs.small_digits()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Callable[..., tuple[ProcessRun, rw.Run]]]:
    with served_runs.served_runs(tmp_path) as make:
        yield make


@pytest.mark.parametrize("seed", range(CAMPAIGN))
def test_random_requests_have_the_same_outcome_as_in_a_thread(seed: int, served, data) -> None:
    """Requests one after another, each waited for: states, steps and losses are those of a thread."""
    chance = random.Random(seed)
    remote, _ = served()
    local = rw.Run(tiny(), data, RECIPE, recorders=(), history=rw.History())
    local.add_recorder(rw.recorders.losses(local.history))
    for number in range(chance.randint(3, 14)):
        word = chance.choice(
            ["pause"] if number == 0 else ["step", "step", "snapshot", "set", "pause", "stop?", "start"]
        )
        for run in (remote, local):
            match word:
                case "step":
                    run.step(1 + seed % 3)
                case "set":
                    if not run.done:
                        run.set(learning_rate=0.01 * (number + 1))
                case "snapshot":
                    run.snapshot()
                case "stop?" if number > 9:
                    run.stop()
                case "stop?":
                    pass
                case _:
                    getattr(run, word)()
            if word == "stop?" and number > 9:
                run.wait(300)
            elif run.state is not rw.RunState.READY:
                run.wait_until_still(300)
        assert (remote.state, remote.steps_done) == (local.state, local.steps_done), (word, number)
        if local.state is not rw.RunState.READY:
            for one, other in zip(remote.snapshot().parameters(), local.snapshot().parameters(), strict=True):
                assert torch.equal(one, other)
        ours, theirs = remote.history.series("loss/train"), local.history.series("loss/train")
        assert np.array_equal(ours.values, theirs.values) and np.array_equal(ours.steps, theirs.steps)
    local.stop()


def test_a_lost_connection_is_made_again_and_nothing_comes_twice(served) -> None:
    remote, inner = served()
    remote.step(5)
    assert remote.wait_until_still(300) is rw.RunState.PAUSED
    for round_ in range(3):
        remote._client._connection.hang_up()
        inner.step(2)
        inner.wait_until_still(300)
        assert remote.wait_for_change(rw.RunState.PAUSED, 5 + 2 * round_, 20)
        remote.wait_until_still(300)
        steps = remote.history.series("loss/train").steps.tolist()
        assert steps == list(range(1, inner.steps_done + 1))
        assert not remote.snapshot().training


def test_errors_of_the_training_arrive_as_they_are(served) -> None:
    remote, inner = served(replace(RECIPE, learning_rate=1e30))
    remote.start()
    with pytest.raises(NonFiniteLoss, match="not finite at step") as caught:
        remote.wait(300)
    assert (caught.value.step, caught.value.layer) == (inner.error.step, inner.error.layer)
    assert rw.load_run(remote.directory).error == f"NonFiniteLoss: {caught.value}"
    assert remote.history.series("loss/train").steps[-1] == caught.value.step - 1


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (-9, "was ended by the system or by somebody (SIGKILL); where nobody did that, memory ran out"),
        (-11, "was ended by the system or by somebody (SIGSEGV). It ended while it trained"),
        (1, "ended while it trained: OSError: no <b>room</b>. Its words are in"),
        (None, "ended while it trained: OSError: no <b>room</b>. Its words are in"),
    ],
)
def test_the_end_of_a_process_is_one_sentence(code: int | None, words: str, tmp_path) -> None:
    (tmp_path / "worker.log").write_text("first\nOSError: no <b>room</b>.\n\n")
    assert words in sentence_about(tmp_path, 4711, code, began=True)
    assert "(4711)" in sentence_about(tmp_path / "nothing", 4711, code, began=False)


def test_many_threads_ask_at_once(served) -> None:
    remote, _ = served()
    remote.start()
    got: list[nn.Module] = []
    askers = [threading.Thread(target=lambda: got.append(remote.snapshot())) for _ in range(8)]
    askers += [threading.Thread(target=each) for each in (remote.pause, remote.resume, remote.start) * 3]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join(20)
        assert not asker.is_alive()
    assert len({id(model) for model in got}) == 8
    remote.resume()
    assert remote.wait(300) is rw.RunState.FINISHED


def test_stopped_before_the_start_there_is_never_a_process(served) -> None:
    remote, inner = served()
    with pytest.raises(RuntimeError, match="not started"):
        remote.wait()
    remote.stop()
    remote.start()
    assert (remote.state, inner.state) == (rw.RunState.STOPPED, rw.RunState.READY)


def test_a_stopped_run_goes_on_in_a_worker_to_the_last_bit(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("RESWORK_RUNS", str(tmp_path))
    data = rw.datasets.digits().subset(200, 50)
    hard = replace(
        RECIPE,
        ema=0.9,
        mixup=0.3,
        optimizer="adamw",
        augmentation=rw.Augmentation(translate=1),
        steps=14,
        image_scale=0.5,
    )
    whole = rw.train(tiny(), data, hard, name="whole")
    whole.wait(300)
    with served_runs.workers_in_threads():
        first = rw.train(tiny(), data, hard, name="parted", engine="process", start=False, save_every_s=1000)
        first.step(5)
        assert first.wait_until_still(300) is rw.RunState.PAUSED
        first.stop()
        assert first.wait(300) is rw.RunState.STOPPED
        saved = rw.load_run("parted")
        with pytest.raises(rw.InvalidSetting, match="hand over the very same"):
            resume_in_process(saved, data=rw.datasets.digits())
        run = resume_in_process(saved, data=data)
        assert run.wait(300) is rw.RunState.FINISHED
        with pytest.raises(rw.InvalidSetting, match="finished"):
            resume_in_process(rw.load_run("parted"), data=data)
    assert [note.kind for note in run.history.notes if note.kind == "resumed"] == ["resumed"]
    one, other = whole.history.series("loss/train"), run.history.series("loss/train")
    assert np.array_equal(one.steps, other.steps) and np.array_equal(one.values, other.values)
    theirs = run.model.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in whole.model.state_dict().items())


def test_a_branch_begins_at_a_state_in_a_worker_as_in_a_thread(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("RESWORK_RUNS", str(tmp_path))
    data = served_runs.small_digits()
    state = TrainingState(7, {f"model/{name}": value for name, value in tiny().state_dict().items()})
    parent = {"run": "trunk", "step": 7, "changes": {"learning_rate": [0.1, 0.05]}}
    branches = []
    with served_runs.workers_in_threads():
        for engine in ("thread", "process"):
            branches.append(
                rw.train(
                    tiny(),
                    data,
                    replace(RECIPE, steps=12),
                    engine=engine,
                    state=state,
                    parent=parent,
                    name=engine,
                )
            )
            branches[-1].wait(300)
    values = [run.history.series("loss/train") for run in branches]
    assert values[0].steps.tolist() == [8, 9, 10, 11, 12] == values[1].steps.tolist()
    assert np.array_equal(values[0].values, values[1].values)
    assert rw.load_run("process").parent == rw.load_run("thread").parent == parent


def test_a_worker_keeps_its_memory_unless_somebody_wants_otherwise(tmp_path, monkeypatch) -> None:
    started: list[dict[str, str]] = []
    monkeypatch.setattr(starting.subprocess, "Popen", lambda *_, env, **__: started.append(env))
    monkeypatch.delenv("MALLOC_ARENA_MAX", raising=False)
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "7")
    starting._started(tmp_path, tmp_path, 0)
    assert (started[0]["MALLOC_ARENA_MAX"], started[0]["MALLOC_TRIM_THRESHOLD_"]) == ("1", "7")


def test_test_images_may_be_a_view_of_the_training_images(tmp_path, data) -> None:
    part = rw.datasets.Split(data.train.images[:20], data.train.labels[:20])
    data = replace(data, test=part)
    write_dataset(tmp_path / "data.safetensors", data)
    again = read_dataset(tmp_path / "data.safetensors")
    assert again.fingerprint == data.fingerprint
    assert torch.equal(again.test.images, data.test.images)


def test_masks_reach_another_process_to_the_last_pixel(tmp_path) -> None:
    data = rw.datasets.scenes(train=5, test=3, size=16)
    write_dataset(tmp_path / "data.safetensors", data)
    again = read_dataset(tmp_path / "data.safetensors")
    assert (again.fingerprint, again.target_kind, again.classes) == (data.fingerprint, "masks", data.classes)
    assert torch.equal(again.test.masks, data.test.masks)


@pytest.mark.parametrize("kind", ["labels", "masks"])
def test_images_in_a_file_are_not_sent_every_process_opens_that_file(tmp_path, kind) -> None:
    for number in range(12):
        place = f"images/{number}.png" if kind == "masks" else f"{number % 2}/{number}.png"
        write(tmp_path / "own", place)
        if kind == "masks":
            write(tmp_path / "own", f"masks/{number}.png", encoded(picture(number)[..., 0] % 3))
    data = rw.datasets.load(tmp_path / "own", 64, cache=tmp_path / "cache")
    assert len(data.train.files) == (2 if kind == "masks" else 1)
    write_dataset(tmp_path / "data.safetensors", data)
    assert (tmp_path / "data.safetensors").stat().st_size < 8_000 < data.train.images.nbytes
    again = read_dataset(tmp_path / "data.safetensors")
    assert again.train.files == data.train.files
    assert (again.fingerprint, again.notes, again.value_range) == (
        data.fingerprint,
        data.notes,
        data.value_range,
    )
    for split in ("train", "test"):
        assert torch.equal(getattr(again, split).images, getattr(data, split).images)
        assert torch.equal(getattr(again, split).targets, getattr(data, split).targets)


def test_the_order_carries_weights_data_and_settings_to_the_last_bit(data) -> None:
    model = rw.resnet(depth=8, width=4, in_channels=1, shortcut="B", order="pre")
    model.conv1.weight.requires_grad_(False)
    folder = private_folder()
    assert folder.stat().st_mode & 0o077 == 0
    state = TrainingState(3, {"model/fc.bias": model.fc.bias.detach()}, {"seconds": 0.1})
    job = make_job(
        model, task_for(data), RECIPE, {"a": 1}, ProcessSettings(state=state, when_kernel_ends="go_on")
    )
    write_job(folder, job, model, data, state)
    again, built, images, begin = read_job(folder)
    assert (again, again.kernel, again.when_kernel_ends) == (job, os.getpid(), "go_on")
    assert (begin.step, begin.values) == (3, {"seconds": 0.1})
    assert torch.equal(begin.tensors["model/fc.bias"], model.fc.bias)
    assert built.config == model.config and rw.Recipe.from_dict(again.recipe) == RECIPE
    assert all(torch.equal(value, built.state_dict()[name]) for name, value in model.state_dict().items())
    assert [name for name, weight in built.named_parameters() if not weight.requires_grad] == ["conv1.weight"]
    assert images.fingerprint == data.fingerprint
    assert (images.mean, images.std, images.name, images.notes) == (
        data.mean,
        data.std,
        data.name,
        data.notes,
    )
    assert [path.name for path in folder.iterdir()] == ["job.json"]
    (folder / "job.json").unlink()
    folder.rmdir()


@pytest.mark.parametrize("engine", ["thread", "process"])
def test_a_run_has_the_same_members_wherever_it_computes(engine, data, tmp_path) -> None:
    net = tiny()
    run = rw.train(net, data, RECIPE, engine=engine, directory=tmp_path / "run", start=False)
    assert (run.is_live, run.name, run.directory) == (True, "run", tmp_path / "run")
    assert run.config == net.config and run.data is data and run.pid is None
    assert run.recorder_controls is not None and run.moments.most_bytes == 120_000_000
    run.stop()
    assert rw.load_run(tmp_path / "run").directory == run.directory


def test_the_budget_of_moments_is_set_from_here(served, data) -> None:
    remote, inner = served(moments_bytes=10**6)
    remote.step(2)
    remote.wait_until_still(300)
    found = rw.moments(remote)
    assert found.most_bytes == 10**6 and found.steps[0] == 0
    found.most_bytes = 5 * 10**5
    assert (inner.moments.most_bytes, remote.moments.most_bytes) == (5 * 10**5, 5 * 10**5)
    with pytest.raises(rw.InvalidSetting, match="is no size"):
        found.most_bytes = -1
    without, _ = served()
    assert rw.moments(without).most_bytes is None


def test_what_a_process_cannot_build_is_refused_with_a_way_out(data, tmp_path) -> None:
    hooked, changed, double = tiny(), tiny(), tiny().double()
    hooked.layer1.register_forward_hook(lambda *_: None)
    changed.fc = nn.Linear(8, 10, bias=False)
    for model in (nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), hooked, changed, double):
        with pytest.raises(rw.InvalidSetting, match="use engine='thread'") as caught:
            rw.train(model, data, RECIPE, engine="process", directory=tmp_path / "never")
        assert caught.value.field == "engine"
    own = r"networks of rw\.resnet with recorders of rw\.recorders\.CATALOGUE.*<lambda>.*use engine='thread'"
    with pytest.raises(rw.InvalidSetting, match=own):
        rw.train(tiny(), data, RECIPE, engine="process", recorders=[lambda history: print])
    waiting = rw.train(tiny(), data, RECIPE, engine="process", directory=tmp_path / "waiting", start=False)
    with pytest.raises(rw.InvalidSetting, match=own):
        waiting.add_recorder(lambda event: None)
    waiting.stop()
    for wrong in ({"engine": "rocket"}, {"engine": "process", "when_kernel_ends": "explode"}):
        with pytest.raises(rw.InvalidSetting, match="choose"):
            rw.train(tiny(), data, RECIPE, **wrong)
    (tmp_path / "file").write_text("")
    with pytest.raises(rw.InvalidSetting):
        rw.train(tiny(), data, RECIPE, engine="process", directory=tmp_path / "file" / "run")
    assert not (tmp_path / "never").exists()
    assert config_of(tiny()) == tiny().config
    with pytest.raises(rw.InvalidSetting, match="save_every_s=-1 must be a number of seconds"):
        rw.train(tiny(), data, RECIPE, engine="process", save_every_s=-1, directory=tmp_path / "never")


def test_recorders_are_ordered_by_name_and_made_anew(tmp_path) -> None:
    assert recorder_specs(None) is None and recorder_specs([]) == []
    chosen = [rw.recorders.losses, rw.recorders.default_recorders, rw.recorders.tensorboard(tmp_path)]
    orders = recorder_specs(chosen)
    assert json.loads(json.dumps(orders)) == orders
    history = rw.History()
    names = [getattr(each, "name", "?") for each in recorders_from_specs(orders, history)]
    usual = [getattr(each, "name", "?") for each in rw.recorders.default_recorders(history)]
    assert names == ["losses", *usual, "tensorboard"]
    assert [each.name for each in recorders_from_specs(None, history)] == usual


def test_a_followed_history_is_the_same_whenever_it_was_looked_at() -> None:
    chance = random.Random(0)
    for _ in range(30):
        source, copy_ = rw.History(), rw.History()
        growth, follower = HistoryDelta(source), HistoryFollower(copy_)
        for step in range(1, 40):
            source.record(step, {"a": chance.choice([1.5, float("nan"), float("inf"), 1 / 3])})
            if chance.random() < 0.3:
                source.record(step, {"a": 0.1, "b": -float("inf")})
            if chance.random() < 0.3:
                source.record_vector("g", step, ("x", "y"), [step / 7, float("nan")])
            if chance.random() < 0.2:
                source.keep("c", step, np.arange(4).reshape(2, 2) * step)
            if chance.random() < 0.2:
                source.note(step, "n", words="<b>", value=step)
            if chance.random() < 0.3:
                for line in json.loads(json.dumps(growth.lines())):
                    follower.take(line)
            if chance.random() < 0.1:  # a new connection
                growth, follower = (
                    HistoryDelta(source, json.loads(json.dumps(marks(copy_)))),
                    HistoryFollower(copy_),
                )
        for line in json.loads(json.dumps(growth.lines())):
            follower.take(line)
        assert json.dumps(copy_.to_dict(), sort_keys=True) == json.dumps(source.to_dict(), sort_keys=True)
        assert growth.lines() == []


def test_every_status_comes_back_as_it_was(served) -> None:
    _, inner = served()
    inner.step(2)
    inner.wait_until_still(300)
    status = status_from(json.loads(json.dumps(status_message(inner))))
    assert (status.state, status.steps_done, status.mode) == (inner.state, 2, inner.mode)


def test_a_connection_is_made_to_private_folders_only(tmp_path) -> None:
    folder = private_folder()
    with pytest.raises(OSError):
        connect(folder)  # nobody listens
    server = listen(folder)
    folder.chmod(0o755)
    with pytest.raises(PermissionError, match="private"):
        connect(folder)
    folder.chmod(0o700)
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(PermissionError, match="private"):
        connect(tmp_path / "link")
    connect(folder).close()
    server.close()
    (folder / "socket").unlink()
    folder.rmdir()


@pytest.mark.parametrize(
    "junk", [b"", b"\n", b"no json\n", b"[1]\n", b'"x"\n', b"[" * 5000 + b"\n", b'{"a": 1}', b"\xff\n"]
)
def test_junk_on_the_wire_is_the_end_of_the_connection(junk: bytes) -> None:
    one, other = socket.socketpair()
    connection = Connection(one)
    other.sendall(junk)
    other.close()
    assert connection.receive() is None
    connection.close()


def test_only_the_very_process_that_was_meant_counts_as_alive(tmp_path) -> None:
    me = psutil.Process()
    worker = worker_of(me.pid, tmp_path)
    assert worker.alive
    assert not Worker(me.pid, worker.born - 100, tmp_path).alive  # another one had this number
    write_worker(tmp_path, worker)
    assert living_worker(tmp_path) == worker
    good = json.loads((tmp_path / "worker.json").read_text())
    for wrong in (
        {"pid": 0},
        {"pid": -1},
        {"pid": "x"},
        {"pid": 1e300},
        {"born": None},
        {"machine": "elsewhere"},
    ):
        (tmp_path / "worker.json").write_text(json.dumps(good | wrong))
        assert living_worker(tmp_path) is None
    for text in ("", "[]", "{}", "[" * 100_000, "null"):
        (tmp_path / "worker.json").write_text(text)
        assert living_worker(tmp_path) is None
    assert newest_going_on(tmp_path) is None


def test_a_snapshot_does_not_touch_the_kernels_random_numbers(served) -> None:
    remote, _ = served()
    remote.step(1)
    remote.wait_until_still(300)
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    copy.deepcopy(remote.snapshot())
    assert torch.equal(torch.rand(3), expected)
