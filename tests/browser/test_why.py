"""An image of a report is clicked, and why it is answered so appears below, in words and drawn; light and dark."""

import os
from pathlib import Path

from tests.browser.conftest import choose_theme, until

SHOW = (
    "import reswork as rw",
    "data = rw.datasets.digits().subset(400, 120)",
    "run = rw.train(rw.resnet(depth=8, width=4, in_channels=1), data,"
    " rw.Recipe(steps=40, batch_size=64, device='cpu', precision='fp32', compile='off'))",
    "run.wait()",
    "report = rw.report(run.model, data)",
    "list(report.fill(['mistakes']))",
    "bench = rw.debug(report=report); bench",
)
PLAIN = "(words) => !words.includes('NaN') && !words.includes('undefined') && !words.includes('&lt;')"


def test_an_image_is_clicked_and_explained(bench) -> None:
    page = bench.show(*SHOW)
    grid = page.locator(".reswork .reswork-plot .nsewdrag").first
    grid.wait_for()
    grid.scroll_into_view_if_needed()

    def opened() -> bool:
        box = grid.bounding_box()
        page.mouse.move(box["x"] + 30, box["y"] + 60)
        page.mouse.move(box["x"] + 34, box["y"] + 64)
        page.mouse.click(box["x"] + 34, box["y"] + 64)
        for _ in range(100):  # before another click, which would open another one
            if page.locator(".reswork-why").count():
                return True
            page.wait_for_timeout(100)
        return False

    until(page, opened, "the image's view")
    words = page.locator(".reswork-why-words")
    explain = page.locator(
        ".reswork-why button:enabled", has_text="Explain"
    )  # again, when all looks are there

    def is_explained() -> bool:
        text = words.inner_text()
        return explain.count() > 0 and "The answer is" in text and "margin of logits" in text

    until(page, is_explained, "the last look")
    assert page.evaluate(PLAIN, words.inner_text())
    assert page.locator(".reswork-why .reswork-error:visible").count() == 0
    drawing = page.locator(".reswork-why .reswork-plot", has_text="Margin without each block")
    until(page, lambda: drawing.locator("svg .barlayer .point").count() >= 3)
    assert page.locator(".reswork-why h3").all_inner_texts()[0] == "The answer"
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        choose_theme(page, theme)
        if folder := os.environ.get("RESWORK_SCREENSHOTS"):
            for number, heading in enumerate(page.locator(".reswork-why h3").all()):
                heading.scroll_into_view_if_needed()
                page.wait_for_timeout(700)
                page.screenshot(path=Path(folder) / f"why-{theme[11:].lower()}-{number}.png")
    page.wait_for_function(
        "() => [...document.querySelectorAll('.reswork-why .reswork-plot')]"
        ".every(plot => plot.scrollWidth <= plot.clientWidth + 2)"
    )
