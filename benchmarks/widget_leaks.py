"""What is left of a workbench that was opened and closed, in a real kernel."""

import argparse

from benchmarks.live_kernel import live_kernel
from benchmarks.report import Report, verdict

ROUNDS = 100
CELL = "workbench = rw.Workbench(); display(workbench); workbench.close()"
ALIVE = "len(ipywidgets.widgets.widget._instances)"
COMMS = "len(comm.get_comm_manager().comms)"
MEMORY = "psutil.Process().memory_info().rss"


def add_options(parser: argparse.ArgumentParser) -> None:
    pass


def measure(options: argparse.Namespace) -> Report:
    with live_kernel() as kernel:
        kernel.run("import comm, ipywidgets, psutil, reswork as rw")
        before = kernel.run("", f"[{ALIVE}, {COMMS}]")
        for opened in range(options.rounds):
            kernel.run(CELL)
            kernel.messages.clear()
            if opened == options.rounds // 2:
                half = kernel.run("", MEMORY)
        after = kernel.run("", f"[{ALIVE}, {COMMS}]")
        grown = (kernel.run("", MEMORY) - half) / 2**20
    widgets, comms = (last - first for first, last in zip(before, after, strict=True))
    return Report(
        "Opened and closed",
        ("left in the kernel", "", "target"),
        [
            ("widgets alive", str(widgets), verdict(widgets, most=0)),
            ("comms open", str(comms), verdict(comms, most=0)),
            ("MiB more memory in the second half", f"{grown:.0f}", ""),
        ],
        [f"`rw.Workbench()` shown and closed {options.rounds} times."],
        ["ipykernel", "ipywidgets"],
    )
