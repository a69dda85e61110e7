"""`Interval`: which steps a recorder measures."""

from collections.abc import Mapping
from typing import Any

from reswork.errors import InvalidSetting


class Interval:
    """Every so many steps, and the first one that is asked about; the interval may change at any time.

    Example:
        >>> interval = Interval(10)
        >>> [step for step in range(3, 31) if interval.due(step)]
        [3, 10, 20, 30]
    """

    def __init__(self, every: int) -> None:
        self.every = every
        self.last: int | None = None  # the last step that was due

    @property
    def every(self) -> int:
        """Steps between two measurements."""
        return self._every

    @every.setter
    def every(self, steps: int) -> None:
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
            raise InvalidSetting("every", f"every={steps!r} must be a whole number of steps of at least 1")
        self._every = steps

    def state(self) -> dict[str, int | None]:
        """What going on needs."""
        return {"every": self._every, "last": self.last}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on as that one would have."""
        self.every, self.last = int(state["every"]), state["last"]

    def due(self, step: int) -> bool:
        """Whether to measure at this step."""
        if self.last is None or step % self._every == 0:
            self.last = step
            return True
        return False
