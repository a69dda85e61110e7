import numpy as np
import pytest

from reswork.figures import learning_rate, schedule, throughput
from reswork.figures.rates import _Rates, _rates_figure, _schedule_info, _Speeds, _throughput_figure
from reswork.history import History

ABOUT = {"what": "", "normal": "", "try": ""}


def test_learning_rate_draws_each_change():
    history = History()
    for step, rate in enumerate([0.1, 0.1, 0.01], start=1):
        history.record(step, {"learning_rate": rate})
    line, mark = learning_rate(history).data
    assert line.y.tolist() == pytest.approx([0.1, 0.1, 0.01]) and len(mark.x) == 0
    assert learning_rate(history).layout.meta["summary"] == "At step 3 the learning rate is 0.01."


def test_schedule_marks_the_current_step():
    steps = np.arange(0, 101)
    line, mark = schedule(steps, steps / 1000, current=50).data
    assert (mark.x.tolist(), mark.y.tolist()) == ([50.0], pytest.approx([0.05]))
    assert len(line.x) == 101
    assert "now, at step 50, it is 0.05" in schedule(steps, steps / 1000, 50).layout.meta["summary"]


def test_schedule_without_a_mark():
    _, mark = schedule([0, 1], [0.1, 0.2]).data
    assert len(mark.x) == 0 and mark.showlegend is False


def test_a_long_schedule_keeps_its_ends():
    info = _schedule_info(np.arange(100_000.0), np.linspace(0.1, 0, 100_000), None)
    assert len(info.x) <= 1000 and (info.x[0], info.x[-1]) == (0, 99_999)


def test_schedule_of_one_point_and_of_nan():
    assert schedule([0], [0.1]).data[0].y.tolist() == pytest.approx([0.1])
    assert schedule([0, 1], [np.nan, np.nan]).layout.meta["summary"] == "No schedule to draw."


def test_hand_made_rates():
    figure = _rates_figure(
        _Rates(np.zeros(1, np.float32), np.ones(1, np.float32), (0.0, 1.0)), "Rates", "s.", ABOUT
    )
    assert figure.data[1].y.tolist() == [1.0]


def test_throughput_says_now_and_on_average():
    history = History()
    history.extend("images_per_second", [1, 2, 3], [100.0, float("nan"), 300.0])
    figure = throughput(history)
    assert figure.data[0].y[[0, 2]].tolist() == [100, 300] and np.isnan(figure.data[0].y[1])
    assert figure.layout.meta["summary"].endswith("200 on average.")
    assert "second" in figure.layout.yaxis.title.text


def test_hand_made_speed():
    empty = np.empty(0, np.float32)
    assert _throughput_figure(_Speeds(empty, empty, empty, empty, None)).layout.meta["summary"] == (
        "No speed recorded yet."
    )


def test_layers_with_a_rate_of_their_own_have_a_line_each_with_another_dash():
    figure = schedule([1, 2, 3], [0.1, 0.2, 0.1], factors={"fc": 10, "<b>": 0.5})
    base, fc, odd, _mark = figure.data
    assert (base.name, fc.name, odd.name) == ("learning rate", "fc", "&lt;b&gt;")
    np.testing.assert_allclose(fc.y, [1, 2, 1], rtol=1e-6)
    assert len({base.line.color, fc.line.color, odd.line.color}) == 3
    assert fc.line.dash != odd.line.dash
    history = History()
    history.record(1, {"learning_rate": 0.1})
    history.record(2, {"learning_rate": 0.2, "learning_rate/layer1": 0.02})
    base, layer, _mark = learning_rate(history).data
    assert (layer.name, list(layer.x)) == ("layer1", [2])
    np.testing.assert_allclose(layer.y, [0.02], rtol=1e-6)
