"""Memory of a page, and of its kernel, whose plots are refreshed thousands of times: flat."""

import json
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from tests.browser.conftest import CHROMIUM, FLAGS, run_all, running_lab

MIB = 2**20
PAUSE_S = 0.03  # between two refreshes: the page shall draw most of them
CELL = """
import gc, json, time
from pathlib import Path
import ipywidgets as w, psutil
from IPython.display import display
from reswork.widgets.page_assets import PageAssets
from tests.faults.memory import grow, long_view
view = long_view()
display(w.VBox([PageAssets(), view.plots]))
"""
FEED = """
for part in range(3):
    while not Path(f"go-{{part}}").exists():
        time.sleep(0.1)
    for number in range(part * {count} // 3, (part + 1) * {count} // 3):
        grow(view, number)
        time.sleep({pause})
    gc.collect()
    Path(f"done-{{part}}").write_text(json.dumps([psutil.Process().memory_info().rss, view.loss.numbers["revision"]]))
"""
REVISION = "() => Number(document.querySelector('.reswork-plot')?.dataset.revision ?? -1)"


def campaign(count: int, seed: int = 0) -> str:
    """So many refreshes of all plots of a run; a sentence with what was found."""
    with (
        tempfile.TemporaryDirectory() as place,
        running_lab(Path(place)) as lab,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 1600})
        page.set_default_timeout(120_000)
        page.goto(lab.write("memory.ipynb", CELL, FEED.format(count=count, pause=PAUSE_S)))
        page.wait_for_selector(".jp-NotebookPanel .jp-Cell")
        run_all(page)
        page.wait_for_function(f"() => ({REVISION})() >= 0")
        inspector = page.context.new_cdp_session(page)
        found = [_after_part(lab.folder, page, inspector, part) for part in range(3)]
        browser.close()
    (_, *first), (_, *last) = found[0], found[2]
    kernel, heap, nodes = (one - other for one, other in zip(last, first, strict=True))
    return (
        f"{found[2][0]:,} refreshes of a page with all plots of a run; in the last two thirds: the page's memory "
        f"{heap / MIB:+.1f} MiB, its nodes {nodes:+,}, the kernel's memory {kernel / MIB:+.1f} MiB."
    )


def _after_part(folder: Path, page: Any, inspector: Any, part: int) -> tuple[int, int, int, int]:
    """Refreshes so far, bytes of the kernel, bytes and nodes of the page, once it has drawn the last one."""
    (folder / f"go-{part}").touch()
    while not (folder / f"done-{part}").exists():
        page.wait_for_timeout(1000)
    time.sleep(0.5)
    kernel, revision = json.loads((folder / f"done-{part}").read_text())
    page.wait_for_function(f"revision => ({REVISION})() >= revision", arg=revision)
    page.wait_for_timeout(2000)
    for _ in range(3):
        inspector.send("HeapProfiler.collectGarbage")
    heap = inspector.send("Runtime.getHeapUsage")["usedSize"]
    nodes = inspector.send("Memory.getDOMCounters")["nodes"]
    return revision, kernel, int(heap), nodes
