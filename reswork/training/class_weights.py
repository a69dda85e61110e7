"""What each class counts in the training loss of unbalanced data."""

import torch
from torch import Tensor

from reswork.errors import InvalidSetting
from reswork.training.recipe import Recipe


def class_weights(recipe: Recipe, targets: Tensor, classes: int, ignored: int | None = None) -> Tensor | None:
    """The recipe's weight of each class; with ``"balanced"`` all classes together weigh the same.

    A class has the weight ``n / (k * count)``, with n targets in k classes that occur, as scikit-learn's
    ``compute_class_weight``; a class that never occurs has 0.

    Args:
        recipe: with its ``class_weights``.
        targets: of the training split: labels (N,), or masks (N, H, W), whose pixels are counted.
        classes: K.
        ignored: a target that counts nowhere; None: there is none.

    Returns:
        (K,) float32 on the device of the targets; None where all classes count alike.

    Raises:
        InvalidSetting: if the recipe has not one weight for each class.
    """
    wanted = recipe.class_weights
    if wanted is None:
        return None
    if wanted != "balanced":
        if len(wanted) != classes:
            raise InvalidSetting(
                "class_weights",
                f"class_weights has {len(wanted)} numbers, and the data {classes} classes; "
                "give one for each, or 'balanced'",
            )
        return torch.tensor(wanted, dtype=torch.float32, device=targets.device)
    counts = torch.zeros(classes, dtype=torch.int64)
    for part in targets.split(
        1_000
    ):  # masks are counted in pieces: as int64 they take eight times the memory
        found = part.flatten() if ignored is None else part[part != ignored]
        counts += torch.bincount(found.long().cpu(), minlength=classes)[:classes]
    there = counts > 0
    weights = torch.where(there, counts.sum() / (there.sum() * counts.clamp(min=1)), 0.0)
    return weights.float().to(targets.device)
