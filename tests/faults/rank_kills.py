"""Ranks of one run killed at random moments; the run goes on each time with another number of them."""

import os
import random
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path
from unittest import mock

import reswork as rw
from tests.ranks import RanksOf, jobs

_AT_MOST_S = 30.0
_BEGIN = [
    *("train", "--data", "digits", "--depth", "8", "--width", "4", "--steps", "100000"),
    *("--device", "cpu", "--precision", "fp32", "--compile", "off", "--name", "mine"),
]


def killed(folder: Path, arguments: list[str], count: int, victim: int, after_s: float) -> float:
    """Train with so many ranks and kill one of them; the seconds until the last of the others has ended."""
    group = RanksOf(folder, jobs.command, *arguments, "--interval", "0.05", count=count, **os.environ)
    group.wait_for("loss ")
    time.sleep(after_s)
    begin = time.monotonic()
    group.processes[victim].kill()
    outcomes = group.outcomes(time.monotonic() - group.begin + _AT_MOST_S)
    seconds = time.monotonic() - begin
    assert outcomes[victim].code == -signal.SIGKILL
    assert all(each.code == 0 for each in outcomes if each is not outcomes[victim]), outcomes
    return seconds


def campaign(count: int, seed: int = 0) -> str:
    """So many kills; a sentence with what was found."""
    draw = random.Random(seed)
    took, states = [], Counter[str]()
    with tempfile.TemporaryDirectory() as place, mock.patch.dict(os.environ, RESWORK_RUNS=f"{place}/runs"):
        for number in range(count):
            ranks = draw.choice([2, 3])
            arguments = ["train", "--resume", "mine"] if number else _BEGIN
            took.append(killed(Path(place), arguments, ranks, draw.randrange(ranks), draw.uniform(0.0, 1.0)))
            run = rw.load_run("mine")
            assert run.can_be_resumed and run.unreadable is None
            steps = run.history.series("loss/train").steps.tolist()
            assert steps == list(range(1, len(steps) + 1))
            states["interrupted" if run.interrupted else run.state.value] += 1
    told = ", ".join(f"{times} {state}" for state, times in sorted(states.items()))
    return (
        f"{count} kills of one of two or three ranks, each time gone on with by a number drawn anew: all others ended, "
        f"after {max(took):.1f} s at most; the run was {told}; no gap in its record, and none unreadable."
    )
