import numpy as np
import pytest

from reswork import figures
from reswork.figures.depth_views import log_axis
from reswork.history import History


def test_map_and_profile_show_the_ratios(make_history):
    history = make_history(60, layers=8)
    (trace,) = figures.update_ratios(history).data
    assert np.allclose(np.asarray(trace.z)[:, -1], np.linspace(-2, -4, 8), atol=1e-6)
    assert "update ratio" in trace.colorbar.title.text and "ratio 10" in trace.hovertemplate
    profile = figures.update_profile(history)
    assert np.allclose(profile.data[0].y, np.geomspace(1e-2, 1e-4, 8))
    assert profile.layout.yaxis.title.text == "update ratio" and profile.layout.yaxis.type == "log"


def test_the_summary_names_the_middle_and_the_most():
    history = History()
    history.record_vector("update_ratio", 3, ["a", "b", "c"], [0.001, np.nan, 0.003])
    text = figures.update_ratios(history).layout.meta["summary"]
    assert text == (
        "At step 3 an update changes the weights of a middling layer by 0.002 of their size; most in c, by 0.003."
    )
    history.record_vector("update_ratio", 4, ["a", "b", "c"], [np.nan] * 3)
    assert figures.update_ratios(history).layout.meta["summary"].endswith("by not a number.")


@pytest.mark.parametrize(("decades", "dtick"), [(0, "D2"), (2, "D2"), (3, 1), (12, 2)])
def test_a_logarithmic_axis_has_a_handful_of_marks(decades, dtick):
    y = log_axis("size", np.array([np.nan, 0, 0.001]), np.array([0.001 * 10.0**decades]))
    assert (y["type"], y["dtick"]) == ("log", dtick)
    assert log_axis("size")["dtick"] == 1
