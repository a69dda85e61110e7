"""The workbench's main path in other front ends: start, curve, stop. ``make test-frontends`` installs and tries them.

Named so that the ordinary tests, whose environment has none of them, do not collect it.
"""

import os
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import reswork as rw
from tests.browser.conftest import DIGITS, ROOT, TOKEN, Lab, until
from tests.browser.test_workbench import LOSS, PATH, press, wait_state, wait_step

CELLS = ("import reswork as rw; print(rw.doctor())", DIGITS)
PROXY = shutil.which("configurable-http-proxy")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def surroundings(folder: Path) -> dict[str, str]:
    """The environment of a server whose settings and caches lie in the folder."""
    places = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_RUNTIME_DIR": "runtime", "JUPYTERLAB_SETTINGS_DIR": "settings",
              "RESWORK_CACHE": "cache", "RESWORK_CONFIG": "chosen", "HOME": "home"}  # fmt: skip
    return (
        os.environ | {"PYTHONPATH": str(ROOT)} | {name: str(folder / place) for name, place in places.items()}
    )


@contextmanager
def served(command: list[str], folder: Path, address: str) -> Iterator[None]:
    """Run a server until the end of the block; it answers at the address before the block begins."""
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(command, env=surroundings(folder), cwd=folder, stdout=log, stderr=log)
        try:
            for _ in range(240):
                try:
                    urllib.request.urlopen(address, timeout=5).close()
                    break
                except OSError as error:
                    if isinstance(error, urllib.error.HTTPError) and error.code == 403:
                        break  # Voila answers; a 404 comes from a proxy that knows no hub yet
                    assert server.poll() is None, (folder / "server.log").read_text()[-3000:]
                    server_wait(server)
            else:
                raise AssertionError((folder / "server.log").read_text()[-3000:])
            yield
        finally:
            server.terminate()
            try:
                server.wait(60)  # JupyterHub ends its users' servers first
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def server_wait(server: subprocess.Popen[bytes]) -> None:
    """Half a second, or less where the server ends."""
    try:
        server.wait(0.5)
    except subprocess.TimeoutExpired:
        return


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    yield from opened(browser)


@pytest.fixture
def second_page(browser: Any) -> Iterator[Any]:
    """A page of another person: nothing is shared with the first."""
    yield from opened(browser)


def opened(browser: Any) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1280, "height": 1600})
    page = context.new_page()
    page.set_default_timeout(120_000)
    yield page
    context.close()


def run_cells(page: Any) -> None:
    """Run all cells by the menu, once the kernel is there."""
    page.wait_for_selector(".jp-Notebook .jp-Cell")
    page.wait_for_function(
        "async base => { const mark = document.cookie.match(/_xsrf=([^;]*)/)?.[1] ?? '';"
        " const found = await (await fetch(base + 'api/sessions', { headers: { 'X-XSRFToken': mark } })).json();"
        " return found.some(session => session.kernel?.execution_state === 'idle'); }",
        arg=page.evaluate(
            "() => JSON.parse(document.getElementById('jupyter-config-data').textContent).baseUrl"
        ),
        polling=500,
    )
    for _ in range(20):  # a page that has not joined the kernel yet forgets the command
        page.locator(".jp-Notebook .jp-Cell").first.click()
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        page.wait_for_timeout(3000)
        if page.locator(".jp-CodeCell .jp-InputPrompt").first.inner_text().strip() != "[ ]:":
            return
    raise AssertionError("the cells do not run")


def start_and_see_the_curve(page: Any) -> None:
    page.wait_for_selector(".reswork .reswork-sums")
    press(page, "Start")
    wait_state(page, "running")
    wait_step(page, 20)
    page.wait_for_function(f"([s, n]) => ({PATH})(s) > n", arg=[LOSS, 50])


def stop(page: Any) -> None:
    press(page, "Stop")
    wait_state(page, "stopped")


def stopped_runs(folder: Path) -> int:
    runs = rw.runs(folder / "runs")
    assert all(run.state is rw.RunState.STOPPED and run.steps_done >= 20 for run in runs)
    return len(runs)


def test_notebook_7(tmp_path: Path, page: Any) -> None:
    pytest.importorskip("notebook")
    server = Lab(tmp_path, free_port())
    server.write("bench.ipynb", *CELLS)
    command = [sys.executable, "-m", "notebook", "--no-browser", "--allow-root", f"--port={server.port}",
               f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={tmp_path}"]  # fmt: skip
    with served(command, tmp_path, f"{server.url}/api/status?token={TOKEN}"):
        page.goto(f"{server.url}/notebooks/bench.ipynb?token={TOKEN}")
        run_cells(page)
        start_and_see_the_curve(page)
        assert "Jupyter Notebook: version 7 is tested" in page.locator(".jp-OutputArea").first.inner_text()
        stop(page)
        assert stopped_runs(tmp_path) == 1
        server.shut_kernels()


def test_voila(tmp_path: Path, page: Any) -> None:
    pytest.importorskip("voila")
    server = Lab(tmp_path, free_port())
    server.write("bench.ipynb", *CELLS)
    command = [sys.executable, "-m", "voila", "bench.ipynb", "--no-browser", f"--port={server.port}"]
    with served(command, tmp_path, f"{server.url}/is-it-there"):
        page.goto(server.url)
        start_and_see_the_curve(page)
        assert "Voila: tested" in page.locator("body").inner_text()
        stop(page)
        assert stopped_runs(tmp_path) == 1


def test_jupyterhub_with_two_users(tmp_path: Path, page: Any, second_page: Any) -> None:
    pytest.importorskip("jupyterhub")
    if PROXY is None:
        pytest.skip("configurable-http-proxy is not there: it comes from npm")
    people = {"ann": page, "bob": second_page}
    for name in people:
        (tmp_path / name).mkdir()
        Lab(tmp_path / name, 0).write("bench.ipynb", *CELLS)
    port = free_port()
    (tmp_path / "jupyterhub_config.py").write_text(f"""
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.bind_url = "http://127.0.0.1:{port}"
c.JupyterHub.hub_bind_url = "http://127.0.0.1:{free_port()}"
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{free_port()}"
c.ConfigurableHTTPProxy.command = [{PROXY!r}]
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = "{tmp_path}/{{username}}"
c.Spawner.cmd = [{sys.executable!r}, "-m", "jupyterhub.singleuser"]
c.Spawner.args = ["--allow-root"]
c.Spawner.default_url = "/lab/tree/bench.ipynb"
c.Spawner.env_keep = {sorted(surroundings(tmp_path))!r}
""")
    command = [sys.executable, "-m", "jupyterhub", "-f", str(tmp_path / "jupyterhub_config.py")]
    with served(command, tmp_path, f"http://127.0.0.1:{port}/hub/health"):
        for name, seen in people.items():
            seen.goto(f"http://127.0.0.1:{port}")
            seen.get_by_label("Username").fill(name)
            seen.get_by_label("Password").fill("secret")
            seen.get_by_role("button", name="Sign in").click()
        for seen in people.values():
            run_cells(seen)
        for seen in people.values():
            start_and_see_the_curve(seen)
        for name, seen in people.items():
            assert "JupyterHub: tested" in seen.locator(".jp-OutputArea").first.inner_text()
            stop(seen)
            until(seen, lambda name=name: stopped_runs(tmp_path / name) == 1)
