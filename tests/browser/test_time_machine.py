"""Looking back in a real browser, live and after: every panel turns, a film, two moments, a branch and its tree."""

import re
from typing import Any

import pytest

import reswork as rw
from tests.browser.conftest import DIGITS, choose_theme, until
from tests.browser.test_inspector import NOTHING_CUT, PIXELS
from tests.browser.test_workbench import press, wait_state, wait_step

TOLD = ".reswork-scrubber + *"
CURSORS = (  # upright lines in the three curves that are seen first
    "() => [...document.querySelectorAll('.reswork-grid .reswork-figure')].filter(f => f.offsetParent).slice(0, 3)"
    ".reduce((sum, f) => sum + f.querySelectorAll('.shapelayer path').length, 0)"
)
PICTURE = (  # of the figure in the panel's n-th column whose title begins so
    "([column, title]) => { const grid = document.querySelectorAll('.reswork-past .reswork-grid')[column];"
    " const part = grid && [...grid.children].find(p => p.querySelector('.gtitle')?.textContent.startsWith(title));"
    " const image = part && part.querySelector('image');"
    " return image ? (image.getAttribute('href') || image.getAttribute('xlink:href')) : ''; }"
)
HELD = (  # the film is held as soon as it has told four steps
    "selector => { window.seen = new Set(); const told = document.querySelector(selector);"
    " const look = () => { const step = told.innerText.match(/step [\\d,]+/i); if (step) window.seen.add(step[0]);"
    "   if (window.seen.size === 4) [...document.querySelectorAll('.reswork-scrubber button')]"
    "     .find(button => button.innerText === 'Hold')?.click(); };"
    " new MutationObserver(look).observe(told, {subtree: true, childList: true, characterData: true}); }"
)
WEIGHTS = "Filters of"
MAPS = "Feature maps"
STRIP = "Pinned pictures"


@pytest.fixture
def page(bench: Any) -> Any:
    """A workbench with a training that goes on, and has kept some moments."""
    page = bench.show(DIGITS)
    press(page, "Start")
    wait_state(page, "running")
    wait_step(page, 40)
    page.locator(".reswork-scrubber:visible").wait_for()
    return page


def told(page: Any) -> str:
    return page.locator(TOLD).first.inner_text()


def to_the_beginning(page: Any) -> None:
    """By the keyboard: the slider's handle, and its key for the least value."""
    page.locator(".reswork-scrubber .noUi-handle").focus()
    page.keyboard.press("Home")
    until(page, lambda: "shows step 0." in told(page))


def picture(page: Any, title: str, column: int = 0) -> str:
    return page.evaluate(PICTURE, [column, title])


def test_a_live_training_is_turned_back_and_goes_on(page: Any) -> None:
    until(page, lambda: page.evaluate(CURSORS) == 0 and "shows now" in told(page))
    to_the_beginning(page)
    until(page, lambda: page.evaluate(CURSORS) >= 3)  # each curve has its line at the step
    page.get_by_text("At this moment", exact=True).click()
    for title in (STRIP, MAPS, WEIGHTS):
        until(page, lambda title=title: picture(page, title))
    until(page, lambda: page.evaluate(PIXELS, ".reswork-past .reswork-grid")[1] > 20)
    first = picture(page, WEIGHTS)
    page.locator(
        ".reswork-past", has_text=re.compile(r"accuracy \d+(\.\d)?% on 500 test pictures")
    ).wait_for()

    press(page, "Inspect")
    page.locator(".reswork", has_text="The network after 0 steps").first.wait_for()
    press(page, "Train")
    for _ in range(3):
        press(page, "Later")
        page.wait_for_timeout(200)
    until(page, lambda: "shows step 0." not in told(page))
    until(page, lambda: picture(page, WEIGHTS) not in ("", first))  # its weights have changed by then

    page.get_by_label("beside another moment").check()
    until(page, lambda: picture(page, WEIGHTS, 1) not in ("", picture(page, WEIGHTS)))
    page.locator(".reswork-past", has_text="What is different on the right").wait_for()
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        choose_theme(page, theme)
        page.wait_for_function(NOTHING_CUT)

    press(page, "Now")
    until(page, lambda: "shows now" in told(page))
    until(page, lambda: page.evaluate(CURSORS) == 0)
    step = page.evaluate(
        "() => Number(document.querySelector('.reswork-scrubber .noUi-handle').ariaValueNow)"
    )
    wait_step(page, int(step) + 20)  # all the while it has trained on
    press(page, "Stop")
    wait_state(page, "stopped")


def test_the_film_plays_and_a_branch_grows_from_the_moment_where_it_is_held(lab: Any, page: Any) -> None:
    wait_step(page, 120)
    press(page, "Stop")
    wait_state(page, "stopped")
    to_the_beginning(page)
    page.evaluate(HELD, TOLD)
    press(page, "Play")
    page.wait_for_function("() => window.seen.size >= 4")
    page.locator(".reswork").get_by_role("button", name="Play", exact=True).wait_for()

    page.locator(".reswork-past").get_by_text("Branch here", exact=True).first.click()
    rate = page.locator(".reswork-past").get_by_label("Learning rate")
    rate.fill("-1")
    page.keyboard.press("Tab")
    branch = page.locator(".reswork-past button", has_text="Branch here").last
    branch.click()
    page.locator(".reswork-past .reswork-error:visible", has_text="-1").wait_for()
    assert len(rw.runs(lab.folder / "runs")) == 1
    rate.fill("0.02")
    page.keyboard.press("Tab")
    page.locator(".reswork-past").get_by_label("Shortcut off").select_option("layer2.0")
    branch.click()
    wait_state(page, "running")
    page.get_by_text("The tree of runs", exact=True).click()
    page.wait_for_function(
        "() => { const tree = [...document.querySelectorAll('.reswork-past .reswork-plot')].pop();"
        " return tree && tree.querySelectorAll('.scatterlayer path.js-line').length >= 3"
        "   && /learning_rate.*0.02/.test(tree.textContent) && /layer2.0/.test(tree.textContent); }"
    )
    page.wait_for_function(NOTHING_CUT)
    press(page, "Stop")
    wait_state(page, "stopped")
    new, old = rw.runs(lab.folder / "runs")
    assert new.parent["run"] == old.name and new.config.shortcuts_off == ("layer2.0",)
    assert new.parent["step"] in rw.moments(old).steps and new.recipe.learning_rate == 0.02
