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

DONE = "() => (document.querySelector('.reswork').innerText.match(/took [\\d.]+ s/g) || []).length"
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
        press(page, "Debug")
        press(page, "Fill")
        page.wait_for_function(f"() => ({DONE})() >= 11")
        picture(page, "debug", most=1800)
        press(page, "Ship")
        press(page, "Export")
        page.locator(".reswork b", has_text="shipped").first.wait_for()
        press(page, "Plan")
        page.locator(".reswork", has_text="as planned").first.wait_for()
        picture(page, "ship", most=1800)
        press(page, "Train")
        choose_theme(page, "JupyterLab Dark")
        picture(page, "train_dark")
        browser.close()


def press(page: Any, label: str) -> None:
    """Press a button of the workbench."""
    page.locator(".reswork").get_by_role("button", name=label, exact=True).click()


def picture(page: Any, name: str, most: float = 3200) -> None:
    """Draw the workbench as it stands into a file, from its top down to so many pixels at most."""
    page.wait_for_timeout(2500)
    workbench = page.locator(".reswork").first
    workbench.evaluate("e => e.scrollIntoView({block: 'start'})")
    box = workbench.bounding_box()
    clip = box | {"height": min(box["height"], most)}
    page.screenshot(path=PICTURES / f"{name}.png", clip=clip)


if __name__ == "__main__":
    main()
