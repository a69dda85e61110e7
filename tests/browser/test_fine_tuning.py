"""Frozen layers and rates by layer, written into the form by a person and told while it trains."""

from pathlib import Path

from tests.browser.conftest import choose_theme, open_workbench, until

CELLS = (
    "import reswork as rw",
    "bench = rw.Workbench(rw.ResNetConfig(depth=8, width=4, in_channels=1), rw.datasets.digits()); bench",
)


def test_frozen_layers_are_written_into_the_form_and_told(lab, open_page, tmp_path: Path) -> None:
    page = open_workbench(lab, open_page, "fine_tuning.ipynb", *CELLS)
    bench = page.locator(".reswork")
    bench.get_by_role("button", name="Recipe", exact=True).click()
    bench.get_by_text("Fine-tuning", exact=True).click()
    fields = {
        "Join after": "layer1: 1",
        "Frozen layers": "conv1, bn1, layer1",
        "Rates by layer": "layer1: 0.3, fc: 2",
        "Class weights": "balanced",
    }
    for label, text in fields.items():
        bench.get_by_label(label).fill(text)
        page.keyboard.press("Tab")
        if label == "Join after":  # nothing is frozen yet
            bench.get_by_text("which is not frozen").wait_for()
    until(page, lambda: not bench.get_by_text("which is not frozen").is_visible(), 20)
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        choose_theme(page, theme)
        page.wait_for_timeout(1_500)
        page.screenshot(path=tmp_path / f"form_{theme}.png")
    bench.get_by_role("button", name="Start", exact=True).click()
    bench.get_by_text("From step 11 on layer1 learns again.").wait_for(timeout=90_000)
    assert bench.get_by_text("conv1, bn1 and layer1 are frozen.").is_visible()
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        choose_theme(page, theme)
        page.wait_for_timeout(1_500)
        page.screenshot(path=tmp_path / f"run_{theme}.png")
