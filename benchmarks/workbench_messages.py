"""What the workbench sends to the page: when it first appears, and in each second of a training.

Counted on the channel from a real kernel to the page, all kinds of messages together.
"""

import argparse

from benchmarks.live_kernel import LiveKernel, Message, live_kernel
from benchmarks.report import Report, verdict
from benchmarks.turns import Spread

ROUNDS = 7
LIMIT_MB, LIMIT_A_SECOND = 6.0, 50.0
QUIET = ("status", "execute_input", "iopub_welcome")  # the protocol's own, a few bytes around each cell


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=int, default=10, help="of training in each round")


def measure(options: argparse.Namespace) -> Report:
    with live_kernel() as kernel:
        kernel.run("import reswork as rw; workbench = None")
        appeared, seconds = [], []
        for _ in range(options.rounds):
            appeared.append(_appearing(kernel))
            seconds += _training(kernel, options.seconds)
            kernel.run("workbench.run.stop(); workbench.run.wait(); workbench.close()")
    size = Spread.of(sum(each.size for each in sent) / 1e6 for sent in appeared)
    counts = Spread.of(len(sent) for sent in seconds)
    flow = Spread.of(sum(each.size for each in sent) / 1e3 for sent in seconds)
    return Report(
        "What the workbench sends",
        ("", "median (least to most)", "target"),
        [
            ("MB when it first appears", f"{size:.2f}", verdict(size.most, most=LIMIT_MB, unit=" MB")),
            ("messages when it first appears", f"{Spread.of(map(len, appeared)):.0f}", ""),
            ("messages in a second of training", f"{counts:.0f}", verdict(counts.most, most=LIMIT_A_SECOND)),
            ("kB in a second of training", f"{flow:.0f}", ""),
        ],
        [
            f"`rw.Workbench()` at its defaults, {options.rounds} times opened, started, watched for "
            f"{options.seconds} s and closed. Verdicts on the most."
        ],
        ["ipykernel", "ipywidgets", "plotly"],
    )


def _appearing(kernel: LiveKernel) -> list[Message]:
    first = len(kernel.messages)
    kernel.run("workbench = rw.Workbench(); display(workbench)")
    kernel.listen(1.0)
    return _told(kernel.messages[first:])


def _training(kernel: LiveKernel, seconds: int) -> list[list[Message]]:
    """The messages of each second, from the first step on."""
    kernel.run("import time; workbench.start()")
    kernel.run("while workbench.run.steps_done < 1 and not workbench.run.done: time.sleep(0.02)")
    return [_told(kernel.listen(1.0)) for _ in range(seconds)]


def _told(messages: list[Message]) -> list[Message]:
    return [each for each in messages if each.kind not in QUIET]
