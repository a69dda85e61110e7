"""The choice at the top in a real browser: another world, a training in it, a reload, and back."""

from tests.browser.conftest import choose_theme, reload, save, until
from tests.browser.test_segmentation import coloured
from tests.browser.test_workbench import press, wait_state, wait_step

TABS = "() => [...document.querySelectorAll('.reswork .widget-toggle-buttons button')].map(e => e.innerText.trim())"


def work(page) -> str:
    shown = str(page.get_by_label("Work", exact=True).evaluate("e => e.selectedOptions[0].innerText"))
    return shown.replace("\xa0", " ")


def test_one_choice_turns_the_page_and_a_reload_keeps_it(lab, bench) -> None:
    page = bench.show("import reswork as rw", "bench = rw.Workbench(first_steps=False); bench")
    assert work(page) == "Pictures: a class each" and "Debug" in page.evaluate(TABS)
    page.get_by_label("Work", exact=True).select_option(label="Tables: a class or a value for each row")
    until(page, lambda: "Table ResNet-8" in page.locator(".reswork-sums").inner_text())
    until(page, lambda: "Debug" not in page.evaluate(TABS))
    press(page, "Data")
    page.locator(".reswork-rows td").first.wait_for()
    press(page, "Start")
    wait_state(page, "finished")
    press(page, "Inspect")
    page.locator(".reswork", has_text="Test answers of the network after").wait_for()
    save(page, lab.folder)
    reload(page)
    until(page, lambda: page.get_by_label("Work", exact=True).count() == 1)
    until(page, lambda: work(page) == "Tables: a class or a value for each row")
    press(page, "Try simple methods")
    page.locator(".reswork-rows", has_text="logistic regression").wait_for()
    page.get_by_label("Work", exact=True).select_option(label="Pictures: a class each")
    until(page, lambda: "Debug" in page.evaluate(TABS))
    press(page, "Build")
    until(page, lambda: "ResNet-20" in page.locator(".reswork-sums").inner_text())


def test_words_that_spoke_for_an_answer_are_coloured_while_texts_are_learned(bench) -> None:
    page = bench.show(
        "import reswork as rw",
        "data = rw.datasets.load('languages').subset(train=400, test=60)",
        "recipe = rw.Recipe(steps=5_000, batch_size=16, device='cpu', compile='off')",
        "bench = rw.Workbench(rw.config_for(data, depth=8, width=4), data, recipe, first_steps=False); bench",
    )
    press(page, "Start")
    wait_state(page, "running")
    wait_step(page, 10)
    press(page, "Inspect")
    until(page, lambda: page.locator(".reswork-texts p").count() == 8)
    assert "wrong, it is" in page.locator(".reswork-texts").inner_text()
    own = page.get_by_placeholder("write it, press Enter")
    own.fill("Schweizer Franken")
    own.press("Enter")
    until(page, lambda: page.locator(".reswork-texts p").first.inner_text() == "Schweizer\xa0Franken")
    for theme in ("JupyterLab Light", "JupyterLab Dark"):
        choose_theme(page, theme)
        until(page, lambda: coloured(page, ".reswork-texts p") > 0.02)
    press(page, "Stop")
    wait_state(page, "stopped")
