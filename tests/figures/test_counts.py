import numpy as np
import pytest

from reswork.errors import InvalidSetting
from reswork.figures import class_counts


def test_bars_for_each_split():
    figure = class_counts({"train": [30, 40], "test": np.array([5, 5])}, ["cat", "dog"])
    train, test = figure.data
    assert (train.name, train.y.tolist()) == ("train", [30, 40])
    assert (test.name, test.y.tolist()) == ("test", [5, 5])
    assert train.marker.color != test.marker.color
    assert train.marker.pattern.shape != test.marker.pattern.shape
    assert figure.layout.meta["summary"] == (
        "2 classes; train: 70 pictures, from 30 (cat) to 40 (dog) a class; "
        "test: 10 pictures, 5 of each class."
    )


def test_names_are_escaped_and_distinct():
    assert list(class_counts({"train": [1, 1, 1]}, ["<b>", "x", "x"]).data[0].x) == [
        "&lt;b&gt;",
        "x",
        "x (2)",
    ]


def test_a_class_without_pictures_is_named():
    assert "from 0 (dog)" in class_counts({"train": [3, 0]}, ["cat", "dog"]).layout.meta["summary"]


def test_a_thousand_classes_share_bars():
    figure = class_counts({"train": np.ones(1000)}, list(map(str, range(1000))))
    assert len(figure.data[0].y) == 200 and figure.data[0].y.sum() == 1000
    assert "5 a bar" in figure.layout.xaxis.title.text


def test_one_count_for_each_class():
    with pytest.raises(InvalidSetting, match="train has counts of shape"):
        class_counts({"train": [1, 2, 3]}, ["a", "b"])
