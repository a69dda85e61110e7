"""The recorders and moments of a run in another process: what is known of them here, and requests to change them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from reswork.errors import InvalidSetting
from reswork.recorders import CATALOGUE, Price, SnapshotObserver
from reswork.recorders.recorder_controls import RecorderControl, RecorderControls
from reswork.store.moment_keeper import check_budget

if TYPE_CHECKING:
    from reswork.experiment.processes.process_run import ProcessRun


class ProcessRecorderControls(RecorderControls):
    """The recorders of a run in another process."""

    def __init__(self, run: "ProcessRun") -> None:
        self._run = run
        self._observers: tuple[SnapshotObserver, ...] = ()

    @property
    def taken(self) -> Mapping[str, RecorderControl]:
        """Those that recorded a moment ago."""
        return self._run.status.taken if self._run.status is not None else {}

    @property
    def share(self) -> float | None:
        """The worker's budget."""
        return self._run.status.share if self._run.status is not None else None

    @property
    def total(self) -> float | None:
        """What they cost in the worker."""
        return self._run.status.total if self._run.status is not None else None

    @property
    def observers(self) -> list[tuple[SnapshotObserver, Price]]:
        """Those of this kernel; the worker does not pay for them."""
        return [(each, each.price(None)) for each in self._observers]

    def enter(self, observer: SnapshotObserver) -> bool:
        """It is listed, but the worker's budget is another one."""
        self._observers = (*self._observers, observer)
        return False

    def leave(self, observer: SnapshotObserver) -> None:
        """Out of the list."""
        self._observers = tuple(each for each in self._observers if each is not observer)

    def limit(self, share: float) -> None:
        """Tell the worker's budget."""
        self._run.request("limit", share=share)

    def switch(self, name: str, on: bool) -> None:
        """Have one started or stopped."""
        names = [kind.name for kind in CATALOGUE]
        if name not in names:
            raise InvalidSetting("name", f"{name!r} is not a recorder; choose {', '.join(names)}")
        self._run.request("switch", name=name, on=on)

    def pace(self, name: str, every: int) -> None:
        """Have its interval set."""
        self._run.request("pace", name=name, every=every)


class ProcessMoments:
    """The budget of the moments that a worker keeps.

    Args:
        run: that the worker trains.
        most_bytes: as the kernel that started it said, or the worker when this one was connected.
    """

    def __init__(self, run: "ProcessRun", most_bytes: int) -> None:
        self._run = run
        self._most_bytes = most_bytes

    @property
    def most_bytes(self) -> int:
        """What all of them may have on the disk."""
        return self._most_bytes

    @most_bytes.setter
    def most_bytes(self, count: int) -> None:
        self._run.request("keep_moments", most_bytes=check_budget(count))
        self._most_bytes = count
