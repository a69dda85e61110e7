"""A server's view in a real browser: it follows what is asked elsewhere, light and dark, and tells the end."""

import os
import re

from tests.browser.conftest import choose_theme, until

SHOW = (
    "import time, torch, reswork as rw; torch.manual_seed(0); data = rw.datasets.digits()",
    "from concurrent.futures import ThreadPoolExecutor; from pathlib import Path",
    "made = rw.export(rw.resnet(depth=8, width=4, in_channels=1), 'shipped', data=data, examples=64)",
    "server = rw.serve(made); files = sorted((made.folder / 'examples').iterdir())",
    "def ask():",
    "    for k in range(400):",
    "        server.ask(files[k % 64] if k % 9 else [files[k % 64]] * 8)",
    "    while not Path('stop').exists():",
    "        time.sleep(0.05)",
    "    server.stop()",
    "pool = ThreadPoolExecutor(1)",
    "asked = pool.submit(ask)",
    "bench = rw.live(server); bench",
)
PICTURES = os.environ.get("RESWORK_PICTURES")  # a folder for screenshots, for whoever wants to look


def number(page, name: str) -> str:
    cell = page.locator(".reswork-sums div").filter(has_text=re.compile(f"^{name}"))
    return cell.locator("b").inner_text() if cell.count() else ""


def test_a_server_is_watched_while_others_ask(bench) -> None:
    page = bench.show(*SHOW)
    until(page, lambda: number(page, "requests") == "400")  # told by the view's own looks
    page.wait_for_selector(".reswork-figure .scatterlayer .js-line")
    assert number(page, "failed") == "0" and number(page, "deployments that succeeded") == "1 of 1 (100%)"
    until(page, lambda: page.locator(".reswork-figure .barlayer .point").count() == 3)
    for theme in ("JupyterLab Light", "JupyterLab Dark"):
        choose_theme(page, theme)
        if PICTURES:
            page.screenshot(path=f"{PICTURES}/server-{theme.split()[1].lower()}.png")
    (bench.lab.folder / "stop").touch()
    until(page, lambda: page.locator(".reswork-error").filter(has_text="has stopped").count() == 1)
