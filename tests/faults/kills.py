"""Processes killed while they save: no run is unreadable, and at most one interval is lost."""

import os
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import reswork as rw
from reswork.store.checkpoints import Checkpoints
from tests.faults.training import RECIPE, begun, save_at_every_step

LONG = rw.Recipe(**{**RECIPE.__dict__, "steps": 100_000})


def _train_for_ever(folder: Path) -> None:
    """In a forked child: a checkpoint after every step, so that most of the time goes into saving."""
    torch.set_num_threads(1)
    save_at_every_step()
    begun(folder, recipe=LONG, save_every_s=0.0).wait()


def wait_for_saves(folder: Path, ended: Callable[[], bool] = lambda: False) -> None:
    """Until a training has saved its second step."""
    end = time.monotonic() + 60
    while not (folder / "checkpoints" / "step-00000002").exists():
        if time.monotonic() > end or ended():
            raise TimeoutError(f"the training in {folder} did not begin")
        time.sleep(0.01)


def killed(folder: Path, after_s: float) -> None:
    """Train in a process of its own and kill it so long after its first steps."""
    child = os.fork()
    if child == 0:
        try:
            _train_for_ever(folder)
        finally:
            os._exit(1)
    try:
        wait_for_saves(folder)
        time.sleep(after_s)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def what_is_left(folder: Path) -> tuple[int, int]:
    """The last step whose metrics are on the disk, and the step from which the run can go on.

    Raises:
        InvalidSetting: if the run cannot be read.
    """
    saved = rw.load_run(folder)
    assert saved.interrupted and saved.unreadable is None and saved.can_be_resumed
    checkpoint, _, _ = Checkpoints(folder).newest()
    return int(saved.history.series("loss/train").steps[-1]), checkpoint.step


def many(
    count: int,
    seed: int,
    kill: Callable[[Path, float], Any],
    look: Callable[[Path, Any], None] = lambda _folder, _killed: None,
) -> str:
    """Kill so many trainings at random moments, and look at what each leaves; what was found, in words."""
    draw = random.Random(seed)
    lost: Counter[int] = Counter()
    in_the_middle = 0
    with tempfile.TemporaryDirectory() as place:
        for number in range(count):
            folder = Path(place) / f"killed-{number}"
            found = kill(folder, draw.uniform(0.0, 0.3))
            in_the_middle += bool(list((folder / "checkpoints").glob(".step-*")))
            recorded, kept = what_is_left(folder)
            lost[max(0, recorded - kept)] += 1
            look(folder, found)
            if number % 20 == 0:
                _goes_on(folder, kept)
    steps = ", ".join(f"{times} times {step}" for step, times in sorted(lost.items()))
    return f"{in_the_middle} of them in the middle of a save: no unreadable run; steps lost of those recorded: {steps}."


def _goes_on(folder: Path, kept: int) -> None:
    run = rw.load_run(folder).resume()
    run.step(2)
    run.wait_until_still(300)
    run.stop()
    run.wait(300)
    assert run.steps_done >= kept + 1


def campaign(count: int, seed: int = 0) -> str:
    """So many kills; a sentence with what was found."""
    return f"{count} kills of a training that saves after every step, {many(count, seed, killed)}"
