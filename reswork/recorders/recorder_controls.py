"""Which recorders of the catalogue a run has: switched on and off, paced, and priced, while it goes on."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reswork.recorders.budget import Budget
from reswork.recorders.catalogue import timed
from reswork.recorders.price import Price, Timed
from reswork.recorders.snapshot_observer import SnapshotObserver
from reswork.training.run import Run


@dataclass(frozen=True)
class RecorderControl:
    """One recorder that a run has now.

    Attributes:
        every: steps between two measurements.
        price: what it costs; None where nobody counts.
    """

    every: int
    price: Price | None


class RecorderControls(ABC):
    """The recorders of one run by their names in the catalogue."""

    @property
    @abstractmethod
    def taken(self) -> Mapping[str, RecorderControl]:
        """Those that record now."""

    @property
    @abstractmethod
    def share(self) -> float | None:
        """What they may cost together, as a share of a step; None: no limit."""

    @property
    @abstractmethod
    def total(self) -> float | None:
        """What they cost together, as a share of a step; None where nobody counts."""

    @property
    @abstractmethod
    def observers(self) -> Sequence[tuple[SnapshotObserver, Price]]:
        """Those that look from outside, at snapshots, and what they cost."""

    @abstractmethod
    def enter(self, observer: SnapshotObserver) -> bool:
        """Let something that looks from outside be counted; true if the budget stretches its interval."""

    @abstractmethod
    def leave(self, observer: SnapshotObserver) -> None:
        """Count it no more."""

    @abstractmethod
    def limit(self, share: float) -> None:
        """Let them cost so much together.

        Raises:
            InvalidSetting: for a share that is not above 0.
        """

    @abstractmethod
    def switch(self, name: str, on: bool) -> None:
        """Start or stop one; the history notes it.

        Raises:
            InvalidSetting: for a name that is not in the catalogue.
        """

    @abstractmethod
    def pace(self, name: str, every: int) -> None:
        """Let one measure every so many steps.

        Raises:
            InvalidSetting: if that is no whole number of at least 1.
        """


class RunRecorderControls(RecorderControls):
    """The recorders of a run in this process."""

    def __init__(self, run: Run) -> None:
        self._run = run

    @property
    def taken(self) -> dict[str, RecorderControl]:
        """Those that record now."""
        budget = self._budget
        return {
            name: RecorderControl(each.every, budget.price(each) if budget is not None else None)
            for name, each in self._recorders.items()
        }

    @property
    def share(self) -> float | None:
        """The budget's."""
        return self._budget.share if self._budget is not None else None

    @property
    def total(self) -> float | None:
        """The budget's."""
        return self._budget.total if self._budget is not None else None

    @property
    def observers(self) -> list[tuple[SnapshotObserver, Price]]:
        """Those in the budget."""
        budget = self._budget
        if budget is None:
            return []
        return [(each, budget.price(each)) for each in budget.recorders if isinstance(each, SnapshotObserver)]

    def enter(self, observer: SnapshotObserver) -> bool:
        """Into the budget, where there is one."""
        budget = self._budget
        if budget is not None:
            budget.add(observer)
        return budget is not None

    def leave(self, observer: SnapshotObserver) -> None:
        """Out of the budget."""
        if self._budget is not None:
            self._budget.remove(observer)

    def limit(self, share: float) -> None:
        """Tell the budget, where there is one."""
        if self._budget is not None:
            self._budget.share = share

    def switch(self, name: str, on: bool) -> None:
        """Add a new one to the run, or take it off."""
        run, budget, present = self._run, self._budget, self._recorders.get(name)
        if on and present is None:
            recorder = timed(name, run.history)
            run.add_recorder(recorder)
            if budget is not None:
                budget.add(recorder)
        elif not on and present is not None:
            run.remove_recorder(present)
            if budget is not None:
                budget.remove(present)
        run.history.note(run.steps_done, "recorder started" if on else "recorder stopped", recorder=name)

    def pace(self, name: str, every: int) -> None:
        """Set its interval."""
        present = self._recorders.get(name)
        if present is not None:
            present.every = every

    @property
    def _recorders(self) -> dict[str, Timed]:
        return {each.name: each for each in self._run.recorders if isinstance(each, Timed)}

    @property
    def _budget(self) -> Budget | None:
        return Budget.among(self._run.recorders)
