"""`SnapshotObserver`: what looking at snapshots beside the training costs, within the recorders' budget."""

import math
from collections import deque

from reswork.recorders.price import Price, typical_s

_SAMPLES = 16  # looks that a price is made of


class SnapshotObserver:
    """Something that looks at the network every few seconds, in a thread of its own, such as a film strip.

    A `Budget` takes it like a recorder, and stretches its interval with theirs. It gets no events.

    Args:
        name: a few words for a person.
        interval_s: usual seconds between two looks.
        words: one line about it.
    """

    can_be_thinned = True
    spent_s = 0.0  # of the run's own thread: nothing

    def __init__(self, name: str, interval_s: float, words: str = "") -> None:
        self.name, self.words = name, words
        self.interval_s = interval_s
        self._usual_s = interval_s
        self._costs: deque[float] = deque(maxlen=_SAMPLES)  # seconds of each look
        self._looks = 0

    def took(self, seconds: float) -> None:
        """Count a look and the copy that was made for it; the first one prepares, and counts only until the second."""
        if self._looks == 1:
            self._costs.clear()
        self._looks += 1
        self._costs.append(seconds)

    @property
    def look_s(self) -> float | None:
        """Seconds of a usual look; None before the first."""
        return typical_s(self._costs) if self._costs else None

    def price(self, step_s: float | None) -> Price:
        """What it costs, where a step without recorders takes so many seconds."""
        seconds, every = self.look_s, self._steps(step_s)
        if seconds is None:
            return Price(None, None, every)
        return Price(1e3 * seconds, seconds / self.interval_s if step_s else None, every)

    def usual_share(self, step_s: float) -> float | None:
        """Its share at the usual interval; None while nobody knows."""
        seconds = self.look_s
        return None if seconds is None or self._looks < 2 else seconds / self._usual_s

    def stretch(self, factor: float, step_s: float) -> int | None:
        """Look so many times less often than usual; gives the new steps between two looks, None for no change."""
        before, self.interval_s = self.interval_s, self._usual_s * factor
        return self._steps(step_s) if before != self.interval_s else None

    def _steps(self, step_s: float | None) -> int:
        return max(1, math.ceil(self.interval_s / step_s)) if step_s else 1
