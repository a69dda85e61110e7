import numpy as np
import plotly.graph_objects as go
import pytest

from reswork import figures
from reswork.figures import gradient_norms, gradient_profile
from reswork.figures.canvas import log_axis
from reswork.figures.depth_views import DepthMap, Profile, map_figure, map_info, profile_info
from reswork.figures.layers import _GRADIENTS, _gradient_summary
from reswork.history import History, Vectors


def vectors(values: np.ndarray, labels: tuple[str, ...] | None = None) -> Vectors:
    names = labels or tuple(f"layer1.{index}" for index in range(values.shape[1]))
    return Vectors("grad_norm", names, np.arange(1, len(values) + 1), values)


def _map_info(of: Vectors) -> DepthMap:
    return map_info(of, _gradient_summary(of))


def _profile_info(of: Vectors) -> Profile:
    return profile_info(of, _gradient_summary(of))


def _map_figure(info: DepthMap) -> go.Figure:
    return map_figure(info, "Gradients", "gradient norm", _GRADIENTS)


def test_map_is_the_logarithm_with_the_input_on_top(make_history):
    figure = gradient_norms(make_history(60, layers=8))
    (trace,) = figure.data
    assert np.shape(trace.z) == (8, 6)
    assert np.allclose(np.asarray(trace.z)[:, 0], np.linspace(-3, 1, 8), atol=1e-6)
    assert (trace.y[0], trace.y[-1]) == ("conv1", "fc")
    assert figure.layout.yaxis.autorange == "reversed"
    assert "gradient norm" in trace.colorbar.title.text
    assert trace.x.tolist() == [10, 20, 30, 40, 50, 60]


def test_zero_nan_and_inf_are_holes():
    info = _map_info(vectors(np.array([[0.0, 1.0], [np.nan, np.inf], [-1.0, 10.0]])))
    assert np.isnan(info.logs[0]).all()
    assert info.logs[1].tolist() == pytest.approx([0, np.nan, 1], nan_ok=True)
    assert "2 of 2" in _map_info(vectors(np.array([[np.nan, np.inf]]))).summary


@pytest.mark.parametrize(("layers", "per_row"), [(1, 1), (60, 1), (61, 2), (110, 2), (1202, 21)])
def test_deep_networks_share_rows(layers, per_row):
    info = _map_info(vectors(np.full((3, layers), 10.0)))
    assert info.per_row == per_row and len(info.rows) == len(info.logs) <= 60
    assert np.allclose(info.logs, 1)
    assert (f"{per_row} neighbours" in _map_figure(info).layout.yaxis.title.text) == (per_row > 1)


def test_a_shared_row_is_the_geometric_mean_of_what_is_finite():
    values = np.ones((1, 61))
    values[0, :4] = [1.0, 100.0, np.nan, 1000.0]
    assert _map_info(vectors(values)).logs[:3, 0].tolist() == pytest.approx([1, 3, 0])


def test_profile_has_first_middle_and_latest():
    values = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    info = _profile_info(vectors(values))
    assert [step for step, _ in info.moments] == [1, 2, 3]
    assert [norms.tolist() for _, norms in info.moments] == [pytest.approx(row) for row in values.tolist()]


def test_profile_of_one_record_draws_it_once(make_history):
    traces = gradient_profile(make_history(10)).data
    assert [len(trace.y) for trace in traces] == [8, 0, 0]
    assert [trace.showlegend for trace in traces] == [True, False, False]


def test_profile_is_logarithmic_and_marks_the_stages(make_history):
    layout = gradient_profile(make_history(60)).layout
    assert layout.yaxis.type == "log"
    assert layout.xaxis.ticktext[0] == "conv1" and layout.xaxis.ticktext[-1] == "fc"
    assert len(layout.shapes) > 0


def test_profile_of_a_very_deep_network_has_at_most_300_points():
    info = _profile_info(vectors(np.ones((2, 1202))))
    assert len(info.depths) == len(info.layers) <= 300 and info.per_point == 5
    assert info.depths[:2].tolist() == [1, 6]


def test_names_of_layers_are_escaped():
    history = History()
    history.record_vector("grad_norm", 1, ["<i>a</i>", "$b$"], [1.0, 2.0])
    assert list(gradient_norms(history).data[0].y) == ["&lt;i&gt;a&lt;/i&gt;", "&#36;b&#36;"]
    assert gradient_profile(history).data[0].text[0] == "&lt;i&gt;a&lt;/i&gt;"
    assert gradient_profile(history).layout.xaxis.ticktext[1] == "&#36;b&#36;"


def test_hand_made_map_without_columns():
    figure = _map_figure(
        DepthMap(np.empty(0, np.float32), ("a",), np.empty((1, 0), np.float32), 1, "Nothing.")
    )
    assert np.size(figure.data[0].z) == 0


def test_summary_names_first_and_last_layer(make_history):
    text = gradient_norms(make_history(60)).layout.meta["summary"]
    assert text == "At step 60 the gradient norm is 0.001 in the first layer (conv1) and 10 in the last (fc)."


def test_profiles_of_several_runs_are_their_first_records(make_history):
    history = History()
    for step, factor in ((1, 1.0), (10, 1e6)):
        history.record_vector(
            "grad_norm", step, ["conv1", "layer1.0", "fc"], [3.0 * factor, 0.0, 2.0 * factor]
        )
    deep, shallow = gradient_profile({"deep": make_history(60), "<i>": history}).data
    assert deep.y.tolist() == pytest.approx(np.geomspace(1e-3, 10.0, 8).tolist())
    assert shallow.y.tolist() == pytest.approx([3.0, np.nan, 2.0], nan_ok=True)
    assert shallow.x.tolist() == [1, 2, 3] and shallow.name == "&lt;i&gt;"
    assert (deep.line.color, deep.line.dash) != (shallow.line.color, shallow.line.dash)


def test_profiles_of_several_runs_share_the_axis_of_the_deepest():
    histories = {"deep": History(), "shallow": History(), "empty": History()}
    for name, layers in (("deep", 1202), ("shallow", 20)):
        labels = ["conv1", *(f"layer1.{index}" for index in range(layers - 2)), "fc"]
        histories[name].record_vector("grad_norm", 1, labels, np.full(layers, 0.1))
    figure = gradient_profile(histories)
    assert [trace.x[:2].tolist() for trace in figure.data] == [[1, 6], [1, 6], []]
    assert [len(trace.y) for trace in figure.data] == [241, 4, 0]
    assert all(np.allclose(trace.y, 0.1) for trace in figure.data)
    assert "5 neighbours" in figure.layout.xaxis.title.text
    assert figure.layout.meta["summary"].endswith("empty: No gradient norms recorded yet.")


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


@pytest.mark.parametrize(
    ("decades", "dtick"), [(0, None), (0.5, None), (1, "D2"), (2, "D2"), (3, 1), (8, 2), (12, 2)]
)
def test_a_logarithmic_axis_has_a_handful_of_marks(decades, dtick):
    y = log_axis("size", np.array([np.nan, 0, 0.001]), np.array([0.001 * 10.0**decades]))
    assert (y["type"], y.get("dtick")) == ("log", dtick)
    assert log_axis("size")["dtick"] == 1
