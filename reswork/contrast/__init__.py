"""Two trained models beside each other: changed answers, distances, and the weights between both."""

from reswork.contrast.answers import changed_answers, mcnemar, sample
from reswork.contrast.comparison import ModelComparison, compare_models
from reswork.contrast.distances import feature_distances, weight_distances
from reswork.contrast.weights import average, weight_path

__all__ = [
    "ModelComparison",
    "average",
    "changed_answers",
    "compare_models",
    "feature_distances",
    "mcnemar",
    "sample",
    "weight_distances",
    "weight_path",
]
