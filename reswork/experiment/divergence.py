"""`divergence`: the moment at which two runs go different ways."""

from dataclasses import dataclass

import numpy as np

from reswork.history import History

_WINDOW = 15  # steps that are averaged
_NOISE = 3.0  # standard errors that count as different


@dataclass(frozen=True)
class Divergence:
    """Where two runs part.

    Attributes:
        first: the first step at which their numbers differ at all; None: they are equal as far as both go.
        lasting: the first step from which on their averages stay apart by more than their noise; None: never.
        sentence: both in words.
    """

    first: int | None
    lasting: int | None
    sentence: str


def divergence(one: History, other: History, name: str = "loss/train") -> Divergence:
    """The step at which a series of two runs differs for the first time, and from which on it stays apart.

    Two runs of equal seed and settings are equal to the last bit; the first step at which they are not is
    where something was changed. Noise then grows: the second step says from where on a difference of the
    averages is more than the trembling of single batches.

    Args:
        one: history of the first run.
        other: history of the second run.
        name: of a series with a value at each step.

    Example:
        >>> some, others = History(), History()
        >>> some.extend("loss/train", [1, 2, 3], [2.3, 2.0, 1.9])
        >>> others.extend("loss/train", [1, 2, 3], [2.3, 2.0, 2.5])
        >>> divergence(some, others).first
        3
    """
    first_series, second_series = one.series(name), other.series(name)
    steps, here, there = np.intersect1d(first_series.steps, second_series.steps, return_indices=True)
    values, others = first_series.values[here], second_series.values[there]
    differ = ~((values == others) | (np.isnan(values) & np.isnan(others)))
    first = int(steps[differ.argmax()]) if differ.any() else None
    index = _lasting(values - others) if first is not None else None
    lasting = None if index is None else max(int(steps[index]), first or 0)
    return Divergence(first, lasting, _sentence(first, lasting, int(steps[-1]) if len(steps) else 0, name))


def _lasting(gaps: np.ndarray) -> int | None:
    """First place from which on the mean of the gaps' windows stays on one side, beyond its noise."""
    if len(gaps) < _WINDOW:
        return None
    windows = np.lib.stride_tricks.sliding_window_view(
        np.nan_to_num(gaps, nan=1e9, posinf=1e9, neginf=-1e9), _WINDOW
    )
    means = windows.mean(axis=1)
    noise = windows.std(axis=1) / np.sqrt(_WINDOW)
    apart = np.abs(means) > _NOISE * noise
    apart &= np.sign(means) == np.sign(means[-1])
    apart &= noise + np.abs(means) > 0
    together = np.flatnonzero(~apart)
    begin = int(together[-1]) + 1 if len(together) else 0
    return begin if begin < len(apart) else None


def _sentence(first: int | None, lasting: int | None, last: int, name: str) -> str:
    if not last:
        return f"There is no step at which both have {name}."
    if first is None:
        return f"{name} is equal to the last bit up to step {last:,}."
    text = f"{name} differs for the first time at step {first:,}"
    if lasting is None:
        return f"{text}; up to step {last:,} the averages stay within their noise."
    return f"{text}, and its averages stay apart from step {lasting:,} on."
