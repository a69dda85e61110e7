"""A real JupyterLab and a real Chromium for tests that look at the page."""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
import pytest

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), ""
)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
ROOT = Path(__file__).parents[2]
TOKEN = "reswork-browser-tests"
DIGITS = (  # a workbench whose training begins at once and is quick
    "import reswork as rw; rw.Workbench(rw.ResNetConfig(depth=8, width=4), rw.datasets.digits(),"
    " rw.Recipe(steps=100_000, batch_size=64, device='cpu', precision='fp32', compile='off'))"
)


FAILED = pytest.StashKey[bool]()


def pytest_itemcollected(item: pytest.Item) -> None:
    item.add_marker(pytest.mark.browser)
    item.add_marker(pytest.mark.timeout(400))  # other tests run beside it
    if not CHROMIUM:
        reason = "no Chromium found: install it (Debian: apt-get install chromium) to run the browser tests"
        item.add_marker(pytest.mark.skip(reason=reason))


class Lab:
    """A running JupyterLab whose files lie in `folder`."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def write(self, name: str, *cells: str) -> str:
        """Write a notebook with these code cells; returns its address."""
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        notebook.metadata["kernelspec"] = {
            "name": "python3",
            "display_name": "Python 3",
            "language": "python",
        }
        nbformat.write(notebook, self.folder / name)
        return self.address(name)

    def address(self, name: str) -> str:
        return f"{self.url}/lab/tree/{name}?reset&token={TOKEN}"

    def api(self, path: str, method: str = "GET") -> Any:
        request = urllib.request.Request(f"{self.url}/api/{path}?token={TOKEN}", method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            body = answer.read()
        return json.loads(body) if body else None

    def shut_kernels(self) -> None:
        for session in self.api("sessions"):
            self.api(f"sessions/{session['id']}", "DELETE")

    def begin_anew(self) -> None:
        """No runs, no kernels."""
        shutil.rmtree(self.folder / "runs", ignore_errors=True)
        self.shut_kernels()


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with running_lab(tmp_path_factory.mktemp("lab")) as lab:
        yield lab


@contextmanager
def running_lab(folder: Path) -> Iterator[Lab]:
    """A JupyterLab of its own, with its settings and runs in the folder."""
    settings = folder / "settings"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    notification = settings / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    notification.parent.mkdir(parents=True)
    notification.write_text('{"fetchNews": "false", "checkForUpdates": false}')
    environment = os.environ | {
        "JUPYTERLAB_SETTINGS_DIR": str(settings),
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "PYTHONPATH": str(ROOT),
        "RESWORK_CACHE": str(folder / "cache"),
        "RESWORK_CONFIG": str(folder / "chosen"),
        "RESWORK_RUNS": str(folder / "runs"),
    }
    log = (folder / "lab.log").open("w")
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}", "--port-retries=0",
         f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={folder}"],
        env=environment, cwd=folder, stdout=log, stderr=subprocess.STDOUT,
    )  # fmt: skip
    lab = Lab(folder, port)
    for _ in range(720):
        try:
            lab.api("status")
            break
        except OSError:
            time.sleep(0.25)
    else:
        raise RuntimeError(f"JupyterLab did not start: {(folder / 'lab.log').read_text()[-2000:]}")
    try:
        yield lab
        lab.shut_kernels()
    finally:
        server.terminate()
        server.wait(20)
        log.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install '.[dev]'"
    )
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    report = yield
    if report.failed:
        item.stash[FAILED] = True
    return report


@pytest.fixture
def open_page(browser: Any, lab: Lab, request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """Open an address in a fresh page; everything is closed after the test, and told if it failed."""
    contexts = []

    def open_(address: str, width: int = 1280, height: int = 1600) -> Any:
        context = browser.new_context(viewport={"width": width, "height": height})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(f"{message.type}: {message.text[:300]}"))
        page.set_default_timeout(120_000)
        page.goto(address)
        page.wait_for_selector(".jp-NotebookPanel .jp-Cell")
        return page

    said: list[str] = []  # on the consoles of all pages
    yield open_
    if FAILED in request.node.stash:
        print(
            f"{lab.api('sessions')}\n",
            *(line for line in said if line.startswith(("error", "warning"))),
            sep="\n",
        )
        print((lab.folder / "lab.log").read_text()[-3000:])
        for page in (page for context in contexts for page in context.pages):
            print(f"--- {page.url}\n{page.evaluate('() => document.body.innerText')[:3000]}")
    for context in contexts:
        context.close()


def wait_for_kernel(page: Any) -> None:
    """Wait until the open notebook has its kernel; earlier commands would bring a dialog."""
    name = page.url.split("/lab/tree/")[1].split("?")[0]
    origin = page.url.split("/lab/")[0]
    for _ in range(240):
        sessions = page.request.get(f"{origin}/api/sessions?token={TOKEN}").json()
        if any(s["path"] == name and s["kernel"]["execution_state"] == "idle" for s in sessions):
            break
        page.wait_for_timeout(250)
    page.wait_for_timeout(500)


def run_all(page: Any) -> None:
    """Run all cells of the open notebook, once its kernel is there."""
    wait_for_kernel(page)
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status='idle']", state="attached")
    page.locator(".jp-Notebook .jp-Cell").first.click()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()


def open_workbench(lab: Lab, open_page: Callable[..., Any], name: str, *cells: str) -> Any:
    """A page with a new notebook whose cells show a workbench, in a folder without runs."""
    lab.begin_anew()
    page = open_page(lab.write(name, *cells))
    run_all(page)
    page.wait_for_selector(".reswork .reswork-sums")
    return page


def until(page: Any, condition: Callable[[], Any], seconds: float = 120.0) -> None:
    """Wait for what only Python can ask."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "did not happen in time"
        page.wait_for_timeout(300)


def save(page: Any, folder: Path) -> None:
    """Save the open notebook; returns when its file has the outputs that are on the page."""
    path = folder / page.url.split("/lab/tree/")[1].split("?")[0]
    before = path.stat().st_mtime_ns
    page.keyboard.press("Control+s")
    for _ in range(240):
        page.wait_for_timeout(250)
        with contextlib.suppress(ValueError, OSError):  # half written
            cells = nbformat.read(path, as_version=4).cells
            if path.stat().st_mtime_ns != before and any(cell.get("outputs") for cell in cells):
                return
    raise AssertionError(f"{path.name} was not saved with its outputs")


def choose_theme(page: Any, name: str) -> None:
    """Switch to 'JupyterLab Light' or 'JupyterLab Dark' by the menus, where it is not chosen already."""
    is_dark = "() => document.body.dataset.jpThemeLight === 'false'"
    if page.evaluate(is_dark) == ("Dark" in name):
        return
    page.get_by_role("menuitem", name="Settings", exact=True).click()
    page.locator(".lm-Menu-item", has_text="Theme").first.click()
    page.locator(".lm-Menu-item", has_text=re.compile(f"^{name}$")).click()
    page.wait_for_function(f"dark => ({is_dark})() === dark", arg="Dark" in name)
