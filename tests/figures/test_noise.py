import numpy as np

from reswork import figures
from reswork.history import History


def test_the_line_and_the_batch_size(make_history):
    figure = figures.noise_scale(make_history(60), batch_size=128)
    line, batch = figure.data
    assert line.y.tolist() == [100, 200, 300, 400, 500, 600]
    assert (batch.x.tolist(), batch.y.tolist()) == ([10, 60], [128, 128])
    assert figure.layout.meta["summary"] == (
        "At step 60 the gradient noise scale is about 600 images; the batches have 128."
    )
    assert np.size(figures.noise_scale(make_history(60)).data[1].y) == 0


def test_unknown_values_are_holes():
    history = History()
    history.extend("noise_scale", [2, 4], [np.nan, -3.0])
    figure = figures.noise_scale(history)
    assert np.isnan(figure.data[0].y).all()
    assert figure.layout.meta["summary"] == "At step 4 the gradient is not yet told from its noise."
    history.extend("noise_scale", [6, 8], [50.0, np.nan])
    assert "about 50 images." in figures.noise_scale(history).layout.meta["summary"]
