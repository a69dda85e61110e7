"""Names that would be markup or scripts, in every panel of a real page: none of them runs."""

import json
from typing import Any

from tests.browser.conftest import run_all, until
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
BENCH = "bench = rw.Workbench(rw.ResNetConfig(depth=8, width=4), data, recipe); bench"
VIEWS = """
foreign.wait()
from IPython.display import display
display(rw.live(foreign))
display(rw.inspect(foreign.model, data))
display(foreign, rw.load_run("other"), data, foreign.history, rw.runs(), rw.moments("other"))
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
ERRORS = (
    "rw.load_run(names[0])",
    "rw.probes.feature_maps(foreign.model, torch.zeros(1, 1, 8, 8), layer=names[0])",
)
UNHARMED = (
    "() => window.__pwned === undefined && !document.querySelector('img[src=x], svg[onload], iframe[srcdoc]')"
    " && ![...document.querySelectorAll('a')].some(a => /^\\s*javascript:/i.test(a.getAttribute('href') || '')"
    "      || /^\\s*javascript:/i.test(a.getAttribute('xlink:href') || ''))"
    " && ![...document.querySelectorAll('*')].some(e => e.hasAttribute('onmouseover') || e.hasAttribute('onerror'))"
)


def test_no_name_runs_in_any_panel_or_picture_or_repr(lab: Any, open_page: Any) -> None:
    setup = NOTES + SETUP.format(names=json.dumps(NAMES))
    page = open_page(lab.write("hostile.ipynb", setup, BENCH, VIEWS, *ERRORS), height=2000)
    run_all(page)
    bench = page.locator(".reswork", has=page.get_by_role("button", name="Inspect", exact=True)).first
    bench.wait_for()
    until(page, lambda: len(page.locator(".jp-OutputArea-output[data-mime-type*=stderr]").all()) >= 2)
    assert page.evaluate(UNHARMED)

    bench.get_by_role("button", name="Start", exact=True).click()
    wait_state(page, "running")
    wait_step(page, 60)
    for sheet in ("Build", "Data", "Recipe", "Train", "Inside", "Debug", "Inspect"):
        bench.get_by_role("button", name=sheet, exact=True).click()
        page.wait_for_timeout(1000)
        assert page.evaluate(UNHARMED), sheet
    until(page, lambda: bench.locator(".reswork-answer span").count() >= 6)
    bench.get_by_role("button", name="Stop", exact=True).click()
    wait_state(page, "stopped")
    bench.get_by_role("button", name="Attributions", exact=True).click()
    bench.get_by_role("button", name="Explain", exact=True).click()
    until(page, lambda: bench.locator(".reswork-trust tr").count() >= 9)
    turn_back(page, bench)
    assert page.evaluate(UNHARMED)
    page.wait_for_function(  # the names must be there to do harm
        "name => document.body.innerText.split(name).length - 1 >= 10", arg=NAMES[0]
    )
    page.evaluate(
        "name => document.body.append(document.createRange().createContextualFragment(name))", NAMES[0]
    )
    page.wait_for_function("() => window.__pwned === 1")  # what is looked for is found where a name does run
    assert not page.evaluate(UNHARMED)


def turn_back(page: Any, bench: Any) -> None:
    """The time machine with all its parts."""
    bench.get_by_role("button", name="Earlier", exact=True).click()
    for section in ("At this moment", "Branch here", "The tree of runs"):
        bench.locator(".reswork-past").get_by_text(section, exact=True).first.click()
        page.wait_for_timeout(1500)
        assert page.evaluate(UNHARMED), section
