"""How quickly the steps of a run come, and when it is to be saved: little may be lost, and saving costs little."""

import math
import time
from collections.abc import Sequence

from reswork.errors import InvalidSetting

EVERY_S = 30.0  # unless somebody says something else
COST_SHARE = 0.02  # of the time; a network of gigabytes is saved less often than was asked for


class Pace:
    """Times the steps from the second one on: the first one pays for warming up, one that is compiled for that.

    Args:
        before_s: seconds of training before a run went on.
    """

    def __init__(self, before_s: float = 0.0) -> None:
        self._before_s = before_s
        self._start = time.perf_counter()
        self._first: tuple[int, float] | None = None
        self._last = (0, 0.0)
        self._idle_s = 0.0

    def started(self) -> None:
        """The first step begins."""
        self._start = time.perf_counter()

    def step_done(self, step: int) -> None:
        """A step is made."""
        self._last = (step, time.perf_counter() - self._idle_s)
        if self._first is None:
            self._first = self._last

    def compiled(self) -> None:
        """The step that ends next took longer than those to come will."""
        self._first = None

    def stood_still(self, seconds: float) -> None:
        """The run was paused for so long."""
        self._idle_s += seconds

    @property
    def seconds(self) -> float:
        """Of training since the first step began, without standing still."""
        return self._before_s + time.perf_counter() - self._start - self._idle_s

    @property
    def step_s(self) -> float | None:
        """Seconds for a step, with its share of the evaluations; None before the second one."""
        first, last = self._first, self._last
        if first is None or last[0] == first[0]:
            return None
        return (last[1] - first[1]) / (last[0] - first[0])

    def seconds_for(self, step: int, total: int, work: Sequence[float] | None = None) -> float | None:
        """Seconds from a step to the last one at this pace; None before the second one.

        Args:
            step: that was made last.
            total: steps there are.
            work: (total + 1,) of so many steps, where they cost different amounts.
        """
        step_s = self.step_s
        if step_s is None or work is None or self._first is None:
            return None if step_s is None else step_s * (total - step)
        first, last = self._first[0], self._last[0]
        return step_s * (last - first) * (work[total] - work[step]) / (work[last] - work[first])


class SavePoints:
    """Says when a checkpoint is due.

    Args:
        every_s: seconds between two, at most a fiftieth of which saving may take.

    Raises:
        InvalidSetting: if that is no finite number of at least 0.
    """

    def __init__(self, every_s: float) -> None:
        self.every_s = check_every_s(every_s)
        self._last = time.monotonic()
        self._cost_s = 0.0
        self._step: int | None = None  # that was saved last
        self._evaluated = False

    def due(self, *, epoch_ended: bool) -> bool:
        """Whether to save now; at an epoch's end, for the best one, as soon as the cost allows."""
        pause = self._cost_s / COST_SHARE
        return time.monotonic() - self._last >= (pause if epoch_ended else max(pause, self.every_s))

    def is_saved(self, step: int, *, evaluated: bool) -> bool:
        """Whether the last one was made exactly here."""
        return self._step == step and (self._evaluated or not evaluated)

    def saved(self, step: int, seconds: float, *, evaluated: bool) -> None:
        """One was made, and took so long."""
        self._last, self._cost_s = time.monotonic(), seconds
        self._step, self._evaluated = step, evaluated


def check_every_s(every_s: object) -> float:
    """Seconds between two checkpoints.

    Raises:
        InvalidSetting: if that is no finite number of at least 0.
    """
    if isinstance(every_s, int | float) and not isinstance(every_s, bool) and 0 <= every_s < math.inf:
        return every_s
    raise InvalidSetting(
        "save_every_s", f"save_every_s={every_s!r} must be a number of seconds, 0 or more, such as 30"
    )
