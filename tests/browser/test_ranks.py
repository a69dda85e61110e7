"""A run in two processes under torchrun, on the page: chosen in the form, seen and steered like any other."""

import os
from typing import Any

import pytest

from tests.browser.conftest import DIGITS, until
from tests.browser.test_workbench import LOSS, PATH, STEP, newest_run, press, wait_state, wait_step

pytestmark = pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one core: the form does not offer it")


def test_two_processes_are_started_seen_and_steered(lab: Any, bench: Any) -> None:
    page = bench.show(DIGITS.replace("width=4", "width=4, norm='group'"))
    press(page, "Recipe")
    page.get_by_label("Trains in").select_option("several processes, which stop with the kernel")
    assert page.get_by_label("Processes").input_value() == "2"
    press(page, "Start")
    wait_state(page, "running")
    wait_step(page, 5)
    page.wait_for_function(f"([s, n]) => ({PATH})(s) > n", arg=[LOSS, 10])
    page.get_by_text("From step 1 on trained by 2 ranks.").wait_for()

    press(page, "Pause")
    wait_state(page, "paused")
    held = page.evaluate(STEP)
    press(page, "Step")
    wait_step(page, held + 1)
    assert page.evaluate(STEP) == held + 1
    page.locator(".reswork").get_by_label("Learning rate").first.fill("0.0123")
    page.keyboard.press("Tab")
    press(page, "Set")
    press(page, "Resume")
    wait_step(page, held + 10)
    press(page, "Stop")
    wait_state(page, "stopped")
    until(page, lambda: newest_run(lab).state_word == "stopped")
    run = newest_run(lab)
    assert "ranks" in {note.kind for note in run.history.notes}
    assert any(note.details.get("value") == 0.0123 for note in run.history.notes)
