"""From a click during training until its effect is on the screen: JupyterLab in Chromium, on the same processor.

The page itself keeps the time: from the click until the first change of the document that shows the effect.
After a click on Pause that is the word "pausing": the pause lands when the step that is being made is over.
"""

import argparse
from typing import Any

from benchmarks.live_page import CHROMIUM, NO_CHROMIUM, live_page
from benchmarks.report import Report, verdict
from benchmarks.turns import percentile

ROUNDS = 25
LIMIT_MS = 300.0
CELL = """\
import reswork as rw
from benchmarks.hand_written_loop import made_data
from benchmarks.stop_delay import untimed
workbench = rw.Workbench(data=made_data(), recipe=untimed())
workbench
"""
STATE = "document.querySelector('.reswork-state')?.innerText"
TRAIN_SHOWN = "document.querySelector('.reswork-grid')?.offsetParent != null"

# What is clicked, in this order in each round, and when its effect is there.
CLICKS = (
    ("Build", f"!({TRAIN_SHOWN})", "another page"),
    ("Train", TRAIN_SHOWN, "another page"),
    ("Pause", f"['pausing', 'paused'].includes({STATE})", "Pause"),
    ("Resume", f"{STATE} === 'running'", "Resume"),
)
TIMED = """([label, effect]) => new Promise((resolve, reject) => {
  const there = new Function(`return ${effect}`);
  const button = [...document.querySelectorAll('.reswork button')].find((each) => each.innerText.trim() === label);
  if (there()) return reject(new Error(`${label}: its effect is there already`));
  const begin = performance.now();
  const watcher = new MutationObserver(() => {
    if (!there()) return;
    watcher.disconnect();
    resolve(performance.now() - begin);
  });
  watcher.observe(document.body, { subtree: true, childList: true, characterData: true, attributes: true });
  button.click();
})"""


def add_options(parser: argparse.ArgumentParser) -> None:
    pass


def measure(options: argparse.Namespace) -> Report:
    delays: dict[str, list[float]] = {kind: [] for _, _, kind in CLICKS}
    if CHROMIUM:
        with live_page(CELL) as (page, kernel):
            _start(page)
            for _ in range(options.rounds):
                for label, effect, kind in CLICKS:
                    page.wait_for_timeout(700)
                    delays[kind].append(page.evaluate(TIMED, [label, effect]))
            step_ms = 1e3 / kernel.run("", "workbench.run.history.last('images_per_second') / 128")
            kernel.run("workbench.run.stop(); workbench.run.wait()")
    delays["all of them"] = [each for found in delays.values() for each in found]
    rows = [_row(kind, found) for kind, found in delays.items()]
    note = f"A step of the training took {step_ms:.0f} ms. " if CHROMIUM else ""
    return Report(
        "A click during training",
        ("clicked", "clicks", "ms, median", "ms, 95th percentile", "target"),
        rows,
        [f"{note}ResNet-20 on images of CIFAR-10's size; {options.rounds} rounds."],
        ["ipykernel", "ipywidgets", "jupyterlab"],
    )


def _start(page: Any) -> None:
    page.locator(".reswork").get_by_role("button", name="Start", exact=True).click()
    page.wait_for_function(f"() => {STATE} === 'running'")
    page.wait_for_function(f"() => {TRAIN_SHOWN}")
    page.wait_for_timeout(5000)


def _row(kind: str, found: list[float]) -> tuple[str, ...]:
    if not found:
        return kind, NO_CHROMIUM, "", "", ""
    late = percentile(found, 0.95)
    told = verdict(late, most=LIMIT_MS, unit=" ms")
    return kind, str(len(found)), f"{percentile(found, 0.5):.0f}", f"{late:.0f}", told
