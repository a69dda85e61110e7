"""Which thread computes with how many threads, while runs go on and afterwards."""

import copy
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from reswork.training import cores as cores_module
from reswork.training import loop as loop_module
from reswork.training import run as run_module
from reswork.training.cores import Cores, drop_helpers
from reswork.training.events import Event, StepDone
from reswork.training.loop import fit
from reswork.training.run import Run, RunState

gnu = pytest.mark.skipif(cores_module._gnu_pause() is None, reason="torch computes with another OpenMP")


@pytest.fixture
def cores(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cores]:
    """For the runs of one test; the main thread computes with two."""
    assert threading.current_thread() is threading.main_thread()
    own = Cores()
    for module in (loop_module, run_module):
        monkeypatch.setattr(module, "CORES", own)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield own
    torch.set_num_threads(before)


class Held:
    """A run that stands within a step until it is let go; the number of threads that each of its events saw."""

    def __init__(self, run: Run, at: int = 1) -> None:
        self.run, self.seen = run, set[int]()
        self._there, self._go_on, self._at = threading.Event(), threading.Event(), at
        run.add_recorder(self._look)
        run.resume()
        run.start()
        assert self._there.wait(300)

    def _look(self, event: Event) -> None:
        self.seen.add(torch.get_num_threads())
        if isinstance(event, StepDone) and event.step == self._at:
            self._there.set()
            assert self._go_on.wait(300)

    def let_go(self) -> RunState:
        """To its end."""
        self._go_on.set()
        return self.run.wait(300)


@pytest.fixture
def held(make_net, make_data, make_recipe) -> Callable[..., Held]:
    return lambda **settings: Held(Run(copy.deepcopy(make_net()), make_data(), make_recipe(**settings)))


def of_a_new_thread() -> int:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(torch.get_num_threads).result()


@gnu
def test_a_run_has_all_threads_and_the_others_one_until_it_ends(cores, held):
    run = held()
    assert torch.get_num_threads() == 1
    assert of_a_new_thread() == 1
    assert cores.count == 2
    run.let_go()
    assert torch.get_num_threads() == 2
    assert of_a_new_thread() == 2
    assert run.seen == {2}


@gnu
def test_also_after_a_failure_and_after_a_stop(cores, held, monkeypatch):
    failing = held()
    monkeypatch.setattr(loop_module.TrainStep, "backward", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        failing.let_go()
    assert torch.get_num_threads() == 2
    monkeypatch.undo()
    for module in (loop_module, run_module):
        monkeypatch.setattr(module, "CORES", cores)
    stopped = held(steps=1000)
    assert torch.get_num_threads() == 1
    stopped.run.stop()
    assert stopped.let_go() is RunState.STOPPED
    assert torch.get_num_threads() == 2


@gnu
def test_the_last_of_two_runs_gives_back(cores, held):
    first, second = held(), held()
    first.let_go()
    assert torch.get_num_threads() == 1
    assert of_a_new_thread() == 1
    second.let_go()
    assert torch.get_num_threads() == 2
    assert first.seen == second.seen == {2}


@gnu
def test_a_run_that_stands_still_lends_nothing(cores, make_net, make_data, make_recipe):
    run = Run(make_net(), make_data(), make_recipe(steps=1000))
    run.step(2)
    assert run.wait_until_still() is RunState.PAUSED
    assert torch.get_num_threads() == 2
    assert of_a_new_thread() == 2
    again = Held(run, at=3)
    assert torch.get_num_threads() == 1
    run.stop()
    again.let_go()
    assert torch.get_num_threads() == 2


@gnu
def test_a_number_that_somebody_sets_meanwhile_stays(cores, held):
    run = held()
    torch.set_num_threads(3)
    run.let_go()
    assert torch.get_num_threads() == 3
    assert of_a_new_thread() == 3


@gnu
def test_a_loop_in_the_main_thread_has_all_threads_beside_a_run(
    cores, held, make_net, make_data, make_recipe
):
    run = held()
    seen = {torch.get_num_threads() for _ in fit(make_net(), make_data(), make_recipe(steps=2))}
    assert seen == {2}
    assert torch.get_num_threads() == 1
    run.let_go()
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("is_gnu", [pytest.param(True, marks=gnu), False])
def test_one_thread_and_another_openmp_stay_as_they_are(is_gnu, cores, held, monkeypatch):
    if not is_gnu:
        monkeypatch.setattr(cores_module, "_gnu_pause", lambda: None)
    count = 1 if is_gnu else 2
    torch.set_num_threads(count)
    run = held()
    assert torch.get_num_threads() == of_a_new_thread() == count
    run.let_go()
    assert torch.get_num_threads() == of_a_new_thread() == count
    assert run.seen == {count}


@gnu
def test_helpers_end_and_come_back(cores):
    def threads() -> int:
        return len(os.listdir("/proc/self/task"))

    def compute() -> None:
        torch.randn(600, 600) @ torch.randn(600, 600)

    drop_helpers()
    before = _settled(threads)
    compute()
    assert threads() == before + 1
    drop_helpers()
    assert _settled(threads, before) == before
    compute()
    assert threads() == before + 1


def _settled(count: Callable[[], int], wanted: int = -1) -> int:
    """Once it is the wanted number, or no longer changes: a thread ends a moment after it was told."""
    end, found = time.monotonic() + (60 if wanted >= 0 else 0.5), count()
    while time.monotonic() < end and found != wanted:
        time.sleep(0.01)
        found = count()
    return found


@gnu
def test_an_interrupt_that_falls_into_it_is_not_lost(cores, monkeypatch):
    asked = iter([KeyboardInterrupt, None])

    def settle() -> None:
        if (error := next(asked)) is not None:
            raise error

    monkeypatch.setattr(cores, "_settle", settle)
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)  # nohup has it ignored
    try:
        with pytest.raises(KeyboardInterrupt):
            assert cores._settle_in_main(None) == 0
            threading.Event().wait(300)
    finally:
        signal.signal(signal.SIGINT, usual)
    assert list(asked) == []  # it settled all the same
