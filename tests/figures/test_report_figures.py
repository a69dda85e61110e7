import numpy as np

from reswork import figures
from tests.figures import made_results


def test_the_diagonal_and_both_curves_of_reliability():
    figure = figures.reliability(made_results.reliability())
    assert [trace.name for trace in figure.data] == ["as it says", "as it is", "with temperature 1.70"]
    assert len(figure.data[1].x) == 14, "an empty bin is no point"
    assert "0.100 (ECE)" in figure.layout.meta["summary"]


def test_the_worst_class_and_the_worst_slice_are_at_the_top():
    figure = figures.class_scores(made_results.class_scores(), ("cat", "dog", "cow"))
    assert list(figure.data[0].y) == ["cow", "dog", "cat"], "plotly draws upwards"
    assert "cat is worst" in figure.layout.meta["summary"]
    figure = figures.slices(made_results.slices())
    assert len(figure.data[0].y) == 25 and "&lt;b&gt;0" in figure.data[0].y[-1]
    assert "none is worse" in figures.slices(made_results.slices(0)).layout.meta["summary"]


def test_every_corruption_begins_at_the_clean_score():
    figure = figures.robustness(made_results.robustness())
    assert len(figure.data) == 7 and all(trace.y[0] == np.float32(95) for trace in figure.data)
    assert len({(trace.line.dash, trace.line.color, trace.marker.symbol) for trace in figure.data}) == 7


def test_the_map_keeps_2000_points_and_colours_12_groups():
    figure = figures.embedding_map(made_results.embedding_map(), [f"g{k % 15}" for k in range(5000)])
    assert sum(len(trace.x) for trace in figure.data) == 2000 and len(figure.data) == 13
    assert figure.data[-1].name == "others" and "60 %" in figure.layout.xaxis.title.text
    looks = {(trace.marker.color, trace.marker.symbol) for trace in figure.data}
    assert len(looks) == 13
    numbered = figures.embedding_map(made_results.embedding_map(12), [str(k) for k in (9, 10, 0, 10) * 3])
    assert [trace.name for trace in numbered.data] == ["0", "9", "10"]


def test_changes_are_sorted_and_called_by_their_intervals():
    figure = figures.changes(["a", "b", "c"], [0.1, -0.2, 0.01], [0.05, -0.3, -0.02], [0.2, -0.1, 0.03])
    assert {trace.name: list(trace.y) for trace in figure.data} == {
        "better": ["a"],
        "worse": ["b"],
        "not sure": ["c"],
    }
    assert (
        figure.layout.yaxis.categoryarray == ("b", "c", "a")
        and "1 better, 1 worse, 1 not sure" in (figure.layout.meta["summary"])
    )
    alone = figures.changes(["a"], [0.1], [np.nan], [np.nan])
    assert alone.data[0].name == "not sure" and list(alone.data[0].error_x.array) == [0]
