"""How well one number tells two kinds apart, at every threshold."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from reswork.errors import InvalidSetting


@dataclass(frozen=True, eq=False)
class Roc:
    """Shares of both kinds at or above each threshold, from the highest threshold down.

    Attributes:
        false: (T,) float64, share of the others that is taken for the kind that is looked for (FAR), 0 to 1.
        true: (T,) float64, share of that kind that is found (TAR), 0 to 1.
        thresholds: (T,) float64; the first is infinite.
    """

    false: np.ndarray
    true: np.ndarray
    thresholds: np.ndarray

    @property
    def area(self) -> float:
        """Below the curve: how often a random one of the kind has a higher score than a random other."""
        return float((np.diff(self.false) * (self.true[1:] + self.true[:-1]) / 2).sum())

    @property
    def equal_error(self) -> float:
        """The rate at which as many are missed as are taken wrongly, straight lines between the thresholds."""
        missed = 1 - self.true
        after = int(np.argmax(self.false >= missed))
        if after == 0:
            return float(self.false[0])
        before = after - 1
        gap = missed[before] - self.false[before], self.false[after] - missed[after]
        share = gap[0] / (gap[0] + gap[1])
        return float(self.false[before] + share * (self.false[after] - self.false[before]))

    def true_at(self, false: float) -> float:
        """The largest share that is found while at most so many of the others are taken wrongly (TAR at a FAR).

        Args:
            false: 0 to 1.
        """
        return float(self.true[self.false <= false].max())

    def threshold_at(self, false: float) -> float:
        """The lowest threshold at which at most so many of the others are taken wrongly."""
        return float(self.thresholds[self.false <= false][-1])


def roc(scores: np.ndarray | Tensor, looked_for: np.ndarray | Tensor) -> Roc:
    """The curve of some scores, by torchmetrics.

    Args:
        scores: (N,), higher for what is looked for.
        looked_for: (N,) bool.

    Raises:
        InvalidSetting: numbers that are not finite, or only one kind.

    Reference:
        scikit-learn's ``roc_curve(drop_intermediate=False)``, to which it is equal.

    Example:
        >>> found = roc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True]))
        >>> found.area, found.true_at(0.0)
        (0.75, 0.5)
    """
    from torchmetrics.functional.classification import binary_roc  # half a thousand modules

    values = torch.as_tensor(scores).detach().double().flatten().cpu()
    truth = torch.as_tensor(looked_for).flatten().cpu().bool()
    if len(values) != len(truth) or not bool(torch.isfinite(values).all()):
        raise InvalidSetting(
            "scores", f"{len(values)} scores for {len(truth)} cases: give a finite one for each"
        )
    if not bool(truth.any()) or bool(truth.all()):
        raise InvalidSetting("looked_for", "all cases are of one kind: a curve needs both")
    levels, ranks = values.unique(return_inverse=True)
    # ranks, from 0 to 1: torchmetrics would take other numbers for logits and squeeze them together
    false, true, found = binary_roc(ranks.double() / max(len(levels) - 1, 1), truth.long(), thresholds=None)
    places = (found[1:] * max(len(levels) - 1, 1)).round().long()
    thresholds = np.concatenate([[np.inf], levels[places].numpy()])
    found_wrongly, found_rightly = (
        (share.double() * count).round().numpy() / count  # from single to double precision
        for share, count in ((false, int((~truth).sum())), (true, int(truth.sum())))
    )
    return Roc(found_wrongly, found_rightly, thresholds)
