import pytest
import torch
from torch import nn

from reswork.errors import InvalidSetting
from reswork.history import History
from reswork.recorders import CATALOGUE, Budget, SnapshotObserver, Timed, default_recorders, timed
from reswork.training.events import EpochDone, Event, RunPaused, StepDone
from reswork.training.interval import Interval
from reswork.training.recorder import BaseRecorder
from reswork.training.run import Run

MODEL = nn.Linear(1, 1)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    """A time that moves only when somebody works."""
    clock = Clock()
    monkeypatch.setattr("time.perf_counter", clock)
    return clock


class Worker(BaseRecorder):
    """A recorder that takes so many seconds for a measurement, and ten times as long for the first."""

    events = (StepDone,)

    def __init__(self, clock: Clock, seconds: float, every: int | None) -> None:
        self._clock, self._seconds, self._first = clock, seconds, True
        if every is not None:
            self.interval = Interval(every)

    def __call__(self, event: Event) -> None:
        if self.interval is None or self.interval.due(event.step):
            self._clock.now += self._seconds * (10 if self._first else 1)
            self._first = False


def steps(clock: Clock, recorders: list, count: int, begin: int = 1, step_s: float = 0.1) -> None:
    for step in range(begin, begin + count):
        clock.now += step_s
        event = StepDone(step, 1, torch.zeros(()), torch.zeros(()), "top1", 32, 0.1, MODEL)
        for recorder in recorders:
            recorder(event)


def test_a_price_is_the_cost_over_the_interval(clock):
    worker, every_step = Timed("a", Worker(clock, 0.02, 10)), Timed("b", Worker(clock, 0.001, None))
    budget = Budget(History(), [worker, every_step], share=None)
    assert budget.price(worker).ms is None and budget.step_s is None
    steps(clock, [worker, every_step, budget], 1)
    assert budget.price(worker).ms == pytest.approx(200), "what it took so far"
    steps(clock, [worker, every_step, budget], 39, begin=2)
    assert budget.step_s == pytest.approx(0.1)
    price = budget.price(worker)
    assert (price.ms, price.share, price.every) == (pytest.approx(20), pytest.approx(0.02), 10)
    assert budget.price(every_step).share == pytest.approx(0.01)
    assert budget.total == pytest.approx(0.03)


def test_evaluations_and_pauses_are_no_steps(clock):
    budget = Budget(History())
    steps(clock, [budget], 5)
    clock.now += 50
    budget(RunPaused(5))
    clock.now += 50
    steps(clock, [budget], 5, begin=6)
    budget(EpochDone(10, 1, 1.0, {}, {}, MODEL))
    clock.now += 50
    steps(clock, [budget], 5, begin=11)
    assert max(budget._steps_s) == pytest.approx(0.1)


def test_a_budget_thins_until_the_sum_is_inside(clock):
    history = History()
    one, other = Timed("one", Worker(clock, 0.02, 10)), Timed("other", Worker(clock, 0.3, 50))
    fixed = Timed("fixed", Worker(clock, 0.001, None))
    budget = Budget(history, [one, other, fixed], share=0.05)
    steps(clock, [one, other, fixed, budget], 100)
    assert 0.03 < budget.total <= 0.05
    assert one.every == pytest.approx(10 * 0.08 / 0.04, rel=0.1)
    assert other.every == pytest.approx(5 * one.every, abs=5)
    assert [note.kind for note in history.notes] == ["recorders thinned"] * len(history.notes)
    assert history.notes[-1].details == {"every": {"one": one.every, "other": other.every}, "share": 0.05}
    budget.share = None
    steps(clock, [one, other, fixed, budget], 8, begin=101)
    assert (one.every, other.every) == (10, 50)


def test_what_fits_is_left_alone(clock):
    history = History()
    worker = Timed("a", Worker(clock, 0.02, 10))
    budget = Budget(history, [worker], share=0.05)
    steps(clock, [worker, budget], 200)
    assert worker.every == 10 and history.notes == ()


def test_no_budget_can_pay_everything(clock):
    worker, fixed = Timed("a", Worker(clock, 0.02, 10)), Timed("b", Worker(clock, 0.05, None))
    budget = Budget(History(), [worker, fixed], share=0.05)
    steps(clock, [worker, fixed, budget], 24)
    assert worker.every <= 80, "twice as long at each look at most"
    steps(clock, [worker, fixed, budget], 60, begin=25)
    assert worker.every == 1000


def test_one_hiccup_of_the_machine_changes_no_price(clock):
    worker = Timed("a", Worker(clock, 0.001, None))
    budget = Budget(History(), [worker], share=0.05)
    steps(clock, [worker, budget], 10)
    worker._recorder._seconds = 5.0
    steps(clock, [worker, budget], 1, begin=11)
    worker._recorder._seconds = 0.001
    steps(clock, [worker, budget], 9, begin=12)
    assert budget.price(worker).ms == pytest.approx(1)
    assert budget.step_s == pytest.approx(0.1)


def test_recorders_join_and_leave_a_budget_and_intervals_can_be_set(clock):
    budget, worker = Budget(History(), share=0.5), Timed("a", Worker(clock, 0.02, 10))
    budget.add(worker)
    worker.every = 4
    steps(clock, [worker, budget], 40)
    assert (worker.every, worker.state()["usual_every"]) == (4, 4)
    budget.remove(worker)
    assert budget.recorders == () and budget.total == 0
    fixed = Timed("b", Worker(clock, 0.02, None))
    fixed.every = 7
    assert fixed.every == 1 and not fixed.can_be_thinned
    with pytest.raises(InvalidSetting, match="every=0"):
        worker.every = 0
    for share in (0, -1, float("nan"), float("inf")):
        with pytest.raises(InvalidSetting, match="must be above 0"):
            budget.share = share


def test_looks_share_the_budget_by_the_clock_and_the_first_one_only_prepares(clock):
    history, worker, looks = History(), Timed("a", Worker(clock, 0.02, 10)), SnapshotObserver("film", 3.0)
    budget = Budget(history, [worker, looks], share=0.05)
    assert budget.price(looks).ms is None
    looks.took(2.0)
    steps(clock, [worker, budget], 40)
    assert budget.price(looks).ms == pytest.approx(2000) and looks.interval_s == 3.0 and worker.every == 10
    looks.took(0.18)  # 6 % of three seconds, beside the worker's 2 %
    price = budget.price(looks)
    assert (price.ms, price.share, price.every) == (
        pytest.approx(180),
        pytest.approx(0.06),
        pytest.approx(30, abs=1),
    )
    assert budget.total == pytest.approx(0.08)
    steps(clock, [worker, budget], 40, begin=41)
    assert 0.04 < budget.total <= 0.05
    assert looks.interval_s == pytest.approx(3 * 0.08 / 0.05 * 1.05, rel=0.01) and worker.every == 17
    assert history.notes[-1].details["every"] == {"a": 17, "film": 51}
    budget.remove(looks)
    assert budget.total < 0.02


def test_time_is_counted_for_one_that_fails_too(clock):
    def fails(event: Event) -> None:
        clock.now += 3
        raise OSError("no")

    recorder = Timed("a", fails)
    with pytest.raises(OSError):
        steps(clock, [recorder], 1)
    assert recorder.spent_s == pytest.approx(3)


def test_the_catalogue_says_what_is_made(net, data, make_recipe):
    for kind in CATALOGUE:
        recorder = timed(kind.name, History())
        assert (recorder.name, recorder.every) == (kind.name, kind.every)
        assert kind.label and kind.normal.endswith(".") and kind.writes
    assert len({kind.name for kind in CATALOGUE}) == len(CATALOGUE)
    with pytest.raises(InvalidSetting, match="'gradients' is not a recorder; choose losses, learning_rate"):
        timed("gradients", History())
    *defaults, budget = default_recorders(History())
    assert [each.name for each in defaults] == [kind.name for kind in CATALOGUE if kind.by_default]
    assert isinstance(budget, Budget) and budget.recorders == tuple(defaults)


def test_the_catalogue_names_the_series_that_are_written(make_net, data, make_recipe):
    history = History()
    made = [timed(kind.name, history) for kind in CATALOGUE]
    run = Run(make_net("post"), data, make_recipe(steps=25), history=history, recorders=made)
    run.start()
    run.wait(300)
    written = {*history.names, *history.groups, *history.arrays}
    for kind in CATALOGUE:
        assert set(kind.writes) - {"device/utilisation"} <= written, kind.name
    assert run.recorders == tuple(made)
    assert all(each.price(1.0).share is not None for each in made)


@pytest.mark.gpu
def test_the_time_of_the_gpu_counts_without_waiting_for_it():
    if not torch.cuda.is_available():
        pytest.skip("there is no CUDA device")
    model = nn.Linear(1, 1).cuda()
    work = torch.rand(4096, 4096, device="cuda")

    def recorder(event: Event) -> None:
        for _ in range(50):
            torch.mm(work, work)

    recorder.events = (StepDone,)  # type: ignore[attr-defined]
    timed = Timed("a", recorder)
    for step in range(1, 6):
        timed(StepDone(step, 1, work[0, 0], work[0, 0], "top1", 32, 0.1, model))
    queued = timed.spent_s
    torch.cuda.synchronize()
    timed(StepDone(6, 1, work[0, 0], work[0, 0], "top1", 32, 0.1, model))
    assert timed.measurement_s is not None and timed.measurement_s > queued / 5
