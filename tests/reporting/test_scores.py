import numpy as np
import pytest
from sklearn import metrics

from reswork.reporting.predictions import checked_predictions
from reswork.reporting.scores import class_scores, confusion_order, log_probabilities, mistakes


def test_every_number_is_scikit_learns(predictions):
    found, labels, predicted = class_scores(predictions), predictions.labels, predictions.predicted
    table = predictions.probabilities.astype(np.float64)
    table /= table.sum(axis=1, keepdims=True)
    wanted = {
        "loss": metrics.log_loss(labels, table),
        "top1": metrics.accuracy_score(labels, predicted),
        "precision": metrics.precision_score(labels, predicted, average="macro"),
        "recall": metrics.recall_score(labels, predicted, average="macro"),
        "f1": metrics.f1_score(labels, predicted, average="macro"),
        "top5": 1.0,
    }
    assert dict(found.metrics) == pytest.approx(wanted, abs=1e-6)
    assert np.array_equal(found.confusion, metrics.confusion_matrix(labels, predicted))
    rows = np.stack([found.precision, found.recall, found.f1])
    assert rows == pytest.approx(
        np.array(metrics.precision_recall_fscore_support(labels, predicted)[:3]), abs=1e-6
    )


def test_top_5_of_more_classes_is_scikit_learns(make_predictions):
    many = make_predictions(wide=12, sharpness=1.0)
    wanted = metrics.top_k_accuracy_score(many.labels, many.probabilities, k=5)
    assert class_scores(many).metrics["top5"] == pytest.approx(wanted, abs=1e-6)


def test_a_class_without_images_has_no_scores_and_no_warning():
    found = class_scores(checked_predictions([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0]], [0, 0]))
    assert np.isnan(found.recall[1:]).all() and np.isnan(found.precision[2])
    assert found.support.tolist() == [2, 0, 0] and found.metrics["top1"] == 0.5


def test_a_probability_of_0_for_the_truth_is_a_large_loss_not_an_infinite_one():
    found = class_scores(checked_predictions([[1.0, 0.0]], [1]))
    assert found.metrics["loss"] == pytest.approx(-float(np.log(np.finfo(np.float32).tiny)))
    assert np.isfinite(log_probabilities(np.zeros((1, 2)))).all()


def test_confused_classes_stand_together():
    groups = [(0, 3, 6), (1, 4), (2, 5)]
    confusion = np.diag([50] * 7)
    for group in groups:
        for i in group:
            for j in group:
                confusion[i, j] += 0 if i == j else 20
    order = confusion_order(confusion).tolist()
    assert sorted(order) == list(range(7))
    for group in groups:
        at = sorted(order.index(k) for k in group)
        assert at == list(range(at[0], at[0] + len(group)))


def test_nothing_confused_or_nothing_counted_keeps_the_order():
    assert confusion_order(np.eye(4)).tolist() == [0, 1, 2, 3] == confusion_order(np.zeros((4, 4))).tolist()


def test_mistakes_begin_with_the_most_confident(predictions):
    found = mistakes(predictions)
    assert len(found.images) == (predictions.predicted != predictions.labels).sum() > 5
    assert (np.diff(found.confidence) <= 0).all() and (found.true != found.predicted).all()
    assert np.array_equal(predictions.probabilities[found.images].max(axis=1), found.confidence)
