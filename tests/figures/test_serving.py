import numpy as np

from reswork import figures
from tests.figures import made_results


def test_lines_are_what_became_of_requests_and_how_long_they_took() -> None:
    found = made_results.server_load()
    load, times = figures.server_load(found), figures.server_times(found)
    assert [trace.name for trace in load.data] == ["answered", "refused (4xx)", "failed (5xx)"]
    np.testing.assert_allclose(load.data[1].y, found.refused)
    assert "69 answered, 1 refused (4xx), 0 failed (5xx)" in load.layout.meta["summary"]
    assert np.isnan(times.data[1].y[10]) and times.data[1].y[11] == 31
    assert "19 of 20 less than 39 ms" in times.layout.meta["summary"]


def test_bars_are_drift_and_marks_are_chance() -> None:
    figure = figures.server_drift(
        {"brightness": (0.4, 0.02), "contrast": (0.01, 0.02), "confidence": (np.nan, 1.0)}
    )
    assert list(figure.data[0].x) == ["brightness", "contrast"]
    np.testing.assert_allclose(figure.data[1].y, [0.02, 0.02], rtol=1e-6)
    assert "brightness 0.4, more than chance" in figure.layout.meta["summary"]
    assert "contrast 0.01, no more than chance" in figure.layout.meta["summary"]
