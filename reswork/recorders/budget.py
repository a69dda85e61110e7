"""`Budget`: recorders measure less often until all of them together are within a share of the step time."""

import math
import time
from collections import deque
from collections.abc import Iterable, Mapping
from statistics import median
from typing import Any

from reswork.errors import InvalidSetting
from reswork.history import History
from reswork.recorders.price import Budgeted, Price
from reswork.training.events import CheckpointDue, EpochDone, Event, RunPaused, RunStarted, StepDone
from reswork.training.recorder import BaseRecorder

_STEPS = 31  # that the time of a step is the median of
_LOOK_EVERY = 8
_MOST = 100.0  # times the usual interval, even where no budget can pay a measurement
_AT_ONCE = 2.0  # growth of the intervals at one look: a hiccup of the machine must not silence a recorder
_MARGIN = 1.05  # thin by so much more than needed, so that small changes need no new interval


class Budget(BaseRecorder):
    """Times the steps and keeps the recorders' shares of them within a budget; itself a recorder of a run.

    Where the shares add up to more than the budget, all intervals grow by the same factor, at most a
    hundredfold, and shrink again towards the usual ones when there is room for twice as much. The history
    notes each change as ``recorders thinned``. Recorders that measure every step are counted and left alone.

    Args:
        history: gets the notes.
        recorders: those that share the budget; also what is no recorder and looks at snapshots (`SnapshotObserver`).
        share: of the time of a step without recorders, above 0; None: no limit, prices alone.

    Raises:
        InvalidSetting: for a share that is not above 0.
    """

    name = "budget"
    events = (RunStarted, StepDone, CheckpointDue, EpochDone, RunPaused)

    def __init__(
        self, history: History, recorders: Iterable[Budgeted] = (), share: float | None = 0.05
    ) -> None:
        self.recorders = tuple(recorders)
        self.share = share
        self._history = history
        self._factor = 1.0
        self._steps_s: deque[float] = deque(maxlen=_STEPS)
        self._last: tuple[float, float] | None = None  # the last step's end, what recorders had spent by then

    @classmethod
    def among(cls, recorders: Iterable[object]) -> "Budget | None":
        """The budget of a run, from ``run.recorders``; None where there is none."""
        return next((each for each in recorders if isinstance(each, cls)), None)

    @property
    def share(self) -> float | None:
        """The limit; may be changed at any time."""
        return self._share

    @share.setter
    def share(self, share: float | None) -> None:
        if share is not None and not 0 < share < math.inf:
            raise InvalidSetting(
                "share",
                f"share={share!r} must be above 0, such as 0.05 for 5 % of a step; None sets no limit",
            )
        self._share = share

    @property
    def step_s(self) -> float | None:
        """Median seconds of a step without recorders; None before the second step."""
        return median(self._steps_s) if self._steps_s else None

    @property
    def total(self) -> float:
        """The shares of all recorders whose price is known."""
        return sum(self.price(each).share or 0.0 for each in self.recorders)

    def price(self, recorder: Budgeted) -> Price:
        """What one of them costs."""
        return recorder.price(self.step_s)

    def add(self, recorder: Budgeted) -> None:
        """Let one more share the budget."""
        self.recorders = (*self.recorders, recorder)

    def remove(self, recorder: Budgeted) -> None:
        """Let one go; it keeps its interval."""
        self.recorders = tuple(each for each in self.recorders if each is not recorder)

    def state(self) -> dict[str, Any]:
        """What going on needs."""
        return {"share": self._share, "factor": self._factor}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on as that one would have."""
        self.share, self._factor = state["share"], float(state["factor"])

    def __call__(self, event: Event) -> None:
        """Time the steps, and look after the budget now and then."""
        if not isinstance(event, StepDone):
            self._last = None  # an evaluation or a pause does not count
            return
        now, spent = time.perf_counter(), sum(each.spent_s for each in self.recorders)
        if self._last is not None:
            self._steps_s.append(max(0.0, now - self._last[0] - (spent - self._last[1])))
        self._last = now, spent
        if event.step % _LOOK_EVERY == 0:
            self._fit(event.step)

    def _fit(self, step: int) -> None:
        step_s = self.step_s
        wanted = self._wanted_factor(step_s) if step_s else None
        if step_s is None or wanted is None or self._factor / 2 < wanted <= self._factor:
            return
        self._factor = min(_MOST, wanted * _MARGIN, self._factor * _AT_ONCE) if wanted > 1 else 1.0
        stretched = {each.name: each.stretch(self._factor, step_s) for each in self.recorders}
        changed = {name: every for name, every in stretched.items() if every is not None}
        if changed:
            self._history.note(step, "recorders thinned", every=changed, share=self._share)

    def _wanted_factor(self, step_s: float) -> float | None:
        """What the usual intervals must be multiplied by, at least 1; None while nobody knows."""
        shares = [(each.can_be_thinned, each.usual_share(step_s)) for each in self.recorders]
        known = [(thinnable, share) for thinnable, share in shares if share is not None]
        if not known:
            return None
        if self._share is None:
            return 1.0
        usual = sum(share for thinnable, share in known if thinnable)
        room = self._share - sum(share for thinnable, share in known if not thinnable)
        return min(_MOST, max(1.0, usual / room)) if room > 0 else _MOST
