"""How long the workbench takes to be of use: from the start of its cell, and after the page was loaded again.

And from pressing Start to the first step that is drawn. Looked at in a real JupyterLab with headless Chromium on this
machine. Of use: Start is on the page and can be pressed, and the form beside it says what would be trained. Each round
has a kernel of its own for each depth.
"""

import argparse
import shutil
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
STEP_LIMIT_S = 5.0
DEPTHS = (20, 56, 110)
NOTEBOOK = "opening.ipynb"
CELL = "import reswork as rw; rw.Workbench({})"
OF_USE = (
    "() => { const start = [...document.querySelectorAll('.reswork button')].find(b => b.innerText === 'Start');"
    " return start?.offsetParent && !start.disabled && document.querySelector('.reswork .reswork-sums b'); }"
)
DRAWN = "() => [...document.querySelectorAll('.reswork-plot .main-svg')].some(e => e.getBoundingClientRect().width)"
FIRST_STEP = (  # a point or a line of the loss
    "() => [...document.querySelectorAll('.reswork-grid .reswork-figure:nth-child(1) .scatterlayer .trace path')]"
    ".some(path => path.getAttribute('d') && path.getBoundingClientRect().height)"
)
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
                for depth in DEPTHS:
                    for name, seconds in _round(lab, browser, depth).items():
                        found.setdefault(name, []).append(seconds)
            browser.close()
    limits = {"from the cell's start": LIMIT_S, "from the notebook's appearance after a reload": LIMIT_S} | {
        _started(depth): STEP_LIMIT_S for depth in DEPTHS
    }
    rows = [
        (
            name,
            f"{Spread.of(seconds):.1f}",
            verdict(Spread.of(seconds).middle, most=limits[name], unit=" s") if name in limits else "",
        )
        for name, seconds in found.items()
    ]
    return Report(
        "Until the workbench is of use",
        ("seconds", "median (least to most)", "target"),
        rows or [(NO_CHROMIUM, "", "")],
        [
            f"`{CELL.format('')}` as the first cell of a new kernel, {options.rounds} times for each depth, with an "
            "empty folder of runs; so importing torch is part of it. Of use: Start can be pressed and the sums of the "
            "network stand there. Start is pressed at the defaults (fashion, the first preset) as soon as the page is "
            "of use after its reload. Verdicts on the median."
        ],
        ["ipykernel", "ipywidgets", "jupyterlab", "plotly"],
    )


def _started(depth: int) -> str:
    return f"from Start until the first step is drawn, ResNet-{depth}"


def _round(lab: Lab, browser: Any, depth: int) -> dict[str, float]:
    shutil.rmtree(lab.folder / "runs", ignore_errors=True)
    lab.shut_kernels(all_of_them=True)
    context = browser.new_context(viewport={"width": 1280, "height": 1600})
    page = context.new_page()
    page.set_default_timeout(240_000)
    network = "" if depth == DEPTHS[0] else f"rw.ResNetConfig(depth={depth})"
    page.goto(lab.write(NOTEBOOK, CELL.format(network)))
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
    begin = time.perf_counter()
    page.get_by_role("button", name="Start", exact=True).click()
    seconds[_started(depth)] = _until(page, FIRST_STEP, begin)
    context.close()
    return seconds


def _until(page: Any, condition: str, begin: float) -> float:
    page.wait_for_function(condition, polling=20)
    return time.perf_counter() - begin
