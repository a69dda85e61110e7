"""What a run survives: reloaded pages, closed tabs, a killed kernel. RESWORK_RELOADS=20 reloads more often."""

import os
import signal

import psutil
import pytest

import reswork as rw
from tests.browser.conftest import COMMON, DIGITS, reload, run_all, save, until
from tests.browser.test_workbench import LOSS, PATH, STEP, newest_run, press, wait_state, wait_step

RELOADS = int(os.environ.get("RESWORK_RELOADS", "2"))
FIRST_X = "() => Math.min(...document.querySelector('.reswork-grid .js-plotly-plot').data[0].x)"


@pytest.fixture
def page(lab, bench):
    """A workbench whose run goes on."""
    page = bench.show(DIGITS)
    press(page, "Start")
    wait_state(page, "running")
    wait_step(page, 50)
    save(page, lab.folder)
    return page


def shows_all(page, step: int) -> int:
    """Wait until the page shows the whole run, beyond a step; gives the step that it shows."""
    page.wait_for_selector(".reswork .reswork-bar")
    wait_step(page, step + 1)
    page.wait_for_function(f"([s, n]) => ({PATH})(s) > n", arg=[LOSS, 50])
    assert page.evaluate(FIRST_X) <= 2
    return page.evaluate(STEP)


def test_reloads_and_closed_tabs_leave_the_run_alone(lab, page, bench) -> None:
    step = page.evaluate(STEP)
    for _ in range(RELOADS):
        reload(page)
        step = shows_all(page, step)
    again = bench.in_another_tab()
    step = shows_all(again, step)
    press(again, "Stop")
    wait_state(again, "stopped")
    assert len(rw.runs(lab.folder / "runs")) == 1
    steps = newest_run(lab).history.series("loss/train").steps
    assert steps.tolist() == list(range(1, len(steps) + 1))


def test_a_killed_kernel_costs_no_run(lab, page) -> None:
    wait_step(page, 100)
    press(page, "Pause")  # a pause has a checkpoint; otherwise there is one every 30 seconds
    wait_state(page, "paused")
    held = page.evaluate(STEP)
    until(page, lambda: list(newest_run(lab).directory.glob(f"checkpoints/step-*{held}")))
    press(page, "Resume")
    wait_step(page, held + 50)
    kernel = lab.kernel(COMMON)
    (process,) = [
        each
        for each in psutil.process_iter(["cmdline"])
        if any(kernel in part for part in each.info["cmdline"] or ())
    ]
    process.send_signal(signal.SIGKILL)
    page.get_by_role("button", name="Ok").first.wait_for()  # JupyterLab says that it restarts the kernel
    page.reload()
    page.wait_for_selector(".jp-NotebookPanel .jp-Cell")
    until(page, lambda: newest_run(lab).interrupted)
    run_all(page)
    page.get_by_role("button", name="Resume it").click()
    wait_state(page, "running")
    begun = page.evaluate(STEP)
    shows_all(page, begun + 50)
    press(page, "Stop")
    wait_state(page, "stopped")
    (run,) = rw.runs(lab.folder / "runs")
    assert begun >= held and any(note.kind == "resumed" for note in run.history.notes)
    steps = run.history.series("loss/train").steps
    assert steps.tolist() == list(range(1, len(steps) + 1))
