"""Segmentation in a real browser while it trains: curves, IoU of each class, masks over pictures, light and dark."""

import io

import numpy as np
from PIL import Image

from tests.browser.conftest import choose_theme, until
from tests.browser.test_inspector import METHODS, NOTHING_CUT, PIXELS, STRIP, newest_moment
from tests.browser.test_workbench import press, wait_state, wait_step

TITLES = "() => [...document.querySelectorAll('.reswork-grid .ytitle')].map(e => e.textContent)"
BARS = "() => document.querySelectorAll('.reswork-grid .barlayer .point').length"
CURVE = (  # points of the marked line of a plot by the title of its y axis
    "title => { const plot = [...document.querySelectorAll('.reswork-grid .reswork-plot')]"
    "   .find(e => e.querySelector('.ytitle') && e.querySelector('.ytitle').textContent.startsWith(title));"
    " return plot ? plot.querySelectorAll('.scatterlayer .point').length : 0; }"
)
ROWS = "() => document.querySelectorAll('.reswork-methods .reswork-trust tr').length"


SHOW = (
    "import reswork as rw",
    "data = rw.datasets.scenes(train=200, test=40, size=32)",
    "bench = rw.Workbench(rw.ResNetConfig(depth=8), data, rw.Recipe(steps=5_000, batch_size=16, optimizer='adamw',"
    " learning_rate=0.005, schedule='constant', compile='off')); bench",
)


def coloured(page, selector: str) -> float:
    """Share of the pixels of a part of the page that have a strong colour: masks lie over images in grey."""
    picture = np.asarray(
        Image.open(io.BytesIO(page.locator(selector).first.screenshot())).convert("RGB"), np.int16
    )
    return float((picture.max(2) - picture.min(2) > 60).mean())


def wait_for_another_moment(page) -> None:
    before = newest_moment(page)
    until(page, lambda: newest_moment(page) > before)


def test_masks_are_followed_while_they_are_learned(bench) -> None:
    page = bench.show(*SHOW)
    assert "U-Net on ResNet-8" in page.locator(".reswork-sums").inner_text()
    press(page, "Data")
    page.locator(".reswork", has_text="classes of pixels").wait_for()
    press(page, "Start")
    wait_state(page, "running")
    wait_step(page, 40)
    for theme in ("JupyterLab Light", "JupyterLab Dark"):
        choose_theme(page, theme)
        press(page, "Train")
        until(page, lambda: page.evaluate(CURVE, "mean IoU") >= 3)
        until(page, lambda: {"mean IoU, %", "IoU, %"} <= {*page.evaluate(TITLES)})
        assert not any("accuracy" in each for each in page.evaluate(TITLES))
        until(page, lambda: page.evaluate(BARS) >= 1)
        press(page, "Inspect")
        until(page, lambda: newest_moment(page) > 0)
        wait_for_another_moment(page)
        until(page, lambda: page.evaluate(PIXELS, STRIP)[1] > 50)
        until(page, lambda: coloured(page, STRIP) > 0.02)
        page.locator(".reswork-legend:visible").first.wait_for()
        until(page, lambda: page.evaluate(PIXELS, ".reswork-masks")[1] > 20)
        page.locator(".reswork", has_text="Mean IoU of this picture").wait_for()
        assert "wrong." not in page.locator(".reswork").inner_text()
        page.wait_for_function(NOTHING_CUT)
    press(page, "Pause")  # a new snapshot would begin the maps anew
    wait_state(page, "paused")
    press(page, "Attributions")
    press(page, "Explain")
    until(page, lambda: page.evaluate(ROWS) == 9)  # a head and eight methods
    until(page, lambda: page.evaluate(PIXELS, METHODS)[1] > 50)
