"""What the workbench sends to the page: when it first appears, in each second of a training, and after a reload.

Counted on the channel from a real kernel to the page, all kinds of messages together: header, content and buffers,
plotly.js (gzipped, from plotly's Python package) among them. A widget is one that the page is told to make.
"""

import argparse

from benchmarks.live_kernel import LiveKernel, Message, live_kernel
from benchmarks.report import Report, verdict
from benchmarks.turns import Spread

ROUNDS = 7
LIMIT_MB, LIMIT_WIDGETS, LIMIT_A_SECOND = 2.5, 300.0, 50.0
QUIET = ("status", "execute_input", "iopub_welcome")  # the protocol's own, a few bytes around each cell


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=int, default=10, help="of training in each round")


def measure(options: argparse.Namespace) -> Report:
    with live_kernel() as kernel:
        kernel.run("import reswork as rw; workbench = None")
        appeared, seconds, fetched = [], [], []
        for _ in range(options.rounds):
            appeared.append(_appearing(kernel))
            fetched.append(_reloaded(kernel))
            seconds += _training(kernel, options.seconds)
            kernel.run("workbench.run.stop(); workbench.run.wait(); workbench.close()")
    size = Spread.of(sum(each.size for each in sent) / 1e6 for sent in appeared)
    widgets = Spread.of(sum(each.kind == "comm_open" for each in sent) for sent in appeared)
    counts = Spread.of(len(sent) for sent in seconds)
    flow = Spread.of(sum(each.size for each in sent) / 1e3 for sent in seconds)
    return Report(
        "What the workbench sends",
        ("", "median (least to most)", "target"),
        [
            ("MB when it first appears", f"{size:.2f}", verdict(size.most, most=LIMIT_MB, unit=" MB")),
            ("widgets when it first appears", f"{widgets:.0f}", verdict(widgets.most, most=LIMIT_WIDGETS)),
            ("messages when it first appears", f"{Spread.of(map(len, appeared)):.0f}", ""),
            (
                "MB that a page fetches after a reload",
                f"{Spread.of(fetched):.2f}",
                verdict(max(fetched), most=LIMIT_MB, unit=" MB"),
            ),
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


def _reloaded(kernel: LiveKernel) -> float:
    """Megabytes of the states of all widgets, asked for as JupyterLab does when a page was loaded again."""
    first = len(kernel.messages)
    kernel.ask_for_states()
    kernel.listen(1.0)
    return sum(each.size for each in _told(kernel.messages[first:])) / 1e6


def _training(kernel: LiveKernel, seconds: int) -> list[list[Message]]:
    """The messages of each second, from the first step on."""
    kernel.run("import time; workbench.start()")
    kernel.run("while workbench.run.steps_done < 1 and not workbench.run.done: time.sleep(0.02)")
    return [_told(kernel.listen(1.0)) for _ in range(seconds)]


def _told(messages: list[Message]) -> list[Message]:
    return [each for each in messages if each.kind not in QUIET]
