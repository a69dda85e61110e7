"""What a study gives besides its arrays: lines to draw, numbers beside the paper's, a verdict."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

VerdictState = Literal["repeated", "not repeated", "open"]
UNCHECKED = "; not checked against the paper"  # behind the place of a published number that is from memory


@dataclass(frozen=True, eq=False)
class Line:
    """One line of a figure with what it is spread over.

    Attributes:
        name: as the legend says it.
        x: (P,) float.
        y: (P,) float, the mean; NaN makes a hole.
        low: (P,) the smallest; None: no spread is drawn.
        high: (P,) the largest.
        colour: its number among the colours.
        dashed: drawn with a dash, such as a training error beside a test error.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    colour: int = 0
    dashed: bool = False

    @classmethod
    def over(
        cls,
        name: str,
        x: Sequence[float] | np.ndarray,
        rows: np.ndarray,
        *,
        colour: int,
        dashed: bool = False,
    ) -> "Line":
        """The mean of several rows, with the smallest and the largest at each place.

        Args:
            name: as the legend says it.
            x: (P,).
            rows: (S, P), one for each seed; NaN where a seed has no value yet.
            colour: its number among the colours.
            dashed: drawn with a dash.
        """
        rows = np.asarray(rows, np.float64)
        known = np.isfinite(rows)
        counts = known.sum(axis=0)
        mean = np.divide(
            np.where(known, rows, 0).sum(axis=0), counts, out=np.full(rows.shape[1], np.nan), where=counts > 0
        )
        low, high = np.where(known, rows, np.inf).min(axis=0), np.where(known, rows, -np.inf).max(axis=0)
        low, high = np.where(counts > 0, low, np.nan), np.where(counts > 0, high, np.nan)
        places = np.asarray(x, np.float64)
        if len(rows) < 2:
            return cls(name, places, mean, None, None, colour, dashed)
        return cls(name, places, mean, low, high, colour, dashed)


@dataclass(frozen=True)
class Compared:
    """One number of a paper beside one's own.

    Attributes:
        what: the quantity, such as ``"test error, ResNet-56"``.
        published: as the paper gives it, with its unit; "about" where it is read off a figure.
        where: table, figure or section; with `UNCHECKED` behind it where nobody looked there.
        ours: the same here, with its spread; ``""`` where nothing was measured.
    """

    what: str
    published: str
    where: str
    ours: str


@dataclass(frozen=True)
class Verdict:
    """Whether a finding was repeated.

    Attributes:
        state: ``"open"`` where too few seeds, or not all of the study, were computed.
        sentence: what was found, in words and numbers.
        tolerance: what had to hold for "repeated".
    """

    state: VerdictState
    sentence: str
    tolerance: str

    def __str__(self) -> str:
        return f"{self.state}: {self.sentence} ({self.tolerance})"
