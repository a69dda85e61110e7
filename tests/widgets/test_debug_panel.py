import threading
from dataclasses import replace

import pytest

import reswork as rw
from reswork.widgets.debug_panel import DebugPanel
from reswork.widgets.tree import close_tree

NET = rw.ResNetConfig(depth=8, width=2, in_channels=1, num_classes=3)
RECIPE = rw.Recipe(steps=10**6, batch_size=16, device="cpu", compile="off", precision="fp32")


@pytest.fixture
def run(small_data, tmp_path):
    run = rw.train(rw.resnet(NET), small_data, RECIPE, directory=tmp_path / "run")
    yield run
    run.stop()
    run.wait_until_still(300)


@pytest.fixture
def panel():
    made = DebugPanel()
    yield made
    made.close()
    close_tree(made.view)


def test_nothing_is_made_before_it_is_opened_and_nothing_looked_at_without_a_run(panel) -> None:
    assert not panel.view.children
    panel.view.show()
    assert "Train a network" in panel._told.value and panel.again.disabled and panel.shown is None


def test_a_run_that_goes_on_is_reported_from_a_copy_with_one_thread(
    panel, run, small_data, monkeypatch
) -> None:
    counts = []
    monkeypatch.setattr(
        "reswork.widgets.debug_view.threadpool_limits",
        lambda count: counts.append(count) or threading.Lock(),  # anything to enter and leave
    )
    panel.watch(run, small_data)
    panel.view.show()
    assert panel.wait() and panel.shown is not None
    assert f"<b>{run.name}</b> after" in panel._told.value and "20 test images of noise" in panel._told.value
    panel.shown.begin.click()
    assert panel.shown.wait()
    assert {"scores", "embedding", "duplicates"} <= set(panel.shown.sections) and set(counts) == {1}
    assert panel.shown.report.model is not run.model and not run.done
    before = panel.shown
    panel.again.click()
    assert panel.wait() and panel.shown is not before and before.comm is None


def test_a_run_from_disk_without_its_data_says_what_to_do(panel, small_data, tmp_path) -> None:
    rw.train(rw.resnet(NET), small_data, replace(RECIPE, steps=2), directory=tmp_path / "run").wait(300)
    saved = rw.load_run(tmp_path / "run")
    panel.watch(saved, rw.datasets.digits())
    panel.view.show()
    assert panel.wait() and panel.shown is None
    assert "hand it over" in panel._error.value
    panel.watch(saved, small_data)
    panel.again.click()
    assert panel.wait() and panel.shown is not None and "as it ended" in panel._told.value
