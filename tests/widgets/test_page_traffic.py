"""What the workbench sends to the page and what it leaves behind, counted without any clock."""

from collections.abc import Iterator
from typing import Any

import comm
import ipywidgets as w
import pytest
from comm.base_comm import BaseComm
from jupyter_client.session import json_packer

import reswork as rw
from reswork.widgets import Workbench, live

ALIVE = w.widgets.widget._instances
SENT: list[tuple[str, int]] = []


class CountingComm(BaseComm):
    """Takes the place of the kernel's channel to the page, and notes kind and bytes of each message."""

    def publish_msg(
        self, msg_type: str, data: Any = None, metadata: Any = None, buffers: Any = None, **keys: Any
    ) -> None:
        size = len(json_packer({"data": data, **keys})) + sum(
            memoryview(each).nbytes for each in buffers or ()
        )
        SENT.append((msg_type, size))


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch, tmp_path) -> Iterator[list[tuple[str, int]]]:
    monkeypatch.setattr(comm, "create_comm", CountingComm)
    monkeypatch.setenv("RESWORK_RUNS", str(tmp_path))
    SENT.clear()
    yield SENT
    SENT.clear()


@pytest.fixture
def workbench(sent) -> Iterator[Workbench]:
    workbench = Workbench(
        data=rw.datasets.digits(), recipe=rw.Recipe(steps=4, precision="fp32", compile="off")
    )
    yield workbench
    workbench.close()


def test_the_workbench_appears_with_one_plotly_few_widgets_and_few_bytes(sent, workbench) -> None:
    sizes = [size for _, size in sent]
    assert sum(size > 1_000_000 for size in sizes) == 1
    assert sum(sizes) < 2_500_000
    assert sum(kind == "comm_open" for kind, _ in sent) <= 300


def test_a_page_is_made_when_it_is_first_opened_and_nothing_entered_in_it_is_lost(sent, workbench) -> None:
    def made() -> int:
        return sum(kind == "comm_open" for kind, _ in sent)

    for page in ("Data", "Recipe", "Train", "Inside", "Inspect", "Debug", "Ship"):
        before = made()
        workbench.pages.value = page
        assert made() > before + 5, page
    rate = workbench.recipe_panel.form.fields["learning_rate"].control
    rate.value = "0.02"
    before = made()
    for page in workbench.pages.options:
        workbench.pages.value = page
    assert made() == before
    assert rate.value == "0.02" and workbench.recipe.learning_rate == 0.02


def test_a_refresh_sends_one_message_a_plot_and_a_few_for_the_rest(sent, workbench) -> None:
    run = rw.train(rw.resnet(depth=8, in_channels=1), rw.datasets.digits(), workbench.recipe, start=False)
    run.step(2)
    run.wait_until_still()
    workbench.watch(run)
    workbench.run_view.refresher.stop()
    run.step(1)
    run.wait_until_still()
    plots = [each for each in workbench.run_view.plots.children if each.comm is not None]
    sent.clear()
    workbench.run_view.refresh()
    assert 0 < len(sent) <= len(plots) + 4
    assert all(kind == "comm_msg" and size < 60_000 for kind, size in sent)
    sent.clear()
    workbench.run_view.refresh()
    assert sent == [], "nothing new, nothing sent"
    workbench.pages.value = "Build"
    run.step(1)
    run.wait_until_still()
    drawn = [each.numbers["revision"] for each in plots]
    workbench.run_view.refresh()
    assert [each.numbers["revision"] for each in plots] == drawn, "a page that is not open is not fed"
    workbench.pages.value = "Train"
    assert [each.numbers["revision"] for each in plots] != drawn
    run.stop()
    run.wait()


def test_an_opened_and_closed_workbench_leaves_no_widget(sent) -> None:
    before = set(ALIVE)
    for _ in range(3):
        Workbench(data=rw.datasets.digits()).close()
    left = [type(ALIVE[model]).__name__ for model in set(ALIVE) - before]
    assert left == []


def test_a_closed_view_of_a_run_leaves_no_widget(sent) -> None:
    run = rw.train(rw.resnet(depth=8, in_channels=1), rw.datasets.digits(), rw.Recipe(steps=2))
    run.wait()
    before = set(ALIVE)
    live(run).close()
    left = [type(ALIVE[model]).__name__ for model in set(ALIVE) - before]
    assert left == []
