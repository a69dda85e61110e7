"""What a convolution has learned, as numbers."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Filters:
    """The weights of one convolution and how they react to frequencies.

    Attributes:
        layer: its name.
        kernels: (O, I, h, w) float32; I: input channels of a group.
        norms: (O,) float32, 2-norm of each filter.
        spectrum: (O, S, S) float32, magnitude of the frequency response, root mean square over the input
            channels; frequency zero in the middle, at [S // 2, S // 2].
        singular_values: (min(O, I h w),) float32, falling, of the weights as a matrix (O, I h w).
    """

    layer: str
    kernels: np.ndarray
    norms: np.ndarray
    spectrum: np.ndarray
    singular_values: np.ndarray

    @property
    def effective_rank(self) -> float:
        """How many directions the filters really span: exp of the entropy of the singular values' shares.

        From 1 (all filters alike) to their number (all different and equally strong).

        Reference:
            Roy and Vetterli, "The effective rank", EUSIPCO 2007.
        """
        total = float(self.singular_values.sum())
        if not total > 0:
            return 0.0
        shares = self.singular_values[self.singular_values > 0].astype(np.float64) / total
        return float(np.exp(-(shares * np.log(shares)).sum()))
