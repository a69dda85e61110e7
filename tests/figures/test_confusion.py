import numpy as np
import pytest

from reswork.errors import InvalidSetting
from reswork.figures import confusion_matrix
from reswork.figures.confusion import _confusion_figure, _confusion_info


def test_rows_add_up_to_a_hundred_percent():
    info = _confusion_info(np.array([[8, 2], [1, 3]]), ("cat", "dog"))
    assert np.allclose(info.shares, [[80, 20], [25, 75]])
    assert (
        info.summary
        == "11 of 14 pictures are named right (78.6 %); the most frequent error is dog for cat, 2 times."
    )


def test_counts_stand_in_the_cells_up_to_twelve_classes():
    names = [f"class {index}" for index in range(12)]
    few = confusion_matrix(np.full((12, 12), 7), names).data[0]
    assert few.texttemplate == "%{text}" and few.text[0][0] == "7"
    many = confusion_matrix(np.ones((13, 13)), [*names, "one more"]).data[0]
    assert many.text is None and many.texttemplate is None


def test_axes_are_titled_and_true_classes_run_down():
    layout = confusion_matrix(np.eye(2), ["a", "b"]).layout
    assert (layout.xaxis.title.text, layout.yaxis.title.text) == ("predicted", "true")
    assert layout.yaxis.autorange == "reversed"


def test_a_class_without_pictures_is_a_gap_not_an_error():
    info = _confusion_info(np.array([[0, 0], [1, 3]]), ("a", "b"))
    assert np.isnan(info.shares[0]).all() and np.allclose(info.shares[1], [25, 75])


def test_all_right_and_all_empty():
    assert _confusion_info(np.eye(2), ("a", "b")).summary == "2 of 2 pictures are named right (100.0 %)."
    assert confusion_matrix(np.zeros((2, 2)), ["a", "b"]).layout.meta["summary"] == "No answers counted yet."


def test_a_thousand_classes_share_rows():
    info = _confusion_info(np.eye(1000), tuple(map(str, range(1000))))
    assert info.shares.shape == (100, 100) and info.per_row == 10 and info.counts.sum() == 1000
    figure = _confusion_figure(info)
    assert "10 classes a row" in figure.layout.xaxis.title.text
    assert figure.data[0].z.nbytes < 60_000


def test_equal_and_dangerous_names():
    trace = confusion_matrix(np.eye(3), ["<b>a</b>", "same", "same"]).data[0]
    assert list(trace.x) == ["&lt;b&gt;a&lt;/b&gt;", "same", "same (2)"]


def test_names_and_matrix_must_agree():
    with pytest.raises(InvalidSetting, match="3 class names for a matrix of shape"):
        confusion_matrix(np.eye(2), ["a", "b", "c"])
