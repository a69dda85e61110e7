"""The main job in a real browser: drag the depth, start, watch, steer, reload, stop, start again."""

import base64
import io
import json
import time

import nbformat
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image

import reswork as rw
from tests.browser.conftest import COMMON, ROOT, choose_theme, reload, run_all, save, until, until_is

LOSS = ".reswork-grid .reswork-figure:nth-child(1) .scatterlayer path.js-line"
PATH = "selector => Math.max(0, ...[...document.querySelectorAll(selector)].map(p => p.getTotalLength()))"
STATE = ".reswork-state"
STEP = r"() => { const m = document.querySelector('.reswork-bar').parentElement.innerText.match(/step ([\d,]+)/);" \
       r" return m ? Number(m[1].replaceAll(',', '')) : 0; }"  # fmt: skip

FITS = (
    "() => { const box = document.querySelector('.reswork').getBoundingClientRect();"
    " const parts = [...document.querySelectorAll('.reswork-plot, .reswork button, .reswork-sums, .reswork select')];"
    " const inside = e => e.getBoundingClientRect().right <= box.right + 2;"
    " return box.width > 500 && parts.every(e => !e.offsetParent || inside(e))"
    "   && [...document.querySelectorAll('.reswork-plot')]"
    "        .every(e => !e.offsetParent || e.querySelector('.main-svg')); }"
)
APART = (
    "() => [...document.querySelectorAll('.reswork-figure')].filter(f => f.offsetParent).every(f => {"
    " const drawn = f.querySelector('.main-svg').getBoundingClientRect().bottom;"
    " return drawn > 0 && drawn <= f.querySelector('.reswork-foot').getBoundingClientRect().top + 2; })"
)
OVERLAPS = (  # pairs among the titles, legends and buttons of a plot that cover each other
    "() => [...document.querySelectorAll('.reswork-plot')].filter(p => p.offsetParent).flatMap(plot => {"
    " const parts = ['.gtitle', '.legend', '.modebar', '.cartesianlayer .plot']"
    "   .flatMap(s => [...plot.querySelectorAll(s)].map(e => [s, e.getBoundingClientRect()]))"
    "   .filter(([, r]) => r.width && r.height);"
    " const cover = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom - 1 && b.top < a.bottom - 1;"
    " return parts.flatMap(([s, a], i) => parts.slice(i + 1).filter(([, b]) => cover(a, b))"
    "   .map(([t]) => `${s} ${t} of ${plot.querySelector('.gtitle')?.textContent}`)); })"
)
EMPTY_MENUS = (
    "() => [...document.querySelectorAll('.reswork select')]"
    ".filter(s => s.offsetParent && s.selectedIndex < 0).length"
)


@pytest.fixture
def workbench(bench):
    """The workbench of notebook 03 on the page, in a folder without runs."""
    notebook = nbformat.read(ROOT / "notebooks" / "03_train_live.ipynb", as_version=4)
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    end = next(place for place, source in enumerate(code) if "rw.Workbench(" in source)
    page = bench.show(*code[: end + 1], "bench = workbench; bench")
    page.wait_for_function("() => document.querySelectorAll('.reswork-plot .main-svg').length > 1")
    return page


def press(page, label: str) -> None:
    page.locator(".reswork").get_by_role("button", name=label, exact=True).click()


def wait_state(page, state: str) -> None:
    page.wait_for_function(f"state => document.querySelector('{STATE}')?.innerText === state", arg=state)


def wait_step(page, step: int) -> None:
    page.wait_for_function(f"step => ({STEP})() >= step", arg=step)


def resting_step(page) -> int:
    """The step on the page, once it has been the same for a second."""
    steps: list[int] = []
    while len(steps) < 5 or len(set(steps[-5:])) > 1:
        steps.append(page.evaluate(STEP))
        page.wait_for_timeout(250)
    return steps[-1]


def newest_run(lab) -> rw.SavedRun:
    return rw.runs(lab.folder / "runs")[0]


def states(lab) -> list[rw.RunState]:
    return [run.state for run in rw.runs(lab.folder / "runs")]


def test_drag_start_watch_steer_reload_stop_start_again(lab, workbench) -> None:
    page = workbench
    handle = page.locator(".reswork .slider-container .noUi-handle:visible").first
    assert "ResNet-20" in page.locator(".reswork-sums").inner_text()
    box = handle.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] - 400, box["y"], steps=8)
    page.mouse.up()
    page.wait_for_function("() => document.querySelector('.reswork-sums').innerText.includes('ResNet-8')")

    press(page, "Start")
    wait_state(page, "running")
    wait_step(page, 5)
    page.wait_for_function(f"([s, n]) => ({PATH})(s) > n", arg=[LOSS, 20])
    early = page.evaluate(PATH, LOSS)
    wait_step(page, 25)
    page.wait_for_function(f"([s, n]) => ({PATH})(s) > n", arg=[LOSS, early])

    page.locator(".reswork").get_by_label("Learning rate").first.fill("0.0123")
    page.keyboard.press("Tab")
    press(page, "Set")
    until(page, lambda: any("0.0123" in json.dumps(note.details) for note in newest_run(lab).history.notes))

    press(page, "Pause")
    wait_state(page, "paused")
    held = resting_step(page)
    press(page, "Step")
    wait_step(page, held + 1)
    assert resting_step(page) == held + 1
    press(page, "Resume")
    wait_state(page, "running")
    wait_step(page, held + 10)

    save(page, lab.folder)
    reload(page)
    wait_step(page, held + 15)
    page.wait_for_function(f"([s, n]) => ({PATH})(s) > n", arg=[LOSS, 50])
    first_x = page.evaluate(
        "() => Math.min(...document.querySelector('.reswork-grid .js-plotly-plot').data[0].x)"
    )
    assert first_x <= 2, "after a reload the curve must go back to the first step"

    press(page, "Stop")
    wait_state(page, "stopped")
    until_is(page, lambda: newest_run(lab).state, rw.RunState.STOPPED)
    press(page, "Start")
    wait_state(page, "running")
    until_is(page, lambda: len(rw.runs(lab.folder / "runs")), 2)
    press(page, "Stop")
    wait_state(page, "stopped")


def test_fifty_clicks_in_a_second_start_one_run(lab, workbench) -> None:
    page = workbench
    page.evaluate(
        "() => { const b = [...document.querySelectorAll('.reswork button')].find(b => b.innerText === 'Start');"
        " for (let i = 0; i < 50; i++) b.click(); }"
    )
    wait_state(page, "running")
    wait_step(page, 3)
    assert len(rw.runs(lab.folder / "runs")) == 1
    press(page, "Stop")
    wait_state(page, "stopped")
    time.sleep(1)
    assert len(rw.runs(lab.folder / "runs")) == 1


def test_a_wrong_combination_shows_its_sentence_under_the_control(workbench) -> None:
    page = workbench
    page.get_by_text("Sizes", exact=True).click()
    page.get_by_label("Exact depth").fill("21")
    page.keyboard.press("Tab")
    message = page.locator(".reswork-error", has_text="21")
    message.wait_for()
    control = page.get_by_label("Exact depth").bounding_box()
    below = message.bounding_box()
    assert 0 <= below["y"] - (control["y"] + control["height"]) < 30
    page.get_by_label("Exact depth").fill("1202")
    page.keyboard.press("Tab")
    page.wait_for_function("() => document.querySelector('.reswork-sums').innerText.includes('ResNet-1202')")
    assert page.locator(".reswork-error:visible").count() == 0
    page.wait_for_function(APART)  # a taller drawing pushes down what is below it


def serious_findings(page, rules: list[str] | None = None) -> list[str]:
    """What axe finds in our widgets and calls serious or critical, by some rules or all."""
    options = {"resultTypes": ["violations"]} | ({"runOnly": rules} if rules else {})
    found = Axe().run(page, ".reswork", options).response["violations"]
    return [
        f"{each['id']}: {node['html'][:150]} {node['failureSummary'][:200]}"
        for each in found
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


def test_every_page_is_legible_and_accessible_in_both_themes_at_both_widths(workbench) -> None:
    page = workbench
    press(page, "Start")
    wait_step(page, 5)
    press(page, "Stop")
    wait_state(page, "stopped")
    for theme, rules in (("JupyterLab Light", None), ("JupyterLab Dark", ["color-contrast"])):
        choose_theme(page, theme)
        for width in (1280, 1920):
            page.set_viewport_size({"width": width, "height": 1600})
            for sheet in ("Build", "Data", "Recipe", "Train", "Inside", "Inspect", "Debug", "Ship"):
                press(page, sheet)
                page.wait_for_function(FITS)
                until_is(page, lambda: page.evaluate(EMPTY_MENUS), 0, f"number of empty menus on {sheet}")
                until_is(page, lambda: page.evaluate(OVERLAPS), [], f"overlaps on {sheet}")
                if width == 1280:
                    assert serious_findings(page, rules) == [], f"{sheet}, {theme}"
    choose_theme(page, "JupyterLab Light")


def reach(page, label: str, key: str, most: int) -> None:
    """Press a key until the button with this label has the focus."""
    for _ in range(most):
        page.keyboard.press(key)
        if page.evaluate("() => document.activeElement.innerText") == label:
            return
    raise AssertionError(f"{most} times {key} do not lead to {label}")


def test_the_keyboard_alone_starts_and_stops(lab, workbench) -> None:
    page = workbench
    press(page, "Build")  # from here on no mouse
    reach(page, "Start", "Shift+Tab", 60)
    page.keyboard.press("Enter")
    wait_state(page, "running")
    reach(page, "Stop", "Tab", 5)
    page.keyboard.press("Space")
    wait_state(page, "stopped")
    until_is(page, lambda: states(lab), [rw.RunState.STOPPED])
    assert page.locator(".reswork").get_by_role("button", name="Start", exact=True).is_enabled()


def test_a_second_tab_shows_and_steers_the_same_run(lab, workbench, open_page) -> None:
    page = workbench
    press(page, "Start")
    wait_state(page, "running")
    wait_step(page, 10)
    save(page, lab.folder)
    second = open_page(lab.address(COMMON))
    second.wait_for_selector(".reswork .reswork-bar")
    second.wait_for_function(f"([s, n]) => ({PATH})(s) > n", arg=[LOSS, 50])
    step = second.evaluate(STEP)
    wait_step(second, step + 3)
    press(second, "Stop")
    wait_state(second, "stopped")
    wait_state(page, "stopped")
    until_is(page, lambda: states(lab), [rw.RunState.STOPPED])
    until(page, lambda: second.evaluate(STEP) == page.evaluate(STEP))
    assert page.evaluate(STEP) >= step + 3


def test_a_saved_notebook_keeps_a_picture_and_a_new_kernel_offers_the_run(lab, workbench) -> None:
    page = workbench
    press(page, "Start")
    wait_step(page, 10)
    press(page, "Stop")
    wait_state(page, "stopped")
    kept: list[dict[str, str]] = []

    def has_kept_the_end() -> bool:
        save(page, lab.folder)
        kept[:] = [
            output["data"]
            for cell in nbformat.read(lab.folder / COMMON, as_version=4).cells
            for output in cell.get("outputs", [])
            if "text/html" in output.get("data", {})
        ]
        return bool(kept) and "stopped, step" in kept[-1]["text/plain"]

    until(page, has_kept_the_end, "a picture of the end in the file")
    picture = Image.open(
        io.BytesIO(base64.b64decode(kept[-1]["text/html"].split("base64,")[1].split('"')[0]))
    )
    assert (
        sum(count for count, colour in picture.convert("RGB").getcolors(10**6) if colour == (0, 114, 178))
        > 200
    )

    lab.shut_kernels(all_of_them=True)
    page.reload()
    page.wait_for_selector(".jp-NotebookPanel .jp-Cell")
    run_all(page)
    page.get_by_role("button", name="Show it").click()
    wait_state(page, "stopped")
    page.wait_for_function(f"([s, n]) => ({PATH})(s) > n", arg=[LOSS, 50])
