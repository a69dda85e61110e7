import numpy as np
import plotly.graph_objects as go

from reswork.figures.canvas import about
from reswork.figures.trade_off import front, trade_off
from reswork.results.study import Line

WORDS = {"title": "A price", "x": "s", "y": "%", "summary": "Prices.", "explained": about("a", "b", "c")}


def test_the_front_is_that_of_a_slow_search():
    random = np.random.default_rng(0)
    costs, worth = random.random(30), random.random(30)
    found = front(costs, worth)
    slow = {
        one
        for one in range(30)
        if not any(
            costs[other] <= costs[one] and worth[other] >= worth[one] for other in range(30) if other != one
        )
    }
    assert set(found) == slow and (np.diff(costs[found]) > 0).all()


def test_points_and_front_are_drawn_and_what_is_not_known_is_not():
    points = [
        Line.over("a <b>", [0.1], np.array([[50.0], [60.0]]), colour=0),
        Line.over("c", [1.0], np.array([[40.0], [44.0]]), colour=1, dashed=True),
        Line("d", np.array([np.nan]), np.array([np.nan])),
    ]
    figure = trade_off(points, **WORDS)
    assert [trace.name for trace in figure.data] == ["none is better in both", "a &lt;b&gt;", "c", "d"]
    assert len(figure.data[0].x) == 1 and figure.data[1].error_y.array[0] == 5
    assert figure.layout.xaxis.type == "log"
    go.Figure(figure.to_plotly_json())
    assert not trade_off([], **WORDS).data
