"""Names that would be markup or scripts, in every panel of a real page: none of them runs."""

import json
from typing import Any

from tests.browser.conftest import until
from tests.browser.test_workbench import wait_state, wait_step
from tests.hostile.names import NAMES

SETUP = """
import json, torch
import numpy as np
import reswork as rw
names = json.loads({names!r})
few = names[:9]
generator = np.random.default_rng(0)
images = generator.integers(0, 256, (90, 1, 8, 8), dtype=np.uint8)
labels = np.arange(90) % 9
data = rw.datasets.arrays(images[:72], labels[:72], images[72:], labels[72:], classes=few, name=few[0])
recipe = rw.Recipe(steps=20_000, batch_size=24, device="cpu", precision="fp32", compile="off")

class Foreign(torch.nn.Module):
    "Somebody's network, whose layers bear such names."
    def __init__(self):
        super().__init__()
        for name in few[:3]:
            self.add_module(name.replace(".", ""), torch.nn.Conv2d(1, 1, 3, padding=1))
        self.end = torch.nn.Linear(64, 9)

    def forward(self, x):
        for layer in list(self.children())[:3]:
            x = torch.relu(layer(x))
        return self.end(x.flatten(1))

Foreign.__name__ = Foreign.__qualname__ = few[0]
foreign = rw.train(Foreign(), data, rw.Recipe(steps=30, batch_size=24, device="cpu", compile="off"),
                   name="other", recorders=[rw.recorders.default_recorders, lambda history: names_as_notes(history)])
"""
NOTES = """
def names_as_notes(history):
    def note(event):
        history.note(getattr(event, "step", 0), names[0], reason=names[1], **{"x": names[2]})
        raise RuntimeError(names[0])
    return note
"""
BENCH = "bench = rw.Workbench(rw.ResNetConfig(depth=8, width=4), data, recipe); display(bench)"
VIEWS = """
foreign.wait()
display(rw.live(foreign))
display(rw.inspect(foreign.model, data))
display(foreign, rw.load_run("other"), data, foreign.history, rw.runs(), rw.moments(foreign))
display(rw.compare_settings([rw.load_run("other"), *rw.runs()]))
curves = {name: foreign.history for name in names[:6]}
display(rw.figures.loss_curves(curves), rw.figures.metric_curves(curves, foreign.metrics))
display(rw.figures.gradient_profile(curves))
display(rw.figures.confusion_matrix(np.eye(9, dtype=int), data.classes))
display(rw.figures.image_grid(data.test.images[:9], list(data.classes)))
display(rw.figures.network(rw.probes.outline(foreign.model, torch.zeros(1, 1, 8, 8))))
display(rw.figures.layer_table(rw.probes.layer_table(foreign.model, torch.zeros(1, 1, 8, 8))))
display(rw.figures.over_depth({names[0]: [1.0, 2.0]}, of=names[1]))
"""
ERRORS = """
for wrong in (
    lambda: rw.load_run(names[0]),
    lambda: rw.probes.feature_maps(foreign.model, torch.zeros(1, 1, 8, 8), layer=names[0]),
):
    try:
        wrong()
    except Exception:
        get_ipython().showtraceback()
"""
DRAWN = (
    "() => [...document.querySelectorAll('.reswork-plot')]"
    ".every(plot => !plot.offsetParent || plot.querySelector('.main-svg'))"
)
UNHARMED = (
    "() => window.__pwned === undefined && !document.querySelector('img[src=x], svg[onload], iframe[srcdoc]')"
    " && ![...document.querySelectorAll('a')].some(a => /^\\s*javascript:/i.test(a.getAttribute('href') || '')"
    "      || /^\\s*javascript:/i.test(a.getAttribute('xlink:href') || ''))"
    " && ![...document.querySelectorAll('*')].some(e => e.hasAttribute('onmouseover') || e.hasAttribute('onerror'))"
)


def test_no_name_runs_in_any_panel_or_picture_or_repr(bench: Any) -> None:
    setup = SETUP.format(names=json.dumps(NAMES))
    page = bench.show(NOTES, setup, BENCH, VIEWS, ERRORS, errors=2)
    panels = page.locator(".reswork", has=page.get_by_role("button", name="Inspect", exact=True)).first
    wait_drawn(page, "the outputs")

    click(panels, "Start")
    wait_state(page, "running")
    wait_step(page, 60)
    for sheet in ("Build", "Data", "Recipe", "Train", "Inside", "Debug", "Ship", "Inspect"):
        click(panels, sheet)
        wait_drawn(page, sheet)
    until(page, lambda: panels.locator(".reswork-answer span").count() >= 6)
    click(panels, "Stop")
    wait_state(page, "stopped")
    click(panels, "Attributions")
    click(panels, "Explain")
    until(page, lambda: panels.locator(".reswork-trust tr").count() >= 9)
    click(panels, "Earlier")
    for section in ("At this moment", "Branch here", "The tree of runs"):
        panels.locator(".reswork-past").get_by_text(section, exact=True).first.click()
        wait_drawn(page, section)
    page.wait_for_function(  # the names must be there to do harm
        "name => document.body.innerText.split(name).length - 1 >= 10", arg=NAMES[0]
    )
    wait_drawn(page, "everything")
    page.evaluate(
        "name => document.body.append(document.createRange().createContextualFragment(name))", NAMES[0]
    )
    page.wait_for_function("() => window.__pwned === 1")  # what is looked for is found where a name does run
    assert not page.evaluate(UNHARMED)
    page.evaluate("() => { delete window.__pwned; document.querySelector('img[src=x]').remove(); }")


def click(panels: Any, label: str) -> None:
    panels.get_by_role("button", name=label, exact=True).click()


def wait_drawn(page: Any, shown: str) -> None:
    """Wait until what is shown is drawn; nothing of it has run."""
    page.wait_for_function(DRAWN)
    assert page.evaluate(UNHARMED), shown
