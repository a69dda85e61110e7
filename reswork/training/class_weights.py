"""What each class counts in the training loss of unbalanced data."""

import numpy as np

from reswork.errors import InvalidSetting
from reswork.training.recipe import Recipe


def class_weights(recipe: Recipe, counts: np.ndarray) -> np.ndarray | None:
    """The recipe's weight of each class; with ``"balanced"`` all classes together weigh the same.

    A class then has the weight ``n / (k * count)``, with n images (or pixels) in k classes that occur, as scikit-learn
    does (``compute_class_weight``); a class that never occurs has 0.

    Args:
        recipe: with its ``class_weights``.
        counts: (K,) training images, for masks pixels, of each class, as `Dataset.class_counts` gives them.

    Returns:
        (K,) float32; None where all classes count alike.

    Raises:
        InvalidSetting: if the recipe has not one weight for each class.
    """
    wanted = recipe.class_weights
    if wanted is None:
        return None
    if wanted != "balanced":
        if len(wanted) != len(counts):
            raise InvalidSetting(
                "class_weights",
                f"class_weights has {len(wanted)} numbers, and the data {len(counts)} classes; "
                "give one for each, or 'balanced'",
            )
        return np.array(wanted, np.float32)
    there = counts > 0
    weights = np.zeros(len(counts))
    weights[there] = counts.sum() / (there.sum() * counts[there])
    return weights.astype(np.float32)
