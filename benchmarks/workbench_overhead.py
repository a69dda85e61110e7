"""What recorders and the live workbench at its defaults cost, against a loop written by hand.

The workbench is in a kernel, a real one; the loop by hand in a fresh process each time, while the workbench's run
stands still. First its page is elsewhere, as on a hub: a client of the kernel takes in all that is sent, and draws
nothing. Then JupyterLab and Chromium draw it on the same processor.
"""

import argparse
from collections.abc import Sequence

from benchmarks.fresh_loop import images_per_second
from benchmarks.hand_written_loop import BATCH, DEPTH
from benchmarks.live_kernel import WIDGET_MESSAGES, LiveKernel, live_kernel
from benchmarks.live_page import CHROMIUM, NO_CHROMIUM, live_page
from benchmarks.report import Report, verdict
from benchmarks.turns import Spread, ratio, take_turns

ROUNDS = 11
TARGET = 0.95
WARM = 5
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
            f"ResNet-{DEPTH}, batches of {BATCH}, {options.steps} steps a turn, {options.rounds} rounds, {mode}. By "
            "hand in a fresh process each time. Median (least to most). With the page elsewhere "
            f"{sent:.1f} messages a second reached it."
        ],
        ["ipykernel", "ipywidgets", "plotly", "jupyterlab"],
    )


def _compared(
    kernel: LiveKernel, options: argparse.Namespace, where: str, target: float | None
) -> tuple[list[Sequence[str]], str, float]:
    """Rows of the two arms, the mode, and messages a second of the workbench's turns."""
    mode, precision = kernel.run("arms.warm()", "[str(arms.mode), arms.mode.precision]")
    messages: list[float] = []

    def watched() -> float:
        kernel.listen(1.5)  # what the last turn left to be drawn is drawn
        first = len(kernel.messages)
        seconds = float(kernel.run(f"seconds = arms.watched({options.steps})", "seconds"))
        sent = [each for each in kernel.messages[first:] if each.kind in WIDGET_MESSAGES]
        messages.append(len(sent) / seconds)
        return options.steps * BATCH / seconds

    by_hand = f"written by hand{where}"
    arms = {
        by_hand: lambda: images_per_second("hand", DEPTH, precision, WARM, options.steps),
        f"with the workbench{where}": watched,
    }
    rates = take_turns(arms, options.rounds)
    kernel.run("arms.end()")
    rows = []
    for name, found in rates.items():
        share = ratio(found, rates[by_hand])
        told = verdict(share.middle, least=target) if target is not None and name != by_hand else ""
        rows.append((name, f"{Spread.of(found):,.0f}", f"{share:.3f}", told))
    return rows, mode, sum(messages) / len(messages)
