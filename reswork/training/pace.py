"""How quickly the steps of a run come."""

import time


class Pace:
    """Times the steps from the second one on: the first one pays for compiling and warming up.

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
