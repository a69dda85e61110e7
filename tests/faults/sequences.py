"""Random sequences of everything that can be asked of a run, also by two threads at once."""

import gc
import shutil
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import torch
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

import reswork as rw
from reswork.datasets import Dataset, Split
from reswork.errors import InvalidSetting
from reswork.store.checkpoints import Checkpoints
from reswork.store.directory import has_writer
from reswork.training.progress import TrainingState
from reswork.training.run import RunThread

ASKED = ("start", "pause", "step", "resume", "stop", "snapshot", "set", "wait_until_still")
NEXT = {
    rw.RunState.READY: set(rw.RunState),
    rw.RunState.RUNNING: set(rw.RunState) - {rw.RunState.READY},
    rw.RunState.PAUSED: set(rw.RunState) - {rw.RunState.READY},
    rw.RunState.FINISHED: {rw.RunState.FINISHED},
    rw.RunState.STOPPED: {rw.RunState.STOPPED},
    rw.RunState.FAILED: set(),
}
seen = {"sequences": 0, "requests": 0}


def _data() -> Dataset:
    images = torch.randint(
        0, 256, (48, 1, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    labels = torch.arange(48) % 2
    splits = Split(images[:32], labels[:32]), Split(images[32:], labels[32:])
    return Dataset("noise", *splits, classes=("one", "two"), mean=(0.5,), std=(0.3,), source="made up")


DATA = _data()


def _network() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 2))


class Requests(RuleBasedStateMachine):
    """One run, its folder, and everyone who may ask something of it."""

    @initialize(steps=st.sampled_from([3, 40, 10**6]))
    def begin(self, steps: int) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.files = psutil.Process().num_fds()
        self.recipe = rw.Recipe(steps=steps, batch_size=8, device="cpu", precision="fp32", compile="off")
        self.branches = 0
        self.runs: list[rw.Run] = []
        self._train("run", None)
        seen["sequences"] += 1

    def _train(self, name: str, state: TrainingState | None) -> None:
        self.run = rw.train(
            _network(),
            DATA,
            self.recipe,
            directory=self.folder / name,
            start=False,
            state=state,
            save_every_s=0.0,
        )
        self.path = self.folder / name
        self.runs.append(self.run)
        self.last = self.run.state
        self.steps = self.run.steps_done

    def ask(self, what: str) -> None:
        seen["requests"] += 1
        asked: dict[str, Callable[[], object]] = {
            "step": lambda: self.run.step(2),
            "set": lambda: None if self.run.done else self._set(),
            "wait_until_still": lambda: self.run.wait_until_still(0.02),
        }
        asked.get(what, getattr(self.run, what))()

    def _set(self) -> None:
        try:
            self.run.set(learning_rate=0.01)
        except InvalidSetting:
            assert self.run.done  # it ended between the two lines

    @rule(what=st.sampled_from(ASKED))
    def one_asks(self, what: str) -> None:
        self.ask(what)

    @rule(what=st.lists(st.sampled_from(ASKED), min_size=2, max_size=4))
    def two_ask_at_once(self, what: list[str]) -> None:
        errors: list[BaseException] = []

        def asks() -> None:
            try:
                for each in what[1:]:
                    self.ask(each)
            except BaseException as error:
                errors.append(error)

        other = threading.Thread(target=asks)
        other.start()
        self.ask(what[0])
        other.join(30)
        assert not other.is_alive() and not errors, errors

    @rule()
    def a_snapshot_just_as_it_ends(self) -> None:
        self.run.stop()
        assert not self.run.snapshot().training

    @rule()
    def closed_and_resumed(self) -> None:
        self._end(self.run)
        saved = rw.load_run(self.path)
        if saved.can_be_resumed:
            self.run = saved.resume(model=_network(), data=DATA, start=False)
            self.runs.append(self.run)
            self.last, self.steps = self.run.state, self.run.steps_done
        else:
            assert saved.state is rw.RunState.FINISHED or not Checkpoints(self.path).all()  # it never began

    @rule()
    def branched(self) -> None:
        step = self.run.steps_done
        weights = self.run.snapshot().state_dict()
        self._end(self.run)
        self.branches += 1
        if step < self.run.total_steps:
            tensors = {f"model/{name}": value for name, value in weights.items()}
            self._train(f"branch-{self.branches}", TrainingState(step, tensors))

    @invariant()
    def states_are_legal_and_one_trains(self) -> None:
        if not hasattr(self, "run"):
            return
        state, steps = self.run.state, self.run.steps_done
        assert state in NEXT[self.last] | {self.last}, (self.last, state, self.run.error)
        assert self.steps <= steps <= self.run.total_steps
        self.last, self.steps = state, steps
        trainers = [thread for thread in threading.enumerate() if isinstance(thread, RunThread)]
        assert len(trainers) <= 1

    def _end(self, run: rw.Run) -> None:
        run.stop()
        run.start()  # one that never began still has its folder
        run.wait_until_still(300)
        for thread in threading.enumerate():
            if isinstance(thread, RunThread):
                thread.join(30)
        assert run.done and run.error is None, run

    def teardown(self) -> None:
        if not hasattr(self, "run"):
            return
        self._end(self.run)
        assert not any(has_writer(each) for each in self.folder.iterdir() if self.run.state.name != "READY")
        assert not [thread for thread in threading.enumerate() if isinstance(thread, RunThread)]
        for each in self.folder.iterdir():
            assert rw.load_run(each).done
        del self.run
        self.runs.clear()
        gc.collect()
        assert psutil.Process().num_fds() <= self.files
        shutil.rmtree(self.folder)


def campaign(count: int, seed: int = 0) -> str:
    """So many sequences; a sentence with what was found."""
    seen.update(sequences=0, requests=0)
    chosen = settings(
        max_examples=count, stateful_step_count=12, deadline=None, database=None, derandomize=seed == 0,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    run_state_machine_as_test(Requests, settings=chosen)
    return (
        f"{seen['sequences']:,} random sequences with {seen['requests']:,} requests, many by two threads at once: "
        "at most one trainer, legal states only, no thread, lock or file left open."
    )
