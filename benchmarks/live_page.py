"""The same kernel behind a real JupyterLab, with headless Chromium drawing the page on this machine."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jupyter_client import BlockingKernelClient

from benchmarks.live_kernel import LiveKernel
from tests.browser.conftest import CHROMIUM, FLAGS, run_all, running_lab

NO_CHROMIUM = "not measured: there is no Chromium here"


@contextmanager
def live_page(*cells: str) -> Iterator[tuple[Any, LiveKernel]]:
    """A page on which these cells have been run, and a second client of its kernel."""
    from playwright.sync_api import sync_playwright

    with (
        tempfile.TemporaryDirectory() as folder,
        running_lab(Path(folder)) as lab,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_context(viewport={"width": 1280, "height": 1600}).new_page()
        page.set_default_timeout(240_000)
        page.goto(lab.write("benchmark.ipynb", *cells))
        page.wait_for_selector(".jp-NotebookPanel .jp-Cell")
        run_all(page)
        page.wait_for_function("() => document.querySelectorAll('.reswork-plot .main-svg').length > 1")
        client = _second_client(Path(folder) / "runtime")
        try:
            yield page, LiveKernel(client)
        finally:
            client.stop_channels()
            browser.close()


def _second_client(runtime: Path) -> BlockingKernelClient:
    newest = max(runtime.glob("kernel-*.json"), key=lambda file: file.stat().st_mtime)
    client = BlockingKernelClient(connection_file=str(newest))
    client.load_connection_file()
    client.start_channels()
    client.wait_for_ready(timeout=120)
    return client
