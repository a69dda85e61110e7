import numpy as np
import pytest
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores

from reswork.reporting.label_errors import label_issues
from reswork.reporting.predictions import Predictions, checked_predictions


def with_wrong_labels(given: Predictions, share: float = 0.1) -> tuple[Predictions, np.ndarray]:
    rng = np.random.default_rng(3)
    rows = rng.permutation(len(given))[: int(share * len(given))]
    labels = given.known_labels.copy()
    labels[rows] = (labels[rows] + rng.integers(1, 5, len(rows))) % 5
    return checked_predictions(given.probabilities, labels), np.sort(rows)


@pytest.mark.parametrize("sharpness", [1.0, 3.0, 6.0])
def test_the_issues_are_cleanlabs_in_its_order(make_predictions, sharpness):
    given, _ = with_wrong_labels(make_predictions(sharpness=sharpness))
    wanted = find_label_issues(
        given.labels, given.probabilities, filter_by="confident_learning",
        return_indices_ranked_by="self_confidence", n_jobs=1,
    )  # fmt: skip
    found = label_issues(given)
    assert sorted(found.images.tolist()) == sorted(wanted.tolist()) and len(found) > 20
    scores = get_label_quality_scores(given.labels, given.probabilities, method="self_confidence")
    assert found.score == pytest.approx(scores[wanted], abs=1e-6)


def test_planted_errors_are_found_and_the_truth_is_suggested(make_predictions):
    clean = make_predictions(sharpness=8.0)
    given, rows = with_wrong_labels(clean)
    found = label_issues(given)
    assert len(np.intersect1d(found.images, rows)) >= 0.95 * len(rows) and len(found) <= 1.1 * len(rows)
    assert (found.suggested == clean.labels[found.images]).mean() > 0.95
    assert len(label_issues(clean)) <= 3


def test_a_class_without_images_and_a_threshold(make_predictions):
    given, _ = with_wrong_labels(make_predictions())
    wide = np.pad(given.probabilities, ((0, 0), (0, 1)))
    found = label_issues(checked_predictions(wide, given.labels))
    assert np.isnan(found.thresholds[5]) and np.array_equal(found.images, label_issues(given).images)
    few = found.below(0.01)
    assert 0 < len(few) < len(found) and few.score.max() < 0.01
