"""All figures that a run's record is enough for."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from reswork import figures
from reswork.history import History
from reswork.store.saved_run import SavedRun

Figure = Any  # plotly is known to the figures alone

# series or group that it needs -> title and figure
_OF_RECORD: tuple[tuple[str, str, Callable[[History], Figure]], ...] = (
    ("learning_rate", "Learning rate", figures.learning_rate),
    ("images_per_second", "Images per second", figures.throughput),
    ("grad_norm", "Gradient norm of each layer", figures.gradient_norms),
    ("grad_norm", "Gradient norm over depth", figures.gradient_profile),
    ("update_ratio", "Update of each layer", figures.update_ratios),
    ("update_ratio", "Update over depth", figures.update_profile),
    ("activation_std", "Activations", figures.activations),
    ("dead_share", "Dead units", figures.dead_units),
    ("shortcut_size", "Shortcut and branch", figures.shortcut_and_branch),
    ("shortcut_branch_cosine", "Shortcut against branch, direction", figures.shortcut_cosine),
    ("shortcut_gradient", "Gradient over shortcut and branch", figures.shortcut_gradients),
    ("stream_variance", "Variance of the signal", figures.signal_variance),
    ("noise_scale", "Gradient noise scale", figures.noise_scale),
)


def curves(histories: Mapping[str, History | Sequence[History]]) -> dict[str, Figure]:
    """Loss and accuracy of several runs over each other, by title."""
    return {"Loss": figures.loss_curves(histories), "Accuracy": figures.accuracy_curves(histories)}


def figures_of(run: SavedRun) -> dict[str, Figure]:
    """By title: what is drawn of one run alone, where it was recorded, and its confusion matrix."""
    history = run.history
    recorded = {*history.names, *history.groups}
    found = {title: draw(history) for name, title, draw in _OF_RECORD if name in recorded}
    kept = history.array("confusion/test")
    if kept is not None and kept[1].shape == (len(run.classes), len(run.classes)):
        found["Confusion matrix"] = figures.confusion_matrix(kept[1], run.classes)
    return found
