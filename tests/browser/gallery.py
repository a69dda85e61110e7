"""The README's pictures, from a real JupyterLab in a real Chromium: ``make gallery``.

A short training of ResNet-20 runs; its pages are drawn into ``docs/pictures``.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.browser.conftest import CHROMIUM, FLAGS, ROOT, choose_theme, run_all, running_lab

PICTURES = ROOT / "docs" / "pictures"


def main() -> None:
    """Make all pictures."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        running_lab(Path(folder)) as lab,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_context(viewport={"width": 1280, "height": 3200}).new_page()
        page.set_default_timeout(240_000)
        page.goto(lab.write("gallery.ipynb", "import reswork as rw", "rw.Workbench()"))
        page.wait_for_selector(".jp-NotebookPanel .jp-Cell")
        run_all(page)
        page.wait_for_function("() => document.querySelectorAll('.reswork-plot .main-svg').length > 1")
        press(page, "Got it")  # the first steps
        picture(page, "build")
        press(page, "Data")
        picture(page, "data")
        press(page, "Start")
        page.wait_for_function(
            "() => document.querySelector('.reswork-state')?.innerText === 'finished'", timeout=1_200_000
        )
        last = page.evaluate(
            "() => document.querySelector('.reswork').innerText.match(/step ([\\d,]+) of/)[1]"
        )
        picture(page, "train")
        press(page, "Inspect")
        page.locator(".reswork", has_text=f"The network after {last} steps").first.wait_for()
        press(page, "Attributions")
        press(page, "Explain")
        page.wait_for_function("() => document.querySelectorAll('.reswork-trust tr').length === 9")
        picture(page, "inspect")
        press(page, "Train")
        choose_theme(page, "JupyterLab Dark")
        picture(page, "train_dark")
        browser.close()


def press(page: Any, label: str) -> None:
    """Press a button of the workbench."""
    page.locator(".reswork").get_by_role("button", name=label, exact=True).click()


def picture(page: Any, name: str) -> None:
    """Draw the workbench as it stands into a file."""
    page.wait_for_timeout(2500)
    page.locator(".reswork").first.screenshot(path=PICTURES / f"{name}.png")


if __name__ == "__main__":
    main()
