"""Operating on a trained network in a real browser: a block is deleted by a click on the drawing and put back."""

import os
import re

from tests.browser.conftest import choose_theme, click_until, until

SHOW = (
    "import torch, reswork as rw; torch.manual_seed(0); data = rw.datasets.digits()",
    "run = rw.train(rw.resnet(depth=14, width=8, in_channels=1), data,"
    " rw.Recipe(steps=120, batch_size=64, learning_rate=0.1, device='cpu', precision='fp32', compile='off'))",
    "run.wait()",
    "bench = rw.operate(run, data); display(bench)",
    "other = rw.surgery.operated(run, [rw.surgery.Reset('layer2.1'), rw.surgery.Reestimate(500)], data=data)",
    "beside = rw.compare_view(run, other, data, names=('trained', 'one block reset')); beside",
)
POINTS = ".reswork-network .scatterlayer .point"
PICTURES = os.environ.get("RESWORK_PICTURES")  # a folder for screenshots, for whoever wants to look


def shot(page, name: str) -> None:
    if PICTURES:
        page.screenshot(path=f"{PICTURES}/{name}.png")


def accuracy(page) -> float:
    found = re.search(r"([\d.]+)%", page.locator(".reswork-now").inner_text())
    return float(found.group(1)) if found else float("nan")


def legend(page) -> str:
    return page.locator(".reswork-network .legend").text_content()


def test_a_block_is_deleted_on_the_drawing_and_put_back(bench) -> None:
    page = bench.show(*SHOW)
    page.wait_for_selector(".reswork-now")
    page.wait_for_selector(".reswork-network .barlayer .point path")
    before = accuracy(page)
    assert before > 70

    block = page.locator(".reswork-network .barlayer .point path").nth(2)
    part = page.get_by_role("textbox", name="Part", exact=True)
    click_until(page, block, lambda: re.fullmatch(r"layer\d\.\d", part.input_value()))
    press = page.locator(".reswork button")
    press.filter(has_text=re.compile("^Delete$")).click()
    until(page, lambda: accuracy(page) < before - 1)
    until(
        page,
        lambda: f"branch of {part.input_value()} off" in page.locator(".reswork-operations").inner_text(),
    )
    until(page, lambda: "branch off" in legend(page))  # drawn as one of those
    shot(page, "operate-deleted-light")

    press.filter(has_text=re.compile("^Undo$")).click()
    until(page, lambda: accuracy(page) == before)
    until(page, lambda: "branch off" not in legend(page))

    points = page.locator(POINTS).count()
    page.locator(POINTS).last.click(force=True)  # the point on the last arc
    until(page, lambda: part.input_value().endswith(" shortcut"))
    press.filter(has_text=re.compile("^Delete$")).click()
    until(page, lambda: "shortcut of" in page.locator(".reswork-operations").inner_text())
    until(page, lambda: page.locator(POINTS).count() < points)  # its arc is gone
    choose_theme(page, "JupyterLab Dark")
    shot(page, "operate-shortcut-dark")
    page.locator(".reswork-operations input[type=checkbox]").first.uncheck()
    until(page, lambda: page.locator(POINTS).count() == points)
    until(page, lambda: accuracy(page) == before)

    compared = page.locator(".reswork", has=page.get_by_role("button", name="Line between both"))
    compared.get_by_role("button", name="Line between both").click()
    until(page, lambda: compared.locator(".reswork-grid").nth(1).locator("path.js-line").count() >= 4)
    until(page, lambda: "at layer2.1 by" in compared.inner_text() and "became wrong" in compared.inner_text())
    compared.scroll_into_view_if_needed()
    shot(page, "compare-dark")
    choose_theme(page, "JupyterLab Light")
    shot(page, "compare-light")
