"""A real JupyterLab and a real Chromium for tests that look at the page."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest

from reswork.lab import lab_command

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), ""
)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
ROOT = Path(__file__).parents[2]
TOKEN = "reswork-browser-tests"
VIEWPORT = {"width": 1280, "height": 1600}
DIGITS = (  # a workbench whose training begins at once and is quick
    "import reswork as rw; bench = rw.Workbench(rw.ResNetConfig(depth=8, width=4), rw.datasets.digits(),"
    " rw.Recipe(steps=100_000, batch_size=64, device='cpu', precision='fp32', compile='off')); bench"
)
COMMON = "common.ipynb"
CALM = """import faulthandler, os, signal, time
from torch.optim.optimizer import register_optimizer_step_post_hook
if "calm" not in globals():
    calm = register_optimizer_step_post_hook(lambda *_: time.sleep(0.005))
    faulthandler.register(signal.SIGUSR1, open(f"{os.getpid()}.stacks", "w"), all_threads=True)
"""  # what trains here leaves the processor to the page and to other tests after each step; `tell` asks what it does
CLEARED = """
import ipywidgets
import reswork as rw
for run in rw.active_runs():
    run.stop()
    run.wait()
for name, value in list(globals().items()):
    if isinstance(value, ipywidgets.Widget):
        value.close()
        del globals()[name]
ipywidgets.Widget.close_all()
"""

ERROR = ".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr']"  # or a warning

LONG_S = 300.0  # what a busy machine may take; nobody waits for it who need not
FAILED = pytest.StashKey[bool]()


def pytest_itemcollected(item: pytest.Item) -> None:
    item.add_marker(pytest.mark.browser)
    item.add_marker(pytest.mark.timeout(900))  # other tests run beside it
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

    def kernel(self, name: str) -> str:
        """The kernel of a notebook."""
        (kernel,) = [each["kernel"]["id"] for each in self.api("sessions") if each["path"] == name]
        return str(kernel)

    def api(self, path: str, method: str = "GET") -> Any:
        request = urllib.request.Request(f"{self.url}/api/{path}?token={TOKEN}", method=method)
        with urllib.request.urlopen(request, timeout=LONG_S) as answer:
            body = answer.read()
        return json.loads(body) if body else None

    def shut_kernels(self, *, all_of_them: bool = False) -> None:
        """End the kernels; that of the common notebook stays, if not all are meant."""
        for session in self.api("sessions"):
            if all_of_them or session["path"] != COMMON:
                self.api(f"sessions/{session['id']}", "DELETE")


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with running_lab(tmp_path_factory.mktemp("lab")) as lab:
        yield lab


@contextmanager
def running_lab(folder: Path) -> Iterator[Lab]:
    """A JupyterLab of its own, started as ``reswork lab`` starts it, with its settings and runs in the folder."""
    settings = folder / "settings"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
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
    arguments = ["--no-browser", f"--port={port}", "--port-retries=0", f"--IdentityProvider.token={TOKEN}"]
    command, environment = lab_command(arguments, environment, folder)
    server = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
    lab = Lab(folder, port)
    for _ in range(4 * int(LONG_S)):
        try:
            lab.api("status")
            break
        except OSError:
            time.sleep(0.25)
    else:
        raise RuntimeError(f"JupyterLab did not start: {(folder / 'lab.log').read_text()[-2000:]}")
    try:
        yield lab
        lab.shut_kernels(all_of_them=True)
    finally:
        server.terminate()
        server.wait(LONG_S)
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


@contextmanager
def pages_of(browser: Any, lab: Lab) -> Iterator[Any]:
    """A context whose pages share JupyterLab's scripts, which are fetched and compiled once."""
    context = browser.new_context(viewport=VIEWPORT)
    context.set_default_timeout(1000 * LONG_S)
    context.said = []  # on the consoles of its pages
    context.on("console", lambda message: context.said.append(f"{message.type}: {message.text[:300]}"))
    context.on("page", _asked_seldom)
    yield context
    context.close()


def _asked_seldom(page: Any) -> None:
    """Ask every tenth of a second, not in each frame: that makes Chromium draw sixty times a second while it waits."""
    page.wait_for_function = partial(page.wait_for_function, polling=100)


@pytest.fixture(scope="session")
def context(browser: Any, lab: Lab) -> Iterator[Any]:
    with pages_of(browser, lab) as context:
        yield context


@pytest.fixture
def open_page(context: Any, lab: Lab, request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """Open an address on a page of its own; pages and kernels end with the test, and it is told if it failed."""

    def open_(address: str, width: int = VIEWPORT["width"], height: int = VIEWPORT["height"]) -> Any:
        page = context.new_page()
        page.set_viewport_size({"width": width, "height": height})
        page.goto(address)
        page.wait_for_selector(".jp-NotebookPanel .jp-Cell")
        return page

    context.said.clear()
    yield open_
    if FAILED in request.node.stash:
        tell(lab, context)
    for page in context.pages:
        page.close()
    lab.shut_kernels()


class Bench:
    """One notebook with one cell, its page and its kernel, for all tests that need none of their own.

    It costs a tenth of a new kernel, which imports torch, and of a new page. After a test that failed it begins anew.
    """

    def __init__(self, lab: Lab, context: Any) -> None:
        self.lab, self.context, self.page = lab, context, None

    def show(self, *lines: str, errors: int = 0) -> Any:
        """The page, once these lines have shown a workbench or what else has plots, and so many errors."""
        if self.page is None:
            self.lab.write(COMMON, "")
            self._open()
            wait_for_kernel(self.page)
        self.page.set_viewport_size(VIEWPORT)
        choose_theme(self.page, "JupyterLab Light")
        self.run(CALM + "\n".join(lines), errors)
        self.page.wait_for_selector(".reswork .reswork-sums, .reswork-card, .reswork-plot", state="attached")
        return self.page

    def in_another_tab(self) -> Any:
        """Close the page, and open the notebook on a new one."""
        assert self.page is not None
        self.page.close()
        self._open()
        return self.page

    def _open(self) -> None:
        self.page = self.context.new_page()
        self.page.goto(self.lab.address(COMMON))
        self.page.wait_for_selector(".jp-NotebookPanel .jp-Cell")

    def run(self, code: str, errors: int = 0) -> None:
        """Put code into the cell, and wait until it has run and its errors, if any, are on the page."""
        assert self.page is not None
        count = "() => document.querySelector('.jp-CodeCell .jp-InputPrompt').innerText"
        before = self.page.evaluate(count)
        self.page.locator(".jp-CodeCell .cm-content").first.click()
        self.page.keyboard.press("Control+a")
        self.page.keyboard.insert_text(code)
        self.page.keyboard.press("Control+Enter")
        self.page.wait_for_function(
            f"before => {{ const now = ({count})(); return /\\d/.test(now) && now !== before; }}", arg=before
        )
        told = self.page.locator(ERROR, has_text="Traceback (most recent call last)")
        if errors:
            told.nth(errors - 1).wait_for()
        assert told.count() == errors, told.all_inner_texts()

    def clear(self) -> None:
        """Stop what trains, close what is shown, and remove all runs."""
        if self.page is not None:
            self.run(CLEARED)
        shutil.rmtree(self.lab.folder / "runs", ignore_errors=True)

    def leave(self) -> None:
        """Give up page and kernel."""
        if self.page is not None:
            self.page.close()
            self.page = None
        self.lab.shut_kernels(all_of_them=True)


@pytest.fixture(scope="session")
def common(browser: Any, lab: Lab) -> Iterator[Bench]:
    with pages_of(
        browser, lab
    ) as context:  # of its own: two pages of one context are two workspaces of JupyterLab
        yield Bench(lab, context)


@pytest.fixture
def bench(common: Bench, request: pytest.FixtureRequest) -> Iterator[Bench]:
    """The common page, with nothing on it and no runs."""
    common.context.said.clear()
    shutil.rmtree(common.lab.folder / "runs", ignore_errors=True)
    yield common
    if FAILED in request.node.stash:
        tell(common.lab, common.context)
        common.leave()
    else:
        common.clear()


def tell(lab: Lab, context: Any) -> None:
    """What a person would look at first after a failure."""
    print(
        f"{lab.api('sessions')}\n",
        *(line for line in context.said if line.startswith(("error", "warning"))),
        sep="\n",
    )
    print((lab.folder / "lab.log").read_text()[-3000:])
    for stacks in lab.folder.glob("*.stacks"):
        with contextlib.suppress(psutil.Error):
            kernel = psutil.Process(int(stacks.stem))
            if Path(kernel.cwd()) != lab.folder.resolve():
                continue  # it has ended, and another has its number
            kernel.send_signal(signal.SIGUSR1)
            time.sleep(1)
            print(f"--- what kernel {stacks.stem} does", stacks.read_text()[-8000:], sep="\n")
    for page in context.pages:
        print(f"--- {page.url}\n{page.evaluate('() => document.body.innerText')[:3000]}")


def notebook_of(page: Any) -> str:
    """The name of the open notebook."""
    return str(page.url.split("/tree/")[1].split("?")[0])


def wait_for_kernel(page: Any) -> None:
    """Wait until the open notebook has its kernel; earlier commands would bring a dialog."""
    name = notebook_of(page)
    origin = page.url.split("/lab/")[0]

    def is_idle() -> bool:
        sessions = page.request.get(f"{origin}/api/sessions?token={TOKEN}", timeout=1000 * LONG_S).json()
        return any(s["path"] == name and s["kernel"]["execution_state"] == "idle" for s in sessions)

    until(page, is_idle)
    page.wait_for_timeout(500)
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status='idle']", state="attached")


def run_all(page: Any) -> None:
    """Run all cells of the open notebook, once its kernel is there."""
    wait_for_kernel(page)
    page.locator(".jp-Notebook .jp-Cell").first.click()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()


def until(page: Any, condition: Callable[[], Any], what: str = "it") -> None:
    """Wait for what only Python can ask."""
    end = time.monotonic() + LONG_S
    while not condition():
        assert time.monotonic() < end, f"{what} did not happen in time"
        page.wait_for_timeout(100)


def until_is(page: Any, found: Callable[[], Any], expected: Any, what: str = "it") -> None:
    """Wait until something is as expected; otherwise what it is to the end is told."""
    end = time.monotonic() + LONG_S
    while (last := found()) != expected:
        assert time.monotonic() < end, f"{what} stays {last!r}, not {expected!r}"
        page.wait_for_timeout(100)


def click_until(page: Any, target: Any, condition: Callable[[], Any]) -> None:
    """Click into the middle of a part of a plot, again where a redraw has moved it meanwhile, as a person would."""
    end = time.monotonic() + LONG_S
    while time.monotonic() < end:
        target.scroll_into_view_if_needed()
        box = target.bounding_box()
        if box is not None:
            page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        for _ in range(30):
            if condition():
                return
            page.wait_for_timeout(100)
    raise AssertionError("clicked in vain")


def reload(page: Any) -> None:
    """Again, as a person does it, where ipywidgets lost the widgets: it waits seconds for the kernel, not longer."""
    shown, lost = ".reswork .reswork-bar", "Error displaying widget: model not found"
    for _ in range(5):
        page.reload()
        page.wait_for_function(
            "([s, lost]) => document.querySelector(s) || document.body.innerText.includes(lost)",
            arg=[shown, lost],
        )
        if page.locator(shown).count():
            return
    page.wait_for_selector(shown)


def save(page: Any, folder: Path) -> None:
    """Save the open notebook; returns when its file has the outputs that are on the page."""
    path = folder / notebook_of(page)
    before = path.stat().st_mtime_ns
    page.keyboard.press("Control+s")
    for _ in range(4 * int(LONG_S)):
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
