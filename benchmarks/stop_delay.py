"""How long Stop takes: asked for from Python, and by a click that travels through a real kernel.

The step that is being made when somebody asks may end; from its end on the clock runs.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.hand_written_loop import CROP_AND_FLIP, DEPTH
from benchmarks.live_kernel import LiveKernel, live_kernel
from benchmarks.report import Report, verdict
from benchmarks.turns import Spread, percentile
from reswork.experiment.launch import train
from reswork.models.network import resnet
from reswork.training.events import Event, StepDone
from reswork.training.recipe import Recipe
from reswork.training.recorder import BaseRecorder
from reswork.training.run import Run

ROUNDS = 20
LIMIT_MS, LIMIT_STEPS = 100.0, 1
BEFORE = 10  # steps before it is stopped
SETUP = """\
from benchmarks.hand_written_loop import made_data
from benchmarks.stop_delay import StepTimes, stopped_by_call, untimed
from reswork.widgets import Workbench
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    pass


def measure(options: argparse.Namespace) -> Report:
    with live_kernel() as kernel:
        kernel.run(SETUP)
        kernel.run("data = made_data(10_000); workbench = Workbench(data=data, recipe=untimed())")
        called = [kernel.run("", "stopped_by_call(data)") for _ in range(options.rounds)]
        clicked = [_by_click(kernel) for _ in range(options.rounds)]
    return Report(
        "Stop",
        ("asked by", "steps that still ended, most", "target", "ms after that step", "target"),
        [
            _row("`run.stop()`, until `run.done`", called),
            _row("a click on Stop, until the page is told", clicked),
        ],
        [
            f"ResNet-{DEPTH}, {options.rounds} stops each, while it trains; the folder's last metrics and weights "
            "are on disk by then. Median (least to most); verdicts on the most steps and the 95th percentile."
        ],
        ["ipykernel", "ipywidgets"],
    )


def _row(name: str, found: Sequence[tuple[int, float]]) -> tuple[str, ...]:
    steps, beyond = max(each[0] for each in found), [1e3 * each[1] for each in found]
    return (
        name,
        str(steps),
        verdict(steps, most=LIMIT_STEPS),
        f"{Spread.of(beyond):.0f}",
        verdict(percentile(beyond, 0.95), most=LIMIT_MS, unit=" ms"),
    )


def untimed() -> Recipe:
    """A recipe whose mode is given, so that a run begins at once."""
    return Recipe(epochs=100, augmentation=CROP_AND_FLIP, channels_last=True, precision="fp32", compile="off")


class StepTimes(BaseRecorder):
    """A recorder that notes when each step of a run ended, by `time.perf_counter`."""

    events = (StepDone,)

    def __init__(self, run: Run) -> None:
        self.ended: list[float] = []
        run.add_recorder(self)
        while len(self.ended) < BEFORE:
            if run.done:
                run.wait()
                raise RuntimeError(f"{run} ended too early")
            time.sleep(0.002)

    def __call__(self, event: Event) -> None:
        """Note one step."""
        self.ended.append(time.perf_counter())

    def after(self, moment: float) -> int:
        """Steps that ended later than that."""
        return sum(ended > moment for ended in self.ended)


def stopped_by_call(data: object) -> tuple[int, float]:
    """Steps that ended after asking, and seconds from the last one's end until it had stopped."""
    with tempfile.TemporaryDirectory() as folder:
        run = train(resnet(depth=DEPTH), data, untimed(), directory=Path(folder) / "run")
        times = StepTimes(run)
        asked = time.perf_counter()
        run.stop()
        run.wait()
        return times.after(asked), time.perf_counter() - max(asked, times.ended[-1])


def _by_click(kernel: LiveKernel) -> tuple[int, float]:
    """The same for a click: until the page is told that the run has stopped."""
    kernel.run("workbench.start(); times = StepTimes(workbench.run)")
    button, status = kernel.run(
        "view = workbench.run_view; view.refresh()", "[view.stop.model_id, view.status.model_id]"
    )
    sent = kernel.click(button)
    told = kernel.until(lambda each: each.comm == status and ">stopped<" in str(each.state.get("value")))
    kernel.run("workbench.run.wait()")
    steps, last = kernel.run("", f"[times.after({sent}), times.ended[-1]]")
    return steps, told.at_s - max(sent, last)
