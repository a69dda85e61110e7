"""Hostile names of classes, data sets and runs in every panel of a real page: shown as text, and no script runs."""

import json
import shutil

import pytest

from tests.browser.conftest import wait_for_kernel
from tests.browser.test_workbench import press, wait_state
from tests.hostile.hand_made_runs import good_run
from tests.hostile.names import NAMES

SHOWN = [name for name in NAMES if name.isprintable() and len(name) < 100]
PAGES = ("Build", "Data", "Recipe", "Train", "Inside", "Inspect")
CELL = """
import json, numpy as np, reswork as rw
names = json.loads({names!r})
labels = np.arange(len(names) * 8) % len(names)
images = np.random.default_rng(0).integers(0, 256, (len(labels), 8, 8), np.uint8)
data = rw.datasets.arrays(images, labels, classes=names, name=names[0], source=names[1])
workbench = rw.Workbench(rw.ResNetConfig(depth=8, width=2), data, rw.Recipe(steps=6, batch_size=16, device="cpu"))
workbench
"""
SHOW = """
from IPython.display import HTML, display
run = workbench.run
for saved in rw.runs():
    display(saved)
display(run, data, rw.doctor())
curves = rw.figures.loss_curves({n: run.history for n in names})
for figure in (rw.figures.confusion_matrix(run.history, names), curves):
    display(HTML(figure.to_html(full_html=False)))
print("all shown")
"""


@pytest.fixture
def hostile_runs(lab):
    """Runs on disk whose folders, classes, networks and errors have hostile names."""
    shutil.rmtree(lab.folder / "runs", ignore_errors=True)
    lab.shut_kernels()
    good = good_run(lab.folder / "runs")
    values = json.loads((good / "run.json").read_text())
    for number, name in enumerate(each for each in SHOWN if "/" not in each and len(each.encode()) < 100):
        path = good.parent / name
        shutil.copytree(good, path)
        changed = {
            **values,
            "model": {**values["model"], "label": name},
            "data": {**values["data"], "name": name, "classes": [name, SHOWN[0]]},
            "mode": name,
            "state": "FAILED" if number % 2 else "STOPPED",
            "error": {"type": name, "message": name} if number % 2 else None,
        }
        (path / "run.json").write_text(json.dumps(changed))
    yield
    lab.shut_kernels()
    shutil.rmtree(lab.folder / "runs", ignore_errors=True)


def test_no_script_of_a_name_runs(lab, open_page, hostile_runs) -> None:
    names = json.dumps(SHOWN)
    page = open_page(lab.write("names.ipynb", CELL.format(names=names), SHOW))
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.locator(".jp-Cell").first.click()
    run_all_but_last(page)
    page.wait_for_selector(".reswork .reswork-sums")
    press(page, "Train")
    press(page, "Start")
    wait_state(page, "finished")
    for name in PAGES:
        press(page, name)
        page.wait_for_timeout(400)
    rest = page.locator(".jp-Notebook .jp-Cell").last
    rest.click()
    page.keyboard.press("Shift+Enter")
    page.get_by_text("all shown", exact=True).wait_for()
    assert page.evaluate("() => window.__pwned") is None and not dialogs
    scripted = (
        "() => [...document.querySelectorAll('.jp-OutputArea a, .jp-OutputArea [onerror], .jp-OutputArea [onload]')]"
        ".filter(e => e.tagName !== 'A' || /javascript/i.test(e.href?.baseVal ?? e.href ?? '')).length"
    )
    assert page.evaluate(scripted) == 0
    shown = page.locator(".reswork").inner_text() + page.locator(".jp-Notebook").inner_text()
    assert shown.count("<img src=x onerror=window.__pwned=1>") > 0


def run_all_but_last(page) -> None:
    """Run the first cell, once the kernel is there."""

    wait_for_kernel(page)
    page.locator(".jp-Notebook .jp-Cell").first.click()
    page.keyboard.press("Shift+Enter")
