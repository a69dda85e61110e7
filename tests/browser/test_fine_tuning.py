"""Frozen layers and rates by layer, written into the form by a person and told while it trains."""

import re

from tests.browser.conftest import until
from tests.browser.test_workbench import press, wait_state

SHOW = (
    "import reswork as rw",
    "bench = rw.Workbench(rw.ResNetConfig(depth=8, width=4, in_channels=1), rw.datasets.digits()); bench",
)


def test_frozen_layers_are_written_into_the_form_and_told(bench) -> None:
    page = bench.show(*SHOW)
    shown = page.locator(".reswork")
    press(page, "Recipe")
    shown.locator("span").filter(
        has_text=re.compile("^Fine-tuning$")
    ).click()  # the part of the form; a preset has the same name
    fields = {
        "Join after": "layer1: 1",
        "Frozen layers": "conv1, bn1, layer1",
        "Rates by layer": "layer1: 0.3, fc: 2",
        "Class weights": "balanced",
    }
    for label, text in fields.items():
        shown.get_by_label(label).fill(text)
        page.keyboard.press("Tab")
        if label == "Join after":  # nothing is frozen yet
            shown.get_by_text("which is not frozen").wait_for()
    until(page, lambda: not shown.get_by_text("which is not frozen").is_visible())
    press(page, "Start")
    shown.get_by_text("From step 11 on layer1 learns again.").wait_for()
    shown.get_by_text("conv1, bn1 and layer1 are frozen.").wait_for()
    wait_state(page, "finished")
    assert shown.get_by_text("which is not frozen").count() == 0
