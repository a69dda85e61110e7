"""Values of several seeds, as a row and as words."""

import numpy as np


def latest(values: np.ndarray) -> np.ndarray:
    """The last value of each row (S, E) that is there; NaN where there is none."""
    known = np.isfinite(values)
    last = values.shape[1] - 1 - known[:, ::-1].argmax(axis=1)
    return np.where(known.any(axis=1), values[np.arange(len(values)), last], np.nan)


def percent(values: np.ndarray) -> str:
    """Shares (S,) as their mean with smallest and largest, in percent; nothing where none is known."""
    known = 100 * values[np.isfinite(values)]
    if not len(known):
        return ""
    spread = (
        f" ({known.min():.1f} to {known.max():.1f}, {len(known)} seeds)" if len(known) > 1 else " (1 seed)"
    )
    return f"{known.mean():.1f} %{spread}"


def points(gaps: np.ndarray) -> str:
    """Differences of shares (S,), likewise, in percentage points."""
    known = 100 * gaps
    return f"{known.mean():+.1f} ({known.min():+.1f} to {known.max():+.1f})"


def standard_error(values: np.ndarray) -> float:
    """Of the mean of values (S,); 0 for one alone."""
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0
