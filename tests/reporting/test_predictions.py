import numpy as np
import pytest
import torch

from reswork.errors import InvalidSetting
from reswork.reporting.predictions import checked_predictions

GOOD = np.array([[0.5, 0.5], [0.25, 0.75], [1.0, 0.0]])
IMAGES = np.zeros((3, 1, 4, 4), np.uint8)


def test_tensors_lists_and_arrays_are_the_same():
    some = [checked_predictions(each, [0, 1, 0]) for each in (GOOD, GOOD.tolist(), torch.tensor(GOOD))]
    for each in some:
        assert np.array_equal(each.probabilities, GOOD.astype(np.float32)) and each.classes == ("0", "1")
        assert each.right.tolist() == [True, True, True] and each.labels.dtype == np.int64


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"probabilities": [[0.5, 0.5], [np.nan, 1.0]]}, "row 1 of probabilities has a value that is NaN"),
        (
            {"probabilities": [[0.5, 0.5], [0.5, 0.6]]},
            "row 1 of probabilities sums to 1.1, not to 1; divide each row",
        ),
        ({"probabilities": [[2.0, -1.0]]}, r"outside 0 to 1, as logits have; give softmax\(logits\)"),
        ({"probabilities": np.zeros((0, 3))}, "of no image"),
        ({"probabilities": [0.5, 0.5]}, r"give numbers \(N, K\)"),
        ({"probabilities": [[0.5, 0.5], [1.0]]}, "give equal rows"),
        ({"labels": [0, 1]}, r"labels of shape \(2,\) for 3 rows"),
        ({"labels": [0, 2, 0]}, "row 1 of labels is 2, and there are 2 classes; use 0 to 1"),
        ({"labels": [0, -1, 0]}, "row 1 of labels is -1"),
        ({"labels": [0, np.nan, 0]}, "row 1 of labels is no whole number"),
        ({"labels": ["a", "b", "a"]}, "names in classes"),
        ({"classes": ["a"]}, "1 class names for 2 columns"),
        ({"images": IMAGES[:2]}, r"give \(3, C, H, W\) uint8"),
        ({"images": IMAGES.astype(float)}, "type float64"),
        ({"embeddings": np.zeros((2, 5))}, "embeddings of shape"),
        ({"embeddings": np.full((3, 5), np.inf)}, "row 0 of embeddings has a value that is NaN or infinite"),
        ({"columns": {"camera": ["x"]}}, "column 'camera' has shape"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(changed, told):
    given = {"probabilities": GOOD, "labels": None if "probabilities" in changed else [0, 1, 0], **changed}
    with pytest.raises(InvalidSetting, match=told) as refused:
        checked_predictions(given.pop("probabilities"), given.pop("labels"), **given)
    assert "\n" not in refused.value.message


def test_without_labels_only_what_needs_them_is_refused():
    found = checked_predictions(GOOD, images=IMAGES)
    assert found.labels is None and found.confidence.tolist() == [0.5, 0.75, 1.0]
    with pytest.raises(InvalidSetting, match="give labels="):
        _ = found.right


def test_embeddings_by_layer_keep_their_order():
    found = checked_predictions(GOOD, embeddings={"layer1": np.zeros((3, 2)), "layer2": np.ones((3, 4))})
    assert list(found.embeddings) == ["layer1", "layer2"] and found.features.shape == (3, 4)
