import numpy as np
import pytest
import torch
from scipy.special import softmax
from sklearn.metrics import brier_score_loss, roc_auc_score
from torchmetrics.functional.classification import multiclass_calibration_error

from reswork.reporting.calibration import best_temperature, calibration, coverage, reliability
from reswork.reporting.predictions import checked_predictions


@pytest.mark.parametrize("sharpness", [1.0, 4.0])
def test_ece_and_mce_are_torchmetrics(make_predictions, sharpness):
    given = make_predictions(sharpness=sharpness)
    found = reliability(given.probabilities, given.labels)
    tensors = torch.from_numpy(given.probabilities), torch.from_numpy(given.labels)
    for name, norm in (("ece", "l1"), ("mce", "max")):
        wanted = multiclass_calibration_error(*tensors, num_classes=5, n_bins=15, norm=norm)
        assert getattr(found, name) == pytest.approx(float(wanted), abs=1e-6)
    assert found.counts.sum() == len(given)


def test_brier_is_scikit_learns(make_predictions):
    given = make_predictions(wide=2)
    wanted = 2 * brier_score_loss(given.labels, given.probabilities[:, 1])
    assert reliability(given.probabilities, given.labels).brier == pytest.approx(wanted, abs=1e-6)


def test_a_confidence_of_1_is_in_the_last_bin():
    found = reliability(np.array([[1.0, 0.0], [0.0, 1.0]], np.float32), np.array([0, 0]))
    assert found.counts[-1] == 2 and found.accuracy[-1] == 0.5 and found.ece == 0.5


def drawn(temperature: float, count: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Labels drawn from probabilities, and these probabilities made too sure by a temperature."""
    rng = np.random.default_rng(1)
    logits = 2 * rng.normal(size=(count, 4))
    true = softmax(logits, axis=1)
    labels = (true.cumsum(axis=1) > rng.random((count, 1))).argmax(axis=1)
    return softmax(logits * temperature, axis=1).astype(np.float32), labels


def test_the_temperature_is_found_and_mends_the_other_half():
    probabilities, labels = drawn(2.5)
    assert best_temperature(probabilities, labels) == pytest.approx(2.5, rel=0.1)
    found = calibration(checked_predictions(probabilities, labels))
    assert found.fitted_images == 2000 and found.before.counts.sum() == 2000
    assert found.temperature == pytest.approx(2.5, rel=0.15)
    assert found.after.ece < found.after.by_chance < found.before.ece / 2


def test_a_calibrated_model_is_within_chance_and_an_overconfident_one_is_not():
    assert reliability(*drawn(1.0)).ece < reliability(*drawn(1.0)).by_chance
    assert reliability(*drawn(1.5)).ece > reliability(*drawn(1.5)).by_chance


def test_few_images_are_not_split():
    found = calibration(checked_predictions([[0.9, 0.1], [0.2, 0.8]], [0, 0]))
    assert found.fitted_images == 0 and found.temperature == 1 and found.after is found.whole


def test_coverage_is_the_obvious_loop(predictions):
    found = coverage(predictions)
    order = sorted(range(len(predictions)), key=lambda k: -predictions.confidence[k])
    for share, accuracy in zip(found.coverage, found.accuracy, strict=True):
        kept = order[: round(share * len(order))]
        assert accuracy == pytest.approx(np.mean([predictions.right[k] for k in kept]))
    assert found.coverage[-1] == 1 and found.accuracy[-1] == pytest.approx(predictions.right.mean())
    wanted = roc_auc_score(predictions.right, predictions.confidence)
    assert found.separation == pytest.approx(wanted, abs=1e-6)
    assert found.right.sum() + found.wrong.sum() == len(predictions)


def test_all_right_has_no_separation():
    assert np.isnan(coverage(checked_predictions([[0.9, 0.1]] * 3, [0, 0, 0])).separation)
