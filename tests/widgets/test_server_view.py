from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import reswork as rw
from reswork.datasets import digits
from reswork.widgets.server_view import ServerView, sums_html


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    net = rw.resnet(depth=8, width=4, in_channels=1)
    return rw.export(net, tmp_path_factory.mktemp("shipped") / "one", data=digits().subset(60, 60)).folder


@pytest.fixture(scope="module")
def server(shipped: Path) -> Iterator[rw.Server]:
    with rw.serve(shipped) as found:
        yield found


def test_a_server_is_shown_live_and_its_end_is_told(server: rw.Server, shipped: Path) -> None:
    view = rw.live(server)
    assert isinstance(view, ServerView) and "No requests" in view.load.summary
    view.refresher.stop()
    server.ask(shipped / "examples" / "00.png")
    assert view.refresh()
    assert "<span>requests</span><b>1</b>" in view.sums.value
    assert "<b>1 of 1 (100%)</b>" in view.sums.value and server.version in view.sums.value
    assert "answered" in view.load.summary
    server.stop()
    assert not view.refresh() and "has stopped" in view.error.value
    view.close()


def test_what_is_not_known_is_a_question_mark_and_names_are_escaped() -> None:
    nan = float("nan")
    state = rw.results.ServerState("<b>", 3700, 5, 5, 0, 0, nan, 0, 1, 2, 0.25, nan, {})
    told = sums_html(state)
    assert "&lt;b&gt;" in told and "1 h 1 min" in told and "1 of 2 (50%)" in told and "25.0%" in told
    assert "<span>fewer than the version before</span><b>?</b>" in told
