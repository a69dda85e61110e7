"""The learning rate over a run, as plain numbers: the loop follows them, a figure draws them beforehand."""

import numpy as np

from reswork.training.recipe import Recipe, steps_per_epoch, total_steps

_ONE_CYCLE_RISE = 0.3  # Smith and Topin, arXiv 1708.07120; fractions as in torch's OneCycleLR
_ONE_CYCLE_START = 1 / 25
_ONE_CYCLE_END = 1e-4 / 25


def learning_rates(recipe: Recipe, images: int, points: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The learning rate of every update, before anything is trained.

    Read from it where the rate falls and how small it ends. ``constant`` stays; ``step`` is multiplied by
    ``decay_factor`` at each of the milestones; ``cosine`` falls along half a cosine to nearly 0;
    ``one_cycle`` rises from 1/25 during 30 % of the run and falls to 1/250,000, without other warm-up.

    Args:
        recipe: schedule, warm-up, length.
        images: training images of the data set.
        points: about so many steps, evenly spaced, first and last among them; None: all.

    Returns:
        Steps (n,) int64, from 1, and rates (n,) float64.
    """
    total = total_steps(recipe, images)
    steps = np.arange(1, total + 1)
    if points is not None and points < total:
        steps = np.unique(np.linspace(1, total, max(2, points)).round().astype(np.int64))
    warmup = min(total, round(recipe.warmup_epochs * steps_per_epoch(recipe, images)))
    return steps, recipe.learning_rate * _factors(recipe, (steps - 1).astype(np.float64), total, warmup)


def _factors(recipe: Recipe, done: np.ndarray, total: int, warmup: int) -> np.ndarray:
    """What the peak rate is multiplied by after `done` of `total` updates."""
    if recipe.schedule == "one_cycle":
        return _one_cycle(done / max(1, total - 1))
    if recipe.schedule == "constant":
        factors = np.ones_like(done)
    elif recipe.schedule == "step":
        passed = np.searchsorted(np.asarray(recipe.milestones), done / total + 1e-12)
        factors = recipe.decay_factor**passed
    else:
        after = np.clip((done - warmup) / max(1, total - warmup), 0, 1)
        factors = (1 + np.cos(np.pi * after)) / 2
    rise = (done + 1) / (warmup + 1)
    return np.where(done < warmup, rise, factors)


def _one_cycle(progress: np.ndarray) -> np.ndarray:
    up = _between(_ONE_CYCLE_START, 1.0, progress / _ONE_CYCLE_RISE)
    down = _between(1.0, _ONE_CYCLE_END, (progress - _ONE_CYCLE_RISE) / (1 - _ONE_CYCLE_RISE))
    return np.where(progress < _ONE_CYCLE_RISE, up, down)


def _between(start: float, end: float, share: np.ndarray) -> np.ndarray:
    """From start to end along half a cosine."""
    return end + (start - end) * (1 + np.cos(np.pi * np.clip(share, 0, 1))) / 2
