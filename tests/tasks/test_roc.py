"""The curve against scikit-learn's."""

import numpy as np
import pytest
from scipy.optimize import brentq
from sklearn.metrics import roc_auc_score, roc_curve

from reswork.errors import InvalidSetting
from reswork.tasks import roc


@pytest.mark.parametrize("ties", [False, True])
def test_the_curve_is_that_of_scikit_learn(ties: bool) -> None:
    random = np.random.RandomState(0)
    truth = random.uniform(size=700) < 0.2
    scores = random.normal(size=700) * 3 - 40 + 4 * truth  # far from 0 to 1, where others squeeze them
    scores = scores.round() if ties else scores
    found = roc(scores, truth)
    false, true, thresholds = roc_curve(truth, scores, drop_intermediate=False)
    np.testing.assert_allclose(found.false, false, atol=1e-12)
    np.testing.assert_allclose(found.true, true, atol=1e-12)
    np.testing.assert_array_equal(found.thresholds, thresholds)
    assert found.area == pytest.approx(roc_auc_score(truth, scores), abs=1e-6)
    equal = brentq(lambda share: 1 - share - np.interp(share, false, true), 0, 1, xtol=1e-12)
    assert found.equal_error == pytest.approx(equal, abs=1e-6)
    for far in (0.0, 0.01, 0.05, 1.0):
        assert found.true_at(far) == max(true[false <= far])
        threshold = found.threshold_at(far)
        assert (scores[~truth] >= threshold).mean() <= far
        assert (scores[truth] >= threshold).mean() == pytest.approx(found.true_at(far))


def test_what_has_one_kind_or_no_number_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="all cases are of one kind"):
        roc(np.arange(3.0), np.ones(3, bool))
    with pytest.raises(InvalidSetting, match="give a finite one"):
        roc(np.array([0.0, np.nan]), np.array([True, False]))
    assert roc(np.array([2.0, 1.0]), np.array([True, False])).equal_error == 0
    assert roc(np.array([1.0, 2.0]), np.array([True, False])).equal_error == 1
