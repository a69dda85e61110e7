import threading

import numpy as np
import plotly.graph_objects as go
import pytest

from reswork.widgets.live_figure import LiveFigure
from reswork.widgets.tree import close_tree


def line(n: int, title: str = "") -> go.Figure:
    return go.Figure(
        {
            "data": [{"type": "scatter", "x": np.arange(n), "y": np.linspace(0, 1, n, dtype="float32")}],
            "layout": {
                "title": {"text": title},
                "meta": {"summary": f"{n} points", "about": {"what": "a line"}},
            },
        }
    )


@pytest.fixture
def live():
    figure = LiveFigure(line(3))
    yield figure
    close_tree(figure)


def watched(live: LiveFigure) -> list[set[str]]:
    """What goes to the page from now on: the names of the traits in each message."""
    sent: list[set[str]] = []
    original = live.send_state
    live.send_state = lambda key=None: (
        sent.append({key} if isinstance(key, str) else set(key or ())),
        original(key),
    )
    return sent


def test_numbers_leave_as_buffers_that_give_the_same_array(live) -> None:
    kind, shape, raw = live.numbers["0/y"]
    assert (kind, shape) == ("f4", (3,))
    np.testing.assert_array_equal(np.frombuffer(raw, "float32"), np.linspace(0, 1, 3, dtype="float32"))
    assert "bdata" not in str(live.frame)
    assert live.frame["data"][0]["y"] is None


def test_only_numbers_are_sent_when_only_numbers_change(live) -> None:
    sent = watched(live)
    live.show(line(5))
    assert sent and "frame" not in set().union(*sent)
    sent.clear()
    live.show(line(5))
    assert sent == []
    live.show(line(5, title="new"))
    assert "frame" in set().union(*sent)


def test_summary_and_explanation_follow(live) -> None:
    live.show(line(7))
    assert live.summary == "7 points"
    assert live.about == {"what": "a line"}


def test_two_dimensions_and_wide_integers_survive(live) -> None:
    live.show(go.Figure({"data": [{"type": "heatmap", "z": np.arange(6, dtype="int64").reshape(2, 3)}]}))
    kind, shape, raw = live.numbers["0/z"]
    assert (kind, shape) == ("i4", (2, 3))
    assert np.frombuffer(raw, "int32").tolist() == [0, 1, 2, 3, 4, 5]


def test_threads_may_show_at_once_and_revisions_never_repeat(live) -> None:
    seen: list[int] = []
    live.observe(lambda change: seen.append(change["new"]["revision"]), names="numbers")
    threads = [
        threading.Thread(target=lambda k=k: [live.show(line(10 * k + i)) for i in range(20)])
        for k in range(1, 5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == len(set(seen)) > 20
    assert live.numbers["revision"] == max(seen)


def test_a_click_brings_the_name(live) -> None:
    clicked: list[str] = []
    live.on_click(clicked.append)
    live._handle_custom_msg({"kind": "click", "name": "layer2.0"}, [])
    live._handle_custom_msg({"kind": "other"}, [])
    assert clicked == ["layer2.0"]
