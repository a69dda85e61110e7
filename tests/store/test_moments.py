"""Moments: what is kept, that nothing of the training changes, and what happens to damaged files."""

import os
import threading
from pathlib import Path

import pytest
import torch
from torch import nn

import reswork as rw
from reswork.history import History
from reswork.store.moment_file import FlatLayout, file_name, moments_in, read_moment
from reswork.store.moment_keeper import MomentKeeper
from reswork.training.events import EpochDone, StepDone
from reswork.training.live_run import problems_of
from reswork.training.recorder import BaseRecorder
from reswork.training.run import Run

RECIPE = rw.Recipe(steps=12, batch_size=8, device="cpu", precision="fp32", channels_last=False, compile="off")


class Copies(BaseRecorder):
    """A second, plain way to keep the weights."""

    events = (StepDone,)

    def __init__(self) -> None:
        self.states: dict[int, dict[str, torch.Tensor]] = {}
        self.losses: list[float] = []

    def __call__(self, event: StepDone) -> None:
        self.states[event.step] = {k: v.clone() for k, v in event.model.state_dict().items()}
        self.losses.append(event.loss.item())


def trained(net: nn.Module, data, directory: Path, recipe=RECIPE, most_bytes: int | None = 10**7):
    history, copies = History(), Copies()
    keeper = MomentKeeper(directory, history, most_bytes) if most_bytes is not None else None
    run = Run(net, data, recipe, history=history, recorders=[copies, *([keeper] if keeper else [])])
    run.directory, run.moments = directory, keeper
    run.start()
    run.wait(300)
    return run, copies, keeper


def equal(some: dict, others: dict) -> bool:
    return some.keys() == others.keys() and all(torch.equal(some[name], others[name]) for name in some)


def test_moments_equal_the_networks_weights_to_the_last_bit(tiny_net, tiny_data, tmp_path) -> None:
    before = {k: v.clone() for k, v in tiny_net.state_dict().items()}
    run, copies, keeper = trained(tiny_net, tiny_data, tmp_path)
    assert keeper.steps == tuple(moments_in(tmp_path / "moments"))
    assert {0, 12} <= set(keeper.steps) and len(keeper.steps) >= 6
    found = rw.moments(run)
    assert equal(found.model(0).state_dict(), before)
    for step in keeper.steps[1:]:
        model = found.model(step)
        assert not model.training
        assert equal(model.state_dict(), copies.states[step])


@pytest.mark.parametrize(
    "settings", [{}, {"ema": 0.9, "mixup": 0.3}, {"channels_last": True, "precision": "bf16"}]
)
def test_the_training_is_the_same_to_the_last_bit_with_and_without(settings, tiny_data, tmp_path) -> None:
    recipe = rw.Recipe.from_dict(RECIPE.to_dict() | settings)
    found = []
    for most_bytes in (None, 10**7):
        torch.manual_seed(0)
        net = rw.resnet(depth=8, width=2, in_channels=1, num_classes=2, dropout=0.2)
        _, copies, _ = trained(net, tiny_data, tmp_path, recipe, most_bytes)
        found.append((copies.losses, net.state_dict(), torch.get_rng_state()))
    assert found[0][0] == found[1][0]
    assert equal(found[0][1], found[1][1])
    assert torch.equal(found[0][2], found[1][2])


@pytest.mark.parametrize("room", [1, 2, 3, 5])
def test_the_budget_is_never_exceeded(room, tiny_net, tiny_data, tmp_path) -> None:
    budget = FlatLayout(tiny_net.state_dict()).file_bytes * room + 10
    most = []

    class Watch:
        def __call__(self, event: object) -> None:
            keeper.wait()
            most.append(sum(path.stat().st_size for path in (tmp_path / "moments").iterdir()))

    history = History()
    keeper = MomentKeeper(tmp_path, history, budget)
    run = Run(tiny_net, tiny_data, RECIPE, history=history, recorders=[keeper, Watch()])
    run.start()
    run.wait(300)
    assert 0 < max(most) <= budget
    assert len(keeper.steps) == room and keeper.steps[-1] == 12
    assert room == 1 or keeper.steps[0] == 0


def test_a_smaller_budget_in_the_middle_thins_out_at_once(tiny_net, tiny_data, tmp_path) -> None:
    keeper = MomentKeeper(tmp_path, History(), 10**7)
    run = Run(tiny_net, tiny_data, RECIPE, recorders=[keeper])
    run.directory, run.moments = tmp_path, keeper
    for _ in range(8):
        run.step(1)
        run.wait_until_still(300)
        keeper.wait()  # what comes while one is being written is left out
    assert len(keeper.steps) >= 6
    rw.moments(run).most_bytes = 3 * FlatLayout(tiny_net.state_dict()).file_bytes
    keeper.wait()
    assert len(keeper.steps) == 3 and keeper.steps[0] == 0
    run.resume()
    run.wait(300)
    assert len(keeper.steps) == 3 and keeper.steps[-1] == 12


def test_a_network_too_large_for_the_budget_keeps_none_and_says_so(tiny_net, tiny_data, tmp_path) -> None:
    with pytest.warns(RuntimeWarning, match="more than the 100"):
        run, _, keeper = trained(tiny_net, tiny_data, tmp_path, most_bytes=100)
    assert keeper.steps == ()
    (note,) = [note for note in run.history.notes if note.kind == "moments_not_saved"]
    assert "more than the 100" in note.details["reason"]
    with pytest.raises(rw.InvalidSetting, match="kept no moments"):
        rw.moments(run).nearest(3)


def test_a_larger_budget_in_the_middle_keeps_them_from_then_on_and_nothing_is_wrong_any_more(
    tiny_net, tiny_data, tmp_path
) -> None:
    history = History()
    keeper = MomentKeeper(tmp_path, history, 100)
    run = Run(tiny_net, tiny_data, RECIPE, history=history, recorders=[keeper])
    run.step(3)
    run.wait_until_still(300)
    assert problems_of(history) and keeper.steps == ()
    keeper.most_bytes = 10**7
    run.resume()
    run.wait(300)
    assert keeper.steps[-1] == 12 and problems_of(history) == ""


def test_a_disk_that_cannot_be_written_stops_no_run(tiny_net, tiny_data, tmp_path) -> None:
    (tmp_path / "moments").write_text("in the way")
    with pytest.warns(RuntimeWarning, match="moment to look back at could not be kept"):
        run, copies, _ = trained(tiny_net, tiny_data, tmp_path)
    assert len(copies.losses) == 12
    assert "moments_not_saved" in {note.kind for note in run.history.notes}


def test_nothing_is_written_after_the_end_and_no_thread_is_left(tiny_net, tiny_data, tmp_path) -> None:
    keeper = MomentKeeper(tmp_path, History())
    run = Run(tiny_net, tiny_data, RECIPE, recorders=[keeper])
    run.step(5)
    run.wait_until_still(300)
    run.stop()
    run.wait(300)
    files = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "moments").iterdir()}
    assert file_name(5) in files and not [name for name in files if name.startswith(".")]
    assert "reswork-moments" not in {thread.name for thread in threading.enumerate()}
    keeper.most_bytes = 1
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "moments").iterdir()} == files


def test_a_step_that_was_not_kept_gives_the_nearest_and_says_so(tiny_net, tiny_data, tmp_path) -> None:
    run, copies, keeper = trained(tiny_net, tiny_data, tmp_path)
    for step in keeper.steps[1:-1]:
        (tmp_path / "moments" / file_name(step)).unlink()
    found = rw.moments(run)
    assert found.steps == (0, 12)
    assert [found.nearest(step) for step in (0, 5, 6, 7, 99)] == [0, 0, 0, 12, 12]
    moment = found.at(9)
    assert (moment.asked, moment.step) == (9, 12)
    assert moment.sentence == "Step 9 was not kept; shown is the nearest one that was, step 12."
    assert equal(moment.model.state_dict(), copies.states[12])
    assert found.at(12).sentence == ""


def damages() -> list:
    def cut(content: bytes) -> bytes:
        return content[: len(content) // 2]

    def flipped(content: bytes) -> bytes:
        return content[:-3] + bytes([content[-3] ^ 1]) + content[-2:]

    return [
        cut,
        flipped,
        lambda _: b"",
        lambda content: content[:8] + b"x" + content[9:],
        lambda _: b"\xff" * 64,
    ]


@pytest.mark.parametrize("damage", damages())
def test_a_damaged_file_gives_the_next_nearest_and_one_sentence(
    damage, tiny_net, tiny_data, tmp_path
) -> None:
    run, copies, keeper = trained(tiny_net, tiny_data, tmp_path)
    path = tmp_path / "moments" / file_name(12)
    path.write_bytes(damage(path.read_bytes()))
    moment = rw.moments(run).at(12)
    assert moment.step == keeper.steps[-2]
    assert equal(moment.model.state_dict(), copies.states[moment.step])
    assert "The moment of step 12 is damaged" in moment.sentence and "shown is the nearest" in moment.sentence


def test_a_pipe_and_a_file_of_another_network_are_passed_over(tiny_net, tiny_data, tmp_path) -> None:
    run, _, keeper = trained(tiny_net, tiny_data, tmp_path)
    folder = tmp_path / "moments"
    for step in keeper.steps[:-1]:
        (folder / file_name(step)).unlink()
    os.mkfifo(folder / file_name(1))  # not listed
    layout = FlatLayout({"w": torch.zeros(3)})
    layout.write(folder, layout.slot(), 2)
    found = rw.moments(run)
    assert found.steps == (2, 12)
    assert found.at(2).step == 12
    assert "does not fit the network" in found.at(2).sentence
    (folder / file_name(12)).unlink()
    with pytest.raises(rw.InvalidSetting, match=r"no moment can be read\. The moment of step 2 does not fit"):
        found.at(0)


def test_any_kind_of_tensor_comes_back(tmp_path) -> None:
    state = {
        "half": torch.arange(3, dtype=torch.float16), "flag": torch.tensor([True, False, True]),
        "count": torch.tensor(7), "brain": torch.randn(2, 3).bfloat16(), "empty": torch.empty(0),
        "double": torch.randn(2, dtype=torch.float64),
        "last": torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last),
    }  # fmt: skip
    layout = FlatLayout(state)
    slot = layout.slot()
    layout.fill(slot, state)
    path = layout.write(tmp_path, slot, 3)
    assert path.stat().st_size == layout.file_bytes
    assert equal(read_moment(tmp_path, 3), state)
    with pytest.raises(TypeError, match=r"wave is of type torch\.complex64"):
        FlatLayout({"wave": torch.zeros(2, dtype=torch.complex64)})


def test_a_network_that_was_not_built_here_has_moments_too(tiny_data, tmp_path) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    run, copies, _ = trained(net, tiny_data, tmp_path)
    assert equal(rw.moments(run).model(12).state_dict(), copies.states[12])


@pytest.mark.parametrize("count", [-1, 1.5, True, "12"])
def test_a_budget_must_be_a_size(count, tmp_path) -> None:
    with pytest.raises(rw.InvalidSetting, match="no size"):
        MomentKeeper(tmp_path, History(), count)


def test_where_the_recipe_averages_the_weights_moments_are_the_averaged_ones(
    tiny_net, tiny_data, tmp_path
) -> None:
    class Averages:
        def __call__(self, event: object) -> None:
            if isinstance(event, EpochDone):
                self.last = {name: value.clone() for name, value in event.model.state_dict().items()}

    averages, keeper = Averages(), MomentKeeper(tmp_path, History())
    recipe = rw.Recipe.from_dict(RECIPE.to_dict() | {"ema": 0.9})
    run = Run(tiny_net, tiny_data, recipe, recorders=[averages, keeper])
    run.directory = tmp_path
    run.step(4)  # an epoch
    run.wait_until_still(300)
    keeper.wait()
    found = rw.moments(run).model(4).state_dict()
    run.resume()
    run.wait(300)
    live = run.model.state_dict()
    assert not equal(found, live)
    assert equal(rw.moments(run).model(12).state_dict(), live)


def test_a_run_that_goes_on_later_keeps_on_with_its_budget(
    tiny_net, tiny_data, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("RESWORK_RUNS", str(tmp_path))
    size = FlatLayout(tiny_net.state_dict()).file_bytes
    run = rw.train(tiny_net, tiny_data, RECIPE, moments_bytes=5 * size + 1, start=False)
    run.step(7)
    run.wait_until_still(300)
    run.stop()
    run.wait(300)
    before = rw.moments(run).steps
    assert before[0] == 0 and before[-1] == 7
    saved = rw.load_run(run.name)
    again = saved.resume(data=tiny_data)
    again.wait(300)
    steps = rw.moments(again).steps
    assert rw.moments(again).most_bytes == 5 * size + 1
    assert len(steps) == 5 and steps[0] == 0 and steps[-1] == 12


def test_what_would_cost_too_much_of_the_time_is_put_off(tiny_net, tiny_data, tmp_path, monkeypatch) -> None:
    """Every call costs more than there is: only the first and the last moment are kept."""
    monkeypatch.setattr("reswork.store.moment_keeper._GRACE_S", -1e9)
    _, _, keeper = trained(tiny_net, tiny_data, tmp_path)
    assert keeper.steps == (0, 12)
