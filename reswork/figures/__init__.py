"""Figures: numbers in, a plotly figure out; no torch, no widgets, the same picture for the same numbers."""

from reswork.figures.confusion import confusion_matrix
from reswork.figures.costs import cost_by_layer
from reswork.figures.counts import class_counts
from reswork.figures.curves import accuracy_curves, loss_curves
from reswork.figures.gradients import gradient_norms, gradient_profile
from reswork.figures.images import image_grid
from reswork.figures.map_overlays import attribution_maps
from reswork.figures.network_drawing import network
from reswork.figures.rates import learning_rate, schedule, throughput
from reswork.figures.shortcut_bars import shortcut_attributions
from reswork.figures.trust_meter import randomisation_curve, trust_curves

__all__ = [
    "accuracy_curves",
    "attribution_maps",
    "class_counts",
    "confusion_matrix",
    "cost_by_layer",
    "gradient_norms",
    "gradient_profile",
    "image_grid",
    "learning_rate",
    "loss_curves",
    "network",
    "randomisation_curve",
    "schedule",
    "shortcut_attributions",
    "throughput",
    "trust_curves",
]
