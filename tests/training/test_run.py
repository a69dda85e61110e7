import copy
import logging
import threading
import time

import pytest
import torch
from torch import nn

from reswork.errors import InvalidSetting
from reswork.history import History
from reswork.training.events import (
    EpochDone,
    Event,
    GradientsReady,
    RunEnded,
    RunPaused,
    RunStarted,
    SettingChanged,
    StepDone,
)
from reswork.training.failures import NonFiniteLoss
from reswork.training.recorder import BaseRecorder
from reswork.training.run import Run, RunState, RunThread, active_runs

LONG = 1_000_000


@pytest.fixture
def make_run(make_net, make_data, make_recipe):
    """Runs that are stopped when the test is over."""
    made: list[Run] = []

    def make(recorders=(), model=None, data=None, **settings: object) -> Run:
        run = Run(model or make_net(), data or make_data(), make_recipe(**settings), recorders=recorders)
        made.append(run)
        return run

    yield make
    for run in made:
        run.stop()
        if run.state is not RunState.STOPPED or run._thread is not None:
            with_thread = run._thread
            if with_thread is not None:
                with_thread.join(10)
                assert not with_thread.is_alive()


class Losses:
    """Keeps every loss."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def __call__(self, event: Event) -> None:
        if isinstance(event, StepDone):
            self.values.append(event.loss.item())


def wait_for_step(run: Run, step: int) -> None:
    deadline = time.monotonic() + 20
    while run.steps_done < step and not run.done:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_from_start_to_finish(make_run):
    events: list[Event] = []
    run = make_run(recorders=[events.append])
    assert (run.state, run.done, run.mode, run.steps_done) == (RunState.READY, False, None, 0)
    assert (run.total_steps, run.steps_per_epoch, run.dataset_name) == (8, 5, "toy")
    run.start()
    assert run.wait(300) is RunState.FINISHED
    assert run.done
    assert run.steps_done == 8
    assert run.error is None
    assert run.seconds_left == 0
    assert str(run.mode).startswith("cpu, fp32")
    assert isinstance(events[0], RunStarted)
    ended = events[-1]
    assert isinstance(ended, RunEnded)
    assert (ended.step, ended.state, ended.error) == (8, RunState.FINISHED, None)
    assert "finished, step 8 of 8" in repr(run)


def test_fifty_clicks_on_start_make_one_thread(make_run):
    run = make_run(steps=LONG)
    barrier = threading.Barrier(50)

    def click() -> None:
        barrier.wait()
        run.start()

    clicks = [threading.Thread(target=click) for _ in range(50)]
    for thread in clicks:
        thread.start()
    for thread in clicks:
        thread.join()
    mine = [t for t in threading.enumerate() if isinstance(t, RunThread) and t.owner is run]
    assert len(mine) == 1
    assert run in active_runs()
    run.stop()
    assert run.wait(300) is RunState.STOPPED
    assert run not in active_runs()
    run.start()
    assert run.state is RunState.STOPPED


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_pausing_stepping_and_looking_change_no_bit(dropout, make_run, make_net):
    """A change that should not alter training shows the same losses at a fixed seed: keep this test.

    With dropout, lookers in other threads must not draw from torch's global generator in the middle of a step.
    """
    plain = Losses()
    undisturbed = make_run(recorders=[plain], model=make_net(dropout=dropout), steps=30)
    undisturbed.start()
    undisturbed.wait(300)

    watched = Losses()
    run = make_run(recorders=[watched], model=make_net(dropout=dropout), steps=30)
    images = torch.rand(4, 3, 8, 8)
    run.step()
    run.wait_until_still(300)
    assert run.steps_done == 1
    for n in (1, 3):
        run.step(n)
        run.wait_until_still(300)
        copied = run.snapshot()
        with torch.no_grad():
            copied(torch.rand(2, 3, 8, 8))
            torch.nn.init.zeros_(copied[0].weight)
        torch.manual_seed(17)
    assert run.steps_done == 5
    run.resume()
    run.add_recorder(lambda event: torch.rand(3))
    looks = 0
    while not run.done:
        run.snapshot()(images if dropout else torch.rand(4, 3, 8, 8))
        run.add_recorder(print_nothing)
        run.remove_recorder(print_nothing)
        looks += 1
    assert run.wait(300) is RunState.FINISHED
    assert looks > 0
    assert watched.values == plain.values
    assert all(
        torch.equal(a, b) for a, b in zip(run.model.parameters(), undisturbed.model.parameters(), strict=True)
    )


def print_nothing(event: Event) -> None:
    pass


def test_pause_stands_still_and_resume_goes_on(make_run):
    paused: list[Event] = []
    run = make_run(recorders=[lambda e: paused.append(e) if isinstance(e, RunPaused) else None], steps=LONG)
    run.start()
    wait_for_step(run, 3)
    run.pause()
    assert run.wait_until_still(300) is RunState.PAUSED
    step = run.steps_done
    assert [event.step for event in paused] == [step]
    time.sleep(0.02)
    assert run.steps_done == step
    run.pause()
    run.start()
    assert run.state is RunState.PAUSED
    run.resume()
    wait_for_step(run, step + 2)
    assert run.state is RunState.RUNNING


def test_single_steps_are_exact(make_run):
    run = make_run(steps=LONG)
    for n, expected in [(1, 1), (1, 2), (5, 7)]:
        run.step(n)
        assert run.wait_until_still(300) is RunState.PAUSED
        assert run.steps_done == expected
    for wrong in (0, -1, 1.5, True):
        with pytest.raises(InvalidSetting):
            run.step(wrong)


def test_a_pause_before_the_start_holds_before_the_first_step(make_run):
    run = make_run()
    run.pause()
    run.start()
    assert run.wait_until_still(300) is RunState.PAUSED
    assert run.steps_done == 0
    run.resume()
    assert run.wait(300) is RunState.FINISHED


def test_every_button_in_every_final_state_does_nothing(make_run, make_net, make_recipe):
    finished, stopped, failed = make_run(), make_run(), make_run(model=nn.Conv2d(3, 4, 3))
    finished.start()
    finished.wait(300)
    stopped.stop()
    failed.start()
    with pytest.raises(InvalidSetting):
        failed.wait(300)
    for run, state in (
        (finished, RunState.FINISHED), (stopped, RunState.STOPPED), (failed, RunState.FAILED)
    ):  # fmt: skip
        for button in (run.start, run.pause, run.step, run.resume, run.stop, run.start):
            button()
            assert run.state is state
        assert not run.snapshot().training
        assert run.wait_until_still(0) is state
        with pytest.raises(InvalidSetting, match="start a new run"):
            run.set(learning_rate=0.1)
        assert run not in active_runs()


@pytest.mark.parametrize("paused", [False, True])
def test_stop_lands_within_a_step(paused, make_run):
    run = make_run(steps=LONG)
    run.start()
    wait_for_step(run, 5)
    if paused:
        run.pause()
        run.wait_until_still(300)
    step = run.steps_done
    run.stop()
    assert run.wait(300) is RunState.STOPPED
    assert run.steps_done <= step + 2  # the one being made when it was read, and the one being made now


def test_stop_lands_between_the_batches_of_an_evaluation(make_run, make_data):
    class Slow(nn.Sequential):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if not self.training and len(x) > 2:
                evaluating.set()
                time.sleep(0.02)
            return super().forward(x)

    evaluating = threading.Event()
    events: list[Event] = []
    model = Slow(nn.Flatten(), nn.Linear(192, 4))
    run = make_run(recorders=[events.append], model=model, data=make_data(test=50_000), steps=5)
    run.start()
    assert evaluating.wait(300)
    run.stop()
    assert run.wait(300) is RunState.STOPPED
    assert not any(isinstance(event, EpochDone) for event in events)


def test_stop_while_the_mode_is_being_timed(make_run, monkeypatch):
    from reswork.training import mode_timing

    timing = threading.Event()
    plain = mode_timing._step_seconds

    def slow(*arguments: object) -> float:
        timing.set()
        time.sleep(0.02)
        return plain(*arguments)

    monkeypatch.setattr(mode_timing, "_step_seconds", slow)
    run = make_run(steps=LONG, precision="auto", channels_last="auto", compile="auto")
    run.start()
    assert timing.wait(300)
    run.stop()
    assert run.wait(300) is RunState.STOPPED
    assert run.steps_done == 0


def test_a_snapshot_taken_just_as_a_run_ends(make_data, make_recipe):
    """It deadlocked a first design: the run's thread was gone before it had answered."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 4))
    data, recipe = make_data(train=32, test=4), make_recipe(steps=2)
    for attempt in range(300):
        run = Run(model, data, recipe)
        got: list[nn.Module] = []
        looker = threading.Thread(target=look_until_done, args=(run, got, attempt))
        run.start()
        looker.start()
        looker.join(20)
        assert not looker.is_alive(), f"deadlock in attempt {attempt}"
        assert run.wait(300) is RunState.FINISHED
        assert got
        torch.testing.assert_close(got[-1][1].weight, model[1].weight)


def look_until_done(run: Run, got: list[nn.Module], attempt: int) -> None:
    if attempt % 3 == 0:
        time.sleep((attempt % 30) * 1e-4)
    while True:
        over = run.done
        got.append(run.snapshot())
        if over:
            return


def test_many_lookers_at_once_each_get_their_own_copy(make_run):
    run = make_run(steps=LONG)
    run.start()
    got: list[nn.Module] = []
    lookers = [threading.Thread(target=lambda: got.append(run.snapshot())) for _ in range(12)]
    for looker in lookers:
        looker.start()
    for looker in lookers:
        looker.join(20)
    assert len({id(model) for model in got}) == 12
    assert all(weight.grad is None for model in got for weight in model.parameters())
    assert not any(model.training for model in got)


def test_a_recorder_may_take_a_snapshot_itself(make_run):
    taken: list[nn.Module] = []

    def look(event: Event) -> None:
        if isinstance(event, GradientsReady):
            taken.append(run.snapshot())

    run = make_run(recorders=[look])
    run.start()
    run.wait(300)
    assert len(taken) == 8


def test_a_model_that_cannot_be_copied_says_so_and_goes_on(make_run):
    class Uncopied(nn.Sequential):
        def __deepcopy__(self, memo: dict) -> "Uncopied":
            raise TypeError("not this one")

    run = make_run(model=Uncopied(nn.Flatten(), nn.Linear(192, 4)), steps=LONG)
    run.start()
    wait_for_step(run, 1)
    with pytest.raises(RuntimeError, match="cannot be copied: not this one"):
        run.snapshot()
    assert run.state is RunState.RUNNING


def test_a_recorder_that_fails_is_taken_off_and_the_training_goes_on(make_run, caplog):
    def broken(event: Event) -> None:
        if isinstance(event, StepDone) and event.step == 3:
            raise KeyError("no such thing")

    kept = Losses()
    run = make_run(recorders=[broken, kept])
    with caplog.at_level(logging.WARNING), pytest.warns(RuntimeWarning, match="broken failed"):
        run.start()
        assert run.wait(300) is RunState.FINISHED
    assert len(kept.values) == 8
    (note,) = run.history.notes
    assert (note.step, note.kind) == (3, "recorder removed")
    assert "no such thing" in note.details["error"]
    assert "broken failed at step 3" in caplog.text


def test_recorders_come_and_go_while_it_runs(make_run):
    class Gradients(BaseRecorder):
        events = (GradientsReady,)

        def __init__(self) -> None:
            self.steps: list[int] = []

        def __call__(self, event: Event) -> None:
            assert isinstance(event, GradientsReady)
            assert event.model[0].weight.grad is not None
            self.steps.append(event.step)

    run, recorder = make_run(steps=LONG), Gradients()
    run.step(2)
    run.wait_until_still(300)
    assert not run._controls.wants_gradients
    run.add_recorder(recorder)
    run.step(3)
    run.wait_until_still(300)
    run.remove_recorder(recorder)
    run.step(2)
    run.wait_until_still(300)
    assert [step for step in recorder.steps if step <= 2] == []
    assert recorder.steps[-2:] == [4, 5]


def test_a_live_learning_rate_lands_in_the_record(make_run):
    rates: dict[int, float] = {}

    def look(event: Event) -> None:
        if isinstance(event, StepDone):
            rates[event.step] = event.learning_rate

    run = make_run(recorders=[look], steps=LONG, schedule="constant", learning_rate=0.1)
    run.step(2)
    run.wait_until_still(300)
    run.set(learning_rate=0.025, momentum=0.5)
    with pytest.raises(InvalidSetting):
        run.set(learning_rate=-1.0)
    run.step(2)
    run.wait_until_still(300)
    assert rates == pytest.approx({1: 0.1, 2: 0.1, 3: 0.025, 4: 0.025})
    notes = [(note.step, note.kind, note.details) for note in run.history.notes]
    assert notes == [(3, "learning_rate", {"value": 0.025}), (3, "momentum", {"value": 0.5})]


def test_an_error_of_the_training_is_raised_by_wait(make_run):
    class Overflow(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x / 0 if self.training else x

    events: list[Event] = []
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 4), Overflow())
    run = make_run(recorders=[events.append], model=model)
    run.start()
    with pytest.raises(NonFiniteLoss, match="step 1"):
        run.wait(300)
    assert run.state is RunState.FAILED
    assert isinstance(run.error, NonFiniteLoss)
    assert isinstance(events[-1], RunEnded)
    assert events[-1].error is run.error


def test_waiting(make_run):
    run = make_run(steps=LONG)
    with pytest.raises(RuntimeError, match="not started"):
        run.wait()
    run.start()
    assert run.wait(0.01) is RunState.RUNNING
    run.pause()
    run.wait_until_still(300)
    assert run.wait(0.01) is RunState.PAUSED


def test_convergence_is_noted_once(make_run):
    run = make_run(epochs=12, steps=None, target_score=0.7)
    run.start()
    run.wait(300)
    (note,) = [note for note in run.history.notes if note.kind == "converged"]
    assert note.details["top1"] >= 0.7
    assert note.details["seconds"] > 0
    assert note.details["epoch"] * 5 == note.step
    assert run.history.last("steps_to_target") == note.step
    assert len(run.history.series("steps_to_target")) == 1


def test_seconds_left_shrink(make_run):
    run = make_run(steps=40)
    assert run.seconds_left is None
    run.step(5)
    run.wait_until_still(300)
    first = run.seconds_left
    assert first is not None
    assert first > 0
    run.step(30)
    run.wait_until_still(300)
    later = run.seconds_left
    assert later is not None
    assert later < first * 2


def test_pauses_are_not_counted_as_training(make_run):
    seconds: list[float] = []
    run = make_run(
        recorders=[lambda e: seconds.append(e.seconds) if isinstance(e, EpochDone) else None], steps=5
    )
    begin = time.perf_counter()
    run.step(2)
    run.wait_until_still(300)
    time.sleep(0.5)
    run.resume()
    run.wait(300)
    assert len(seconds) == 1
    assert time.perf_counter() - begin - seconds[0] > 0.45


def test_a_storm_of_clicks_ends_in_order(make_run):
    run = make_run(steps=LONG)

    def press(seed: int) -> None:
        buttons = [
            run.start,
            run.pause,
            run.resume,
            run.step,
            run.snapshot,
            lambda: run.set(learning_rate=0.1),
        ]
        for i in range(60):
            buttons[(seed * 7 + i * (seed + 1)) % len(buttons)]()

    presses = [threading.Thread(target=press, args=(seed,)) for seed in range(6)]
    for thread in presses:
        thread.start()
    for thread in presses:
        thread.join(30)
        assert not thread.is_alive()
    assert not run.done
    assert sum(isinstance(t, RunThread) and t.owner is run for t in threading.enumerate()) <= 1
    run.stop()
    assert run.wait(300) is RunState.STOPPED


def test_the_history_may_be_given(make_net, make_data, make_recipe):
    history = History()
    model = copy.deepcopy(make_net())
    run = Run(model, make_data(), make_recipe(), history=history, name="mine")
    assert run.history is history
    assert run.name == "mine"
    assert SettingChanged(1, "momentum", 0.5).step == 1
