import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from reswork.reporting.alike_classes import alike_classes, area_error, separation
from reswork.reporting.predictions import checked_predictions


def test_the_area_is_scikit_learns():
    rng = np.random.default_rng(0)
    one, two = rng.integers(0, 9, 50), rng.integers(0, 7, 80)  # with ties
    wanted = roc_auc_score([1] * 50 + [0] * 80, [*one, *two])
    assert separation(one, two) == pytest.approx(wanted, abs=1e-9)


def test_its_error_is_that_of_many_draws():
    rng = np.random.default_rng(0)
    drawn = [separation(rng.normal(1, 1, 40), rng.normal(0, 1, 60)) for _ in range(600)]
    assert area_error(float(np.mean(drawn)), 40, 60) == pytest.approx(np.std(drawn), rel=0.15)


def test_a_class_that_was_cut_in_two_is_found_and_no_other(make_predictions):
    whole = make_predictions(count=900, sharpness=2.0)
    labels = np.where((whole.labels == 4) & (np.arange(900) % 2 == 0), 5, whole.labels)
    part = np.random.default_rng(0).uniform(0.4, 0.6, 900).astype(np.float32)
    last = whole.probabilities[:, 4]
    table = np.column_stack([whole.probabilities[:, :4], last * part, last * (1 - part)])
    found = alike_classes(checked_predictions(table, labels))
    assert (found.first.tolist(), found.second.tolist()) == ([4], [5])
    assert found.separation[0] == pytest.approx(0.5, abs=0.1) and found.confused[0] > 20
    assert len(alike_classes(whole)) == 0
