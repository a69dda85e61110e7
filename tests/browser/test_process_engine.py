"""A run in a process of its own, on the page: started, steered, looked into, and alive when its kernel is not."""

from typing import Any

import psutil

import reswork as rw
from tests.browser.conftest import COMMON, DIGITS, run_all, save, until
from tests.browser.test_workbench import LOSS, PATH, STEP, newest_run, press, wait_state, wait_step


def test_a_process_of_its_own_trains_on_through_a_restart_of_the_kernel(lab: Any, bench: Any) -> None:
    page = bench.show(DIGITS)
    press(page, "Recipe")
    page.get_by_label("Trains in").select_option("a process of its own, which goes on without the kernel")
    page.locator(".reswork", has_text="When the kernel is restarted, it trains on").first.wait_for()
    press(page, "Start")
    wait_state(page, "running")
    wait_step(page, 30)
    page.wait_for_function(f"([s, n]) => ({PATH})(s) > n", arg=[LOSS, 20])

    press(page, "Pause")
    wait_state(page, "paused")
    held = page.evaluate(STEP)
    press(page, "Step")
    wait_step(page, held + 1)
    press(page, "Resume")
    wait_state(page, "running")
    press(page, "Inspect")
    page.wait_for_function("() => document.querySelectorAll('.reswork-answer span').length >= 6")

    worker = newest_run(lab).pid
    assert worker is not None and psutil.pid_exists(worker)
    save(page, lab.folder)
    lab.api(f"kernels/{lab.kernel(COMMON)}/restart", "POST")
    assert psutil.pid_exists(worker)
    page.reload()
    page.wait_for_selector(".jp-NotebookPanel .jp-Cell")
    run_all(page)
    page.wait_for_selector(".reswork .reswork-bar")
    wait_state(page, "running")
    wait_step(page, held + 60)
    page.wait_for_function(f"([s, n]) => ({PATH})(s) > n", arg=[LOSS, 50])
    assert newest_run(lab).pid == worker, "it is the same process"
    press(page, "Stop")
    wait_state(page, "stopped")
    run = newest_run(lab)
    steps = run.history.series("loss/train").steps
    assert steps.tolist() == list(range(1, len(steps) + 1))
    assert len(rw.runs(lab.folder / "runs")) == 1
    until(page, lambda: not psutil.pid_exists(worker))  # it ends with its run
