"""How much a model's confidence can be relied on: plain numbers."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Reliability:
    """Confidence against accuracy, bin by bin.

    Attributes:
        edges: (B + 1,) float64, borders of the bins, 0 to 1; the last bin holds its upper border too.
        counts: (B,) int64, images in each.
        confidence: (B,) float64, their mean confidence; NaN where there are none.
        accuracy: (B,) float64, the share of them that is named right; NaN where there are none.
        ece: mean distance between both, weighted by images.
        mce: the largest one.
        brier: mean squared distance between the probabilities of all classes and the truth, 0 to 2.
        by_chance: ECE that a perfectly calibrated model of these confidences stays below in 95 of 100 draws.
    """

    edges: np.ndarray
    counts: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray
    ece: float
    mce: float
    brier: float
    by_chance: float


@dataclass(frozen=True, eq=False)
class Calibration:
    """What a temperature does that was fitted to one half of the images, on the other half.

    Attributes:
        whole: all images, as they come.
        temperature: what logits are divided by; above 1 the model is too sure.
        before: the half that was not fitted to, as it comes.
        after: the same half with the temperature.
        fitted_images: in the half that was fitted to; 0 where there were too few to split.
    """

    whole: Reliability
    temperature: float
    before: Reliability
    after: Reliability
    fitted_images: int


@dataclass(frozen=True, eq=False)
class Coverage:
    """Accuracy when the model may be silent about what it is least sure of; confidence of right and wrong.

    Attributes:
        coverage: (P,) float64, share of images that it answers, rising to 1.
        accuracy: (P,) float64, share of those that it names right.
        error_area: mean error over all coverages (AURC); 0 is best.
        separation: chance that a right answer is more confident than a wrong one (AUROC), 0.5: confidence says
            nothing; NaN where all are right or all wrong.
        edges: (B + 1,) float64, borders of the bins of confidence.
        right: (B,) int64, right answers in each.
        wrong: (B,) int64, wrong answers in each.
    """

    coverage: np.ndarray
    accuracy: np.ndarray
    error_area: float
    separation: float
    edges: np.ndarray
    right: np.ndarray
    wrong: np.ndarray
