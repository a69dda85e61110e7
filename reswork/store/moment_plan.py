"""Which steps of a training are kept as moments: dense early, even later, and thinned where room is short."""

from collections.abc import Sequence

import numpy as np

MOST_MOMENTS = 240  # of one run, however small they are
_EARLY = 4.0  # steps after which the first gap is doubled


def planned_steps(total: int, most: int) -> tuple[int, ...]:
    """The steps at which to keep a moment: half of them by the logarithm of the step, half evenly.

    Args:
        total: updates of the run.
        most: moments there is room for; fewer than 2 count as 2.

    Returns:
        Growing steps, from 0 to ``total``, at most ``most`` of them.

    Example:
        >>> planned_steps(400, 12)
        (0, 5, 14, 31, 56, 90, 131, 178, 229, 284, 341, 400)
        >>> planned_steps(3, 12)
        (0, 1, 2, 3)
    """
    most = max(most, 2)
    if total < most:
        return tuple(range(total + 1))
    grid = np.unique(np.concatenate([np.arange(min(total, 4096) + 1), np.linspace(0, total, 4096)]))
    positions = np.interp(np.linspace(0, 1, most), _places(grid, total), grid)
    return tuple(int(step) for step in np.unique(positions.round().astype(np.int64)))


def superfluous(steps: Sequence[int], most: int, total: int) -> tuple[int, ...]:
    """Which moments go when there are more than there is room for: those whose neighbours are nearest.

    Near and far are measured as `planned_steps` spreads them, so early moments may lie closer together. The
    first and the newest stay; where there is room for one only, the newest does.

    Args:
        steps: growing steps of the moments that there are.
        most: how many may stay, 1 or more.
        total: updates of the run.

    Returns:
        Those that go, in the order of going.

    Example:
        >>> superfluous([0, 100, 110, 200, 300], 4, 300)
        (110,)
    """
    kept = list(steps)
    positions = _places(np.array(kept, np.float64), max(total, kept[-1] if kept else 1, 1)).tolist()
    gone = []
    while len(kept) > max(most, 1):
        gaps = [after - before for before, after in zip(positions, positions[2:], strict=False)]
        index = 1 + gaps.index(min(gaps)) if gaps else 0
        gone.append(kept.pop(index))
        positions.pop(index)
    return tuple(gone)


def _places(steps: np.ndarray, total: int) -> np.ndarray:
    """Where steps lie between 0 and 1: halfway between their logarithm and their share of the total."""
    return np.log1p(steps / _EARLY) / np.log1p(total / _EARLY) / 2 + steps / total / 2
