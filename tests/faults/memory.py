"""Memory of a long training and of a page that is refreshed thousands of times: flat."""

import gc
import tempfile
from pathlib import Path

import numpy as np
import psutil
import torch

import reswork as rw
from reswork.history import History
from reswork.widgets.run_view import RunView
from tests.faults.sequences import DATA

MIB = 2**20


def campaign(count: int, seed: int = 0) -> str:
    """`count` refreshes and ten times as many steps; a sentence with what was found."""
    steps, steps_grown = _steps(10 * count)
    refreshed = _refreshes(count)
    return (
        f"{steps:,} steps: {steps_grown:.1f} MiB more in their last four fifths, without the record itself; "
        f"{count:,} refreshes of all plots of a live run: {refreshed:.1f} MiB more in their second half."
    )


def _steps(count: int) -> tuple[int, float]:
    """A run with every default recorder and its folder; the record's own numbers do not count."""
    recipe = rw.Recipe(steps=count, batch_size=2, device="cpu", precision="fp32", compile="off")
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 2))
    sizes: list[tuple[int, int]] = []  # bytes of the process, bytes of the record

    def look(event: object) -> None:
        if isinstance(event, rw.training.StepDone) and event.step % (count // 5) == 0:
            gc.collect()
            sizes.append((psutil.Process().memory_info().rss, _bytes(run.history)))

    with tempfile.TemporaryDirectory() as place:
        run = rw.train(network, DATA, recipe, directory=Path(place) / "run", start=False)
        run.add_recorder(look)
        run.start()
        run.wait()
    (first, first_record), (last, last_record) = sizes[0], sizes[-1]
    return count, (last - first - (last_record - first_record)) / MIB


def _bytes(history: History) -> int:
    """Of the numbers that a record holds: a step and a value each."""
    single = sum(16 * len(history.series(name)) for name in history.names)
    return single + sum(
        vectors.values.nbytes + vectors.steps.nbytes for vectors in map(history.vectors, history.groups)
    )


def _refreshes(count: int) -> float:
    """Each with one more step in the record."""
    view = long_view()
    sizes = []
    for number in range(count):
        grow(view, number)
        if number in (count // 2, count - 1):
            gc.collect()
            sizes.append(psutil.Process().memory_info().rss)
    view.run.stop()
    return (sizes[1] - sizes[0]) / MIB


def long_view() -> RunView:
    """All plots of a live run whose record has 20,000 steps from the beginning."""
    recipe = rw.Recipe(steps=10**7, batch_size=32, device="cpu", precision="fp32", compile="off")
    run = rw.train(rw.resnet(depth=8, width=2, in_channels=1, num_classes=2), DATA, recipe, start=False)
    layers = tuple(f"layer{number}" for number in range(9))
    for step in range(1, 20_001):
        run.history.record(step, {"loss/train": 1 / step, "top1/train": 0.5, "learning_rate": 0.1})
        if step % 10 == 0:
            run.history.record_vector("grad_norm", step, layers, np.full(9, 1 / step))
    view = RunView(run)
    view.plots.show()
    return view


def grow(view: RunView, number: int) -> None:
    """One more step in the record, and a refresh."""
    view.run.history.record(20_001 + number, {"loss/train": 0.1, "top1/train": 0.5, "learning_rate": 0.1})
    view.refresh()
