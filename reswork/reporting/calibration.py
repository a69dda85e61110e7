"""Whether confidence means what it says, and the temperature that would mend it."""

import numpy as np
import scipy

from reswork.reporting.predictions import Predictions
from reswork.reporting.scores import log_probabilities
from reswork.results.confidence import Calibration, Coverage, Reliability

BINS = 15
_DRAWS, _LEVEL = 200, 0.95
_LEAST = 40  # images that are split into halves
_TEMPERATURES = (0.05, 20.0)
_POINTS = 200  # of the curve over coverage


def calibration(predictions: Predictions, *, seed: int = 0) -> Calibration:
    """Reliability as it is, and with a temperature that is fitted to one half and judged on the other.

    Args:
        predictions: with labels.
        seed: which images are in which half.

    Raises:
        InvalidSetting: labels are not known.

    Reference:
        Guo et al. 2017, arXiv 1706.04599.
    """
    labels, probabilities = predictions.known_labels, predictions.probabilities
    whole = reliability(probabilities, labels, seed=seed)
    if len(labels) < _LEAST:
        return Calibration(whole, 1.0, whole, whole, 0)
    drawn = np.random.default_rng(seed).permutation(len(labels))
    fitted, judged = drawn[: len(labels) // 2], drawn[len(labels) // 2 :]
    temperature = best_temperature(probabilities[fitted], labels[fitted])
    cooled = scipy.special.softmax(log_probabilities(probabilities[judged]) / temperature, axis=1).astype(
        np.float32
    )
    return Calibration(
        whole,
        temperature,
        reliability(probabilities[judged], labels[judged], seed=seed),
        reliability(cooled, labels[judged], seed=seed),
        len(fitted),
    )


def best_temperature(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The number that logits are to be divided by, for the least cross-entropy; 0.05 to 20."""
    logits, rows = log_probabilities(probabilities), np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        return -float(
            scipy.special.log_softmax(logits / np.exp(log_temperature), axis=1)[rows, labels].mean()
        )

    low, high = np.log(_TEMPERATURES)
    found = scipy.optimize.minimize_scalar(
        loss, bounds=(low, high), method="bounded", options={"xatol": 1e-4}
    )
    return float(np.exp(found.x))


def reliability(
    probabilities: np.ndarray, labels: np.ndarray, *, bins: int = BINS, seed: int = 0
) -> Reliability:
    """Confidence against accuracy in bins of equal width.

    A confidence of exactly 1 is in the last bin, as Guo et al. have it; torchmetrics counts it in a bin of its own.

    Args:
        probabilities: (N, K).
        labels: (N,).
        bins: how many.
        seed: of the draws that say which ECE comes by chance.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    edges = np.linspace(0, 1, bins + 1)
    index = np.minimum(np.digitize(confidence, edges.astype(np.float32)) - 1, bins - 1)
    counts = np.bincount(index, minlength=bins)
    with np.errstate(invalid="ignore"):
        sure = np.bincount(index, confidence, bins) / counts
        accuracy = np.bincount(index, right, bins) / counts
    gaps = np.nan_to_num(np.abs(accuracy - sure))
    squares = np.square(probabilities, dtype=np.float64).sum(axis=1)
    true = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return Reliability(
        edges, counts, sure, accuracy, float((gaps * counts).sum() / len(labels)), float(gaps.max()),
        float((squares - 2 * true + 1).mean()), _by_chance(confidence, index, bins, seed),
    )  # fmt: skip


def _by_chance(confidence: np.ndarray, index: np.ndarray, bins: int, seed: int) -> float:
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(_DRAWS):
        right = rng.random(len(confidence)) < confidence
        found.append(np.abs(np.bincount(index, right - confidence, bins)).sum() / len(confidence))
    return float(np.quantile(found, _LEVEL))


def coverage(predictions: Predictions) -> Coverage:
    """Accuracy when the least confident answers are held back, and the confidence of right and wrong answers.

    Raises:
        InvalidSetting: labels are not known.

    Reference:
        Geifman and El-Yaniv 2017, arXiv 1705.08500.
    """
    from sklearn.metrics import roc_auc_score  # takes a second to import

    right, confidence = predictions.right, predictions.confidence
    order = np.argsort(-confidence, kind="stable")
    answered = np.arange(1, len(right) + 1)
    accuracy = np.cumsum(right[order]) / answered
    kept = np.unique(np.linspace(0, len(right) - 1, min(_POINTS, len(right))).astype(int))
    edges = np.linspace(0, 1, 21)
    mixed = bool(right.any() and not right.all())
    return Coverage(
        answered[kept] / len(right),
        accuracy[kept],
        float((1 - accuracy).mean()),
        float(roc_auc_score(right, confidence)) if mixed else float("nan"),
        edges,
        np.histogram(confidence[right], edges)[0],
        np.histogram(confidence[~right], edges)[0],
    )
