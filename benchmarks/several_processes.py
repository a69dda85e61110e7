"""A step of one process against one of two ranks, and what it costs these that they have to talk.

All arms train the same ResNet-20 with batches of 128 images and take turns in the same two processes. Two ranks that
do not talk make the same steps without exchanging anything.
"""

import argparse
import multiprocessing as mp
import os
import tempfile
import time
from collections.abc import Callable, Generator
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from benchmarks.report import Report
from benchmarks.turns import Spread, ratio, take_turns
from reswork import datasets
from reswork.models.network import resnet
from reswork.training.events import StepDone
from reswork.training.loop import fit
from reswork.training.ranks import ALONE, Ranks, torchrun_ranks
from reswork.training.recipe import Recipe

ROUNDS = 7
BATCH, DEPTH = 128, 20
WARM = 2
ONE, ALL, TALKING, SILENT = (
    "one process, one thread",
    "one process, two threads",
    "two ranks, one thread each",
    "two ranks that do not talk",
)
_THREADS = {ONE: 1, ALL: 2, TALKING: 1, SILENT: 1}


class SilentRanks(Ranks):
    """Each computes its share and tells nobody."""

    count = 2
    is_first = True  # nobody else chooses for it

    def __init__(self, index: int) -> None:
        self.index = index


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--steps", type=int, default=4, help="of each arm in each round")


def measure(options: argparse.Namespace) -> Report:
    with tempfile.TemporaryDirectory() as folder:
        pair = _Pair(Path(folder, "store"))
        arms: dict[str, Callable[[], float]] = {
            name: lambda name=name: pair.seconds(name, options.steps) / options.steps  # type: ignore[misc]
            for name in _THREADS
        }
        for name in arms:
            pair.seconds(name, WARM)
        seconds = take_turns(arms, options.rounds)
        pair.close()
    rows = [
        (name, f"{Spread.of(1e3 * each for each in took):.0f}", f"{ratio(took, seconds[ONE]):.2f}")
        for name, took in seconds.items()
    ]
    talk = Spread.of(
        100 * (1 - silent / talking)
        for silent, talking in zip(seconds[SILENT], seconds[TALKING], strict=True)
    )
    return Report(
        "A step of several processes",
        ("arm", "ms a step", "of one thread's"),
        rows,
        [
            f"ResNet-{DEPTH}, batches of {BATCH} images of 28x28, fp32, gloo; {options.steps} steps a turn, "
            f"{options.rounds} rounds. Median (least to most).",
            f"Of a step of two ranks, talking and waiting for each other takes {talk:.0f} %: what it takes longer than "
            "the same step without.",
        ],
    )


class _Pair:
    """Two processes that make steps when they are told to."""

    def __init__(self, store: Path) -> None:
        context = mp.get_context("spawn")
        self._ends, self._processes = [], []
        for rank in range(2):
            here, there = context.Pipe()
            process = context.Process(target=_work, args=(rank, str(store), there), daemon=True)
            process.start()
            self._ends.append(here)
            self._processes.append(process)

    def seconds(self, arm: str, steps: int) -> float:
        """Time that so many steps take, of the slower of the two where both make them."""
        ends = self._ends if arm in (TALKING, SILENT) else self._ends[:1]
        for end in ends:
            end.send((arm, steps))
        return max(end.recv() for end in ends)

    def close(self) -> None:
        """End them."""
        for end in self._ends:
            end.send(None)
        for process in self._processes:
            process.join()


def _work(rank: int, store: str, end: Connection) -> None:
    os.environ |= {
        "TORCHELASTIC_RUN_ID": "benchmark",
        "RESWORK_RANKS_STORE": store,
        **{name: str(rank) for name in ("RANK", "LOCAL_RANK")},
        **{name: "2" for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE")},
    }
    with torchrun_ranks() as ranks:
        arms = {ONE: ALONE, ALL: ALONE, TALKING: ranks, SILENT: SilentRanks(rank)}
        steps = {name: _steps(each) for name, each in arms.items()}
        while (told := end.recv()) is not None:
            name, count = told
            torch.set_num_threads(_THREADS[name])
            begin = time.perf_counter()
            for _ in range(count):
                next(steps[name])
            end.send(time.perf_counter() - begin)
        for each in steps.values():
            each.close()


def _steps(ranks: Ranks) -> Generator[None, None, None]:
    """Stops after each step of a training."""
    torch.manual_seed(0)
    recipe = Recipe(
        epochs=1, batch_size=BATCH, precision="fp32", channels_last=True, compile="off", device="cpu"
    )
    for event in fit(resnet(depth=DEPTH, in_channels=1), datasets.fashion(), recipe, ranks=ranks):
        if isinstance(event, StepDone):
            yield
