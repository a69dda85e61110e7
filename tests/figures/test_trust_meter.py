import numpy as np

from reswork.figures import randomisation_curve, trust_curves


def test_curves_of_the_map_and_of_the_map_elsewhere(make_trust) -> None:
    figure = trust_curves(make_trust())
    assert [trace.name for trace in figure.data] == [
        "deletion", "insertion", "deletion, map elsewhere", "insertion, map elsewhere",
    ]  # fmt: skip
    assert np.allclose(figure.data[0].x, np.linspace(0, 100, 11)) and np.allclose(
        figure.data[0].y, 1 - figure.data[1].y
    )
    assert len({(t.line.dash, t.line.color) for t in figure.data}) == 4
    assert figure.layout.meta["summary"] == "Saliency: Do not trust this map. It stays alike by 0.90."


def test_randomisation_begins_with_the_map_itself(make_trust) -> None:
    (trace,) = randomisation_curve(make_trust(4)).data
    assert trace.x[0] == "nothing" and trace.y[0] == 1 and len(trace.y) == 5
    assert np.allclose(trace.y[1:], [0.9, 0.6, 0.3, 0])
