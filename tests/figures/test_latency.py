import numpy as np

from reswork import figures
from tests.figures import made_results


def test_marks_are_the_middle_and_whiskers_end_at_p99() -> None:
    found = made_results.latency()
    figure = figures.latency(found)
    times = 1e3 * found.of("a <b>", 32).seconds
    trace = figure.data[1]
    assert trace.name == "a &lt;b&gt;" and list(trace.x) == [1, 32]
    np.testing.assert_allclose(trace.y[1], np.median(times), rtol=1e-6)
    np.testing.assert_allclose(trace.y[1] + trace.error_y.array[1], np.quantile(times, 0.99), rtol=1e-6)
    assert figure.layout.shapes[0].y0 == 2.0  # the deadline


def test_the_tail_is_the_share_of_slower_calls() -> None:
    found = made_results.latency()
    figure = figures.latency_tail(found)
    assert [trace.name for trace in figure.data] == ["torch", "a &lt;b&gt;", "torch at 50/s"]
    times = 1e3 * found.of("torch").seconds
    for x, y in zip(figure.data[0].x, figure.data[0].y, strict=True):
        assert abs(100 * (times > x * (1 + 1e-6)).mean() - y) < 1e-3
    assert "torch at 50/s: 100.0% later than 2 ms" in figure.layout.meta["summary"]
