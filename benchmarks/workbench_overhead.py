"""What recorders and the live workbench at its defaults cost, against a loop written by hand.

Both arms take turns in one kernel, a real one. First its page is elsewhere, as on a hub: a client of the kernel
takes in all that is sent, and draws nothing. Then JupyterLab and Chromium draw it on the same processor.
"""

import argparse
from collections.abc import Sequence

from benchmarks.hand_written_loop import BATCH, DEPTH
from benchmarks.live_kernel import WIDGET_MESSAGES, LiveKernel, live_kernel
from benchmarks.live_page import CHROMIUM, NO_CHROMIUM, live_page
from benchmarks.report import Report
from benchmarks.training_overhead import rate_rows
from benchmarks.turns import take_turns

ROUNDS = 11
TARGET = 0.95
CELL = """\
from benchmarks.workbench_arms import WorkbenchArms
arms = WorkbenchArms()
arms.workbench
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--steps", type=int, default=40, help="of each arm in each round")


def measure(options: argparse.Namespace) -> Report:
    with live_kernel() as kernel:
        kernel.run(CELL)
        rows, mode, sent = _compared(kernel, options, "", TARGET)
    if CHROMIUM:
        with live_page(CELL) as (_, kernel):
            more, _, _ = _compared(kernel, options, ", Chromium on the same cores", None)
        rows += more
    else:
        rows.append(("Chromium on the same cores", NO_CHROMIUM, "", ""))
    return Report(
        "Training with the live workbench, against a loop written by hand",
        ("loop", "images per second", "of the loop by hand", "target"),
        rows,
        [
            f"ResNet-{DEPTH}, batches of {BATCH}, {options.steps} steps a turn, {options.rounds} rounds, {mode}. "
            f"Median (least to most). With the page elsewhere {sent:.1f} messages a second reached it."
        ],
        ["ipykernel", "ipywidgets", "plotly", "jupyterlab"],
    )


def _compared(
    kernel: LiveKernel, options: argparse.Namespace, where: str, target: float | None
) -> tuple[list[Sequence[str]], str, float]:
    """Rows of the two arms, the mode, and messages a second of the workbench's turns."""
    mode = kernel.run("arms.warm()", "arms.mode")
    messages: list[float] = []

    def turn(arm: str) -> float:
        kernel.listen(1.5)  # what the last turn left to be drawn is drawn
        first = len(kernel.messages)
        seconds = float(kernel.run(f"seconds = arms.{arm}({options.steps})", "seconds"))
        if arm == "watched":
            sent = [each for each in kernel.messages[first:] if each.kind in WIDGET_MESSAGES]
            messages.append(len(sent) / seconds)
        return seconds

    names = {f"written by hand{where}": "bare", f"with the workbench{where}": "watched"}
    seconds = take_turns({name: lambda arm=arm: turn(arm) for name, arm in names.items()}, options.rounds)
    kernel.run("arms.end()")
    targets = {f"with the workbench{where}": target} if target is not None else {}
    return (
        rate_rows(seconds, options.steps * BATCH, targets),
        mode,
        sum(messages) / len(messages),
    )
