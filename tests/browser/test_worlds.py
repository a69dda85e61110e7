"""The choice at the top in a real browser: another world, a training in it, a reload, and back."""

from tests.browser.conftest import reload, save, until
from tests.browser.test_workbench import press, wait_state

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
