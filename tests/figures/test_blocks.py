import numpy as np
import pytest

from reswork import figures
from reswork.figures.depth_views import Line, lines_info
from reswork.history import History

GROUPS = {
    "activations": ("activation_mean", "activation_std"),
    "dead_units": ("dead_share",),
    "shortcut_and_branch": ("shortcut_size", "branch_size"),
    "shortcut_cosine": ("shortcut_branch_cosine",),
    "shortcut_gradients": ("shortcut_gradient", "branch_gradient"),
    "signal_variance": ("stream_variance", "branch_variance"),
}


@pytest.mark.parametrize("name", GROUPS)
def test_the_newest_record_is_drawn_over_depth(make_history, name):
    history = make_history(60, layers=8)
    figure = getattr(figures, name)(history)
    for trace, group in zip(figure.data, GROUPS[name], strict=False):
        np.testing.assert_allclose(trace.y, history.vectors(group).values[-1], rtol=1e-6)
        assert trace.x.tolist() == [1, 2, 3, 4, 5, 6]
        assert trace.text[0] == "layer1.0"
    assert "block" in figure.layout.xaxis.title.text
    assert figure.layout.meta["summary"].startswith("At step 60 ")


@pytest.mark.parametrize(
    ("name", "quiet"), [("signal_variance", [2, 3]), ("dead_units", [1]), ("shortcut_cosine", [1])]
)
def test_the_first_record_is_drawn_thin_where_it_is_another(make_history, name, quiet):
    thin = [trace for trace in getattr(figures, name)(make_history(60)).data if trace.opacity < 1]
    assert len(thin) == len(quiet) and all(trace.name.endswith("step 10") for trace in thin)
    for index in quiet:
        alone = getattr(figures, name)(make_history(10)).data[index]
        assert np.size(alone.y) == np.size(alone.x) == 0 and alone.showlegend is False


def test_stages_are_marked_and_dashes_differ(make_history):
    figure = figures.signal_variance(_stages([3, 3, 3]))
    assert list(figure.layout.xaxis.ticktext) == ["layer1", "layer2", "layer3"]
    assert [shape.x0 for shape in figure.layout.shapes] == [3.5, 6.5]
    assert len({trace.line.dash for trace in figure.data}) == 4


def test_what_a_logarithm_cannot_show_is_a_hole():
    history = History()
    for group, row in {"shortcut_size": [0.0, np.nan, 2.0], "branch_size": [1.0, np.inf, -1.0]}.items():
        history.record_vector(group, 5, ["a", "b", "c"], row)
    shortcut, branch = figures.shortcut_and_branch(history).data
    np.testing.assert_array_equal(shortcut.y, np.array([np.nan, np.nan, 2], np.float32))
    np.testing.assert_array_equal(branch.y, np.array([1, np.nan, np.nan], np.float32))


def test_summaries_count(make_history):
    history = make_history(60, layers=8)

    def said(name: str) -> str:
        return getattr(figures, name)(history).layout.meta["summary"]

    assert (
        said("shortcut_gradients")
        == "At step 60 the shortcut carries more gradient than the branch in 6 of 6 blocks."
    )
    assert "0.3% of the blocks' channels are dead, most of them in layer3.5, 0.6%" in said("dead_units")
    assert "between -0.5 (layer1.0) and 0.5 (layer3.5)" in said("shortcut_cosine")
    assert "60 after the first block (layer1.0) and 360 after the last (layer3.5)" in said("signal_variance")
    assert "mean is 0.1 with a deviation of 1 after layer1.0 and 0.6" in said("activations")
    history.record_vector("dead_share", 61, history.vectors("dead_share").labels, [0.0] * 6)
    assert said("dead_units") == "At step 61 no channel of any block is dead."


def test_very_deep_nets_share_points_by_their_mean():
    labels = [f"layer1.{index}" for index in range(600)]
    info = lines_info(labels, [Line("a", np.arange(600.0))], "")
    assert info.per_point == 2 and info.lines[0].values[:2].tolist() == [0.5, 2.5]


def test_names_are_escaped():
    history = History()
    history.record_vector("dead_share", 1, ["<i>a</i>"], [0.5])
    assert list(figures.dead_units(history).data[0].text) == ["&lt;i&gt;a&lt;/i&gt;"]


def _stages(blocks: list[int]) -> History:
    history = History()
    labels = [f"layer{stage}.{index}" for stage, count in enumerate(blocks, 1) for index in range(count)]
    for step in (1, 50):
        for group in GROUPS["signal_variance"]:
            history.record_vector(group, step, labels, np.arange(len(labels)) + 1.0)
    return history
