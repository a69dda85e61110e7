"""Looking inside in a real browser, while a training runs: blocks, methods, an erased part, the film strip."""

import io
import re

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import TimeoutError as TooLate

from tests.browser.conftest import DIGITS, choose_theme, click_until, until
from tests.browser.test_workbench import PATH, press, wait_state, wait_step

PIXELS = (  # different colours in the picture of a figure
    "selector => { const image = document.querySelector(selector + ' image');"
    " return image ? new Promise(done => { const load = new Image(); load.onload = () => {"
    "   const canvas = document.createElement('canvas'); canvas.width = load.width; canvas.height = load.height;"
    "   const pen = canvas.getContext('2d'); pen.drawImage(load, 0, 0);"
    "   const data = pen.getImageData(0, 0, load.width, load.height).data; const seen = new Set();"
    "   for (let i = 0; i < data.length; i += 4)"
    "     if (data[i + 3]) seen.add(data[i] * 65536 + data[i + 1] * 256 + data[i + 2]);"
    "   done([load.width, seen.size]); }; load.onerror = () => done([0, 0]);"
    "   load.src = image.getAttribute('href') || image.getAttribute('xlink:href'); })"
    " : [0, 0]; }"
)
CUT = (  # what stands out of the page at the right
    "() => { const box = document.querySelector('.reswork').getBoundingClientRect();"
    " return [...document.querySelectorAll('.reswork-plot, .reswork button, .reswork-trust')]"
    "   .filter(e => e.offsetParent && !(e.getBoundingClientRect().right <= box.right + 2))"
    "   .map(e => `${e.className}, ${e.getBoundingClientRect().right} of ${box.right}: ${e.innerText.slice(0, 60)}`); }"
)
NOTHING_CUT = f"() => ({CUT})().length === 0"
STRIP = ".reswork-film .reswork-figure"
MAPS = ".reswork-maps .reswork-figure"
METHODS = ".reswork-methods .reswork-figure"


@pytest.fixture
def training(bench):
    """A workbench on digits with a long training that goes on, and nothing else."""
    page = bench.show(DIGITS.replace("64,", "64, learning_rate=0.05, schedule='constant',"))
    press(page, "Start")
    wait_state(page, "running")
    wait_step(page, 20)
    return page


def newest_moment(page) -> int:
    found = re.search(r"moments from step \d+ to (\d+)", page.locator(".reswork-film").inner_text())
    return int(found.group(1)) if found else 0


def answer(page) -> str:
    return page.locator(".reswork-answer").inner_text()


def upload(page, name: str, content: bytes) -> None:
    with page.expect_file_chooser() as chosen:
        page.locator(".reswork button", has_text="Upload").click()
    chosen.value.set_files({"name": name, "mimeType": "", "buffer": content})


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def test_looking_inside_while_it_trains(training) -> None:
    page = training
    press(page, "Inspect")
    page.wait_for_function("() => document.querySelectorAll('.reswork-answer span').length >= 6")
    until(page, lambda: page.evaluate(PIXELS, STRIP)[1] > 20)
    first = newest_moment(page)
    until(page, lambda: newest_moment(page) > first)  # it grows

    page.get_by_label("keep up with the training").uncheck()
    until(page, lambda: page.evaluate(PIXELS, MAPS)[1] > 5)
    maps = page.locator(".reswork-maps")
    block = page.locator(".reswork-network .barlayer .point path").nth(1)
    click_until(page, block, lambda: re.search(r"layer[12]\.0", maps.inner_text()))

    before = answer(page)
    sketch = page.locator(".reswork-sketch canvas")
    sketch.scroll_into_view_if_needed()
    canvas = sketch.bounding_box()
    page.mouse.move(canvas["x"] + 60, canvas["y"] + 60)
    page.mouse.down()
    page.mouse.move(canvas["x"] + 160, canvas["y"] + 160, steps=6)
    page.mouse.up()
    page.wait_for_function("old => document.querySelector('.reswork-answer').innerText !== old", arg=before)

    upload(page, "notes.txt", b"no picture")
    refused = page.locator(".reswork-error:visible", has_text="choose a PNG")
    refused.wait_for()
    before = answer(page)
    upload(page, "own.png", png(np.arange(900, dtype=np.uint8).reshape(30, 30)))
    page.wait_for_function("old => document.querySelector('.reswork-answer').innerText !== old", arg=before)
    assert refused.count() == 0

    press(page, "Attributions")
    press(page, "Explain")
    page.wait_for_function("() => document.querySelectorAll('.reswork-trust tr').length === 9")
    until(page, lambda: page.evaluate(PIXELS, METHODS)[1] > 50)
    press(page, "Check trust")
    page.wait_for_selector(
        ".reswork-trust .reswork-passed, .reswork-trust .reswork-failed, .reswork-trust .reswork-doubtful"
    )

    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        choose_theme(page, theme)
        try:
            page.wait_for_function(NOTHING_CUT)
        except TooLate as error:
            raise AssertionError(f"{theme}: {page.evaluate(CUT)}") from error
    press(page, "Stop")
    wait_state(page, "stopped")


def test_recorders_start_and_stop_on_the_page_and_their_plots_are_drawn(training) -> None:
    page = training
    press(page, "Inside")
    lines = ".reswork-grid .reswork-figure:nth-child(1) .scatterlayer path.js-line"
    visible = ".reswork-inside " + lines
    page.wait_for_function(f"([s, n]) => ({PATH})(s) > n", arg=[visible, 50])
    page.get_by_text("Recorders: what is measured", exact=False).click()
    page.wait_for_function(
        "() => / ms · [\\d.]+ %/.test(document.querySelector('.reswork-inside').innerText)"
    )
    tick = page.get_by_role("checkbox", name="gradient noise scale")
    tick.uncheck()
    page.wait_for_function(
        "() => { const row = [...document.querySelectorAll('.reswork-inside .widget-hbox')]"
        "   .find(r => r.innerText.startsWith('gradient noise scale'));"
        " return row && !row.innerText.includes(' ms'); }"
    )
    tick.check()
    press(page, "Stop")
    wait_state(page, "stopped")
