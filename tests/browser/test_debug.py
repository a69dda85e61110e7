"""The page Debug in a real browser while a network trains: a report fills, a cell is clicked, a lasso makes a slice."""

import re

import pytest

from tests.browser.conftest import DIGITS, choose_theme, until
from tests.browser.test_inspector import NOTHING_CUT
from tests.browser.test_workbench import press, wait_state, wait_step

DONE = "() => (document.querySelector('.reswork').innerText.match(/took [\\d.]+ s/g) || []).length"


@pytest.fixture
def training(bench):
    """A workbench with a long training that goes on."""
    page = bench.show(DIGITS.replace("64,", "64, learning_rate=0.05, schedule='constant',"))
    press(page, "Start")
    wait_state(page, "running")
    wait_step(page, 100)
    return page


def test_a_report_fills_while_it_trains_and_answers_clicks(training) -> None:
    page = training
    press(page, "Debug")
    page.get_by_text("test images of digits", exact=False).first.wait_for()
    press(page, "Pause")  # so that the report has the processor; it goes on below
    press(page, "Fill")
    until(page, lambda: page.evaluate(DONE) >= 11)

    cells = page.locator(".reswork-plot:has(.heatmaplayer image) .nsewdrag:visible").first
    cells.scroll_into_view_if_needed()
    box = cells.bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.05, box["y"] + box["height"] * 0.05)
    told = page.locator(".widget-html-content", has_text=" are called ")
    told.first.wait_for()
    assert re.match(r"[\d,]+ images of .+ are called .+", told.first.inner_text())

    plot = page.locator(".reswork-plot:has(.modebar-btn[data-title='Lasso Select'])").first
    plot.scroll_into_view_if_needed()
    point = plot.locator(".scatterlayer .point").first.bounding_box()
    page.mouse.move(point["x"] + point["width"] / 2, point["y"] + point["height"] / 2, steps=4)
    page.wait_for_function(
        "() => [...document.querySelectorAll('.reswork-thumbnail')].some(e => !e.hidden && e.offsetWidth > 20)"
    )
    area = plot.locator(".nsewdrag").first.bounding_box()
    middle = (area["x"] + area["width"] / 2, area["y"] + area["height"] / 2)
    plot.hover()
    plot.locator(".modebar-btn[data-title='Lasso Select']").click()
    corners = ((-0.45, -0.45), (0.45, -0.45), (0.45, 0.45), (-0.45, 0.45), (-0.45, -0.4))
    for place, (x, y) in enumerate(corners):
        page.mouse.move(middle[0] + x * area["width"], middle[1] + y * area["height"], steps=5)
        if not place:
            page.mouse.down()
    page.mouse.up()
    drawn = page.get_by_text("of them right", exact=False).first
    drawn.wait_for()
    assert re.search(r"[1-9]\d* images", drawn.inner_text())
    page.get_by_placeholder("what they have in common").fill("<b>middle")
    press(page, "Keep as a slice")
    page.locator(".widget-html-content li b", has_text="<b>middle").wait_for()

    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        choose_theme(page, theme)
        page.wait_for_function(NOTHING_CUT)
    press(page, "Resume")
    wait_state(page, "running")
