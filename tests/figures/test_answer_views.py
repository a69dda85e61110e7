import numpy as np

from reswork import figures


def test_curves_go_on_with_truth_and_answer_and_say_where_it_looked() -> None:
    signals, steps = np.arange(20.0).reshape(2, 10), np.arange(6.0).reshape(2, 3)
    figure = figures.signal_answers(
        signals, ["a", "b <i>"], maps=np.full((2, 10), 0.5), answers=steps, truth=steps + 1
    )
    signal, truth, answer, seen, key = figure.data
    assert list(signal.x[:10]) == list(range(10)) and np.isnan(signal.x[10])
    assert list(truth.x[:3]) == [10, 11, 12] and (np.array(truth.y[:3]) > np.array(answer.y[:3])).all()
    assert max(seen.marker.size) == 5 and "&lt;i&gt;" in figure.layout.yaxis.ticktext[1]
    assert seen.marker.line.width == 0 and not seen.showlegend and key.showlegend and key.marker.size == 8
    plain = figures.signal_answers(signals, ["a", "b"])
    assert "answers" not in plain.layout.title.text and not plain.layout.showlegend
    assert len(figures.signal_answers(np.zeros((0, 0)), []).data) == 5


def test_values_and_probabilities() -> None:
    figure = figures.value_answers(np.array([1.0, 3.0]), np.array([1.5, 2.5]), "price")
    assert list(figure.data[1].x) == [1.0, 3.0] and figure.layout.xaxis.title.text == "price, truth"
    chances = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    figure = figures.true_class_probabilities(chances, np.array([0, 1, 1]), ["a", "b"])
    assert figure.data[0].marker.pattern.shape != figure.data[1].marker.pattern.shape, (
        "not told by colour alone"
    )
    assert sum(figure.data[0].y) == 1 and sorted(y for y in figure.data[1].y if y) == [0.5, 0.5]
    assert (
        figures.value_answers(np.zeros(0), np.zeros(0)).data
        and figures.true_class_probabilities(np.zeros((0, 2)), np.zeros(0, int), ["a", "b"]).data
    )
