"""How long the workbench takes to be of use: from the start of its cell, and after the page was loaded again.

Looked at in a real JupyterLab with headless Chromium on this machine. Of use: Start is on the page and can be pressed,
and the form beside it says what would be trained. Each round has a kernel of its own.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.live_page import NO_CHROMIUM
from benchmarks.report import Report, verdict
from benchmarks.turns import Spread
from tests.browser.conftest import CHROMIUM, FLAGS, Lab, running_lab, save, wait_for_kernel

ROUNDS = 5
LIMIT_S = 4.0
NOTEBOOK = "opening.ipynb"
CELL = "import reswork as rw; rw.Workbench()"
OF_USE = (
    "() => { const start = [...document.querySelectorAll('.reswork button')].find(b => b.innerText === 'Start');"
    " return start?.offsetParent && !start.disabled && document.querySelector('.reswork .reswork-sums b'); }"
)
DRAWN = "() => [...document.querySelectorAll('.reswork-plot .main-svg')].some(e => e.getBoundingClientRect().width)"
ON_PAGE = "() => document.querySelector('.jp-NotebookPanel .jp-CodeCell')"


def add_options(parser: argparse.ArgumentParser) -> None:
    pass


def measure(options: argparse.Namespace) -> Report:
    found: dict[str, list[float]] = {}
    if CHROMIUM:
        from playwright.sync_api import sync_playwright

        with (
            tempfile.TemporaryDirectory() as folder,
            running_lab(Path(folder)) as lab,
            sync_playwright() as playwright,
        ):
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            for _ in range(options.rounds):
                for name, seconds in _round(lab, browser).items():
                    found.setdefault(name, []).append(seconds)
            browser.close()
    limits = {"from the cell's start", "from the notebook's appearance after a reload"}
    rows = [
        (
            name,
            f"{Spread.of(seconds):.1f}",
            verdict(Spread.of(seconds).middle, most=LIMIT_S, unit=" s") if name in limits else "",
        )
        for name, seconds in found.items()
    ]
    return Report(
        "Until the workbench is of use",
        ("seconds", "median (least to most)", "target"),
        rows or [(NO_CHROMIUM, "", "")],
        [
            f"`{CELL}` as the first cell of a new kernel, {options.rounds} times, with an empty folder of runs; so "
            "importing torch is part of it. Of use: Start can be pressed and the sums of the network stand there. "
            "Verdicts on the median."
        ],
        ["ipykernel", "ipywidgets", "jupyterlab", "plotly"],
    )


def _round(lab: Lab, browser: Any) -> dict[str, float]:
    lab.begin_anew()
    context = browser.new_context(viewport={"width": 1280, "height": 1600})
    page = context.new_page()
    page.set_default_timeout(240_000)
    page.goto(lab.write(NOTEBOOK, CELL))
    page.wait_for_selector(".jp-NotebookPanel .jp-Cell")
    wait_for_kernel(page)
    page.locator(".jp-Notebook .jp-Cell .cm-content").first.click()
    begin = time.perf_counter()
    page.keyboard.press("Shift+Enter")
    seconds = {"from the cell's start": _until(page, OF_USE, begin)}
    seconds["from the cell's start until the network is drawn"] = _until(page, DRAWN, begin)
    save(page, lab.folder)
    begin = time.perf_counter()
    page.reload(wait_until="commit")
    _until(page, ON_PAGE, begin)
    appeared = time.perf_counter()
    seconds["from the notebook's appearance after a reload"] = _until(page, OF_USE, appeared)
    seconds["from the reload, JupyterLab's own start among it"] = time.perf_counter() - begin
    context.close()
    return seconds


def _until(page: Any, condition: str, begin: float) -> float:
    page.wait_for_function(condition, polling=20)
    return time.perf_counter() - begin
