"""`MomentKeeper`: the recorder that keeps a run's weights at many steps, within a budget of disk."""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from reswork.errors import InvalidSetting
from reswork.history import History
from reswork.store.atomic_files import sweep
from reswork.store.description import weights_of
from reswork.store.moment_file import FlatLayout, Slot, file_name, moments_in
from reswork.store.moment_plan import MOST_MOMENTS, planned_steps, superfluous
from reswork.training.events import Event, RunEnded, RunStarted, RunState, StepDone
from reswork.training.progress import TrainingState
from reswork.training.recorder import BaseRecorder

MOMENTS_FOLDER = "moments"
DEFAULT_BYTES = 120_000_000
_MOST_WAITING_BYTES = 64_000_000  # of weights that are copied and not yet written
_MOST_WAITING = 4
_SHARE = 0.02  # of the time that all this may take
_GRACE_S = 0.1  # at the beginning, where moments are dense


class MomentKeeper(BaseRecorder):
    """Keeps the weights of a run at planned steps as files in its folder; call it with every event.

    In the run's thread the weights are only copied; a thread of the keeper's own writes them, and lives only
    while there is something to write. Where the disk is slower than the plan, or both threads together have taken
    more than a fiftieth of the time, moments are put off to a later step. A disk that cannot be written stops no
    run: the history gets a note ``moments_not_saved`` with the reason.

    Args:
        directory: of the run.
        history: for notes.
        most_bytes: that all files of the moments may have together; may be changed while the run goes on.

    Raises:
        InvalidSetting: for a budget that is no whole number of at least 0.
    """

    events = (RunStarted, StepDone, RunEnded)
    name = "moments"  # under which a checkpoint has its budget

    def __init__(self, directory: Path, history: History, most_bytes: int = DEFAULT_BYTES) -> None:
        self.directory = directory
        self.folder = directory / MOMENTS_FOLDER
        self._history = history
        self._most_bytes = check_budget(most_bytes)
        self._layout: FlatLayout | None = None
        self._model: nn.Module | None = None
        self._state: Callable[[], TrainingState] | None = None
        self._averaged = False
        self._total = 0
        self._first = 0
        self._plan: deque[int] = deque()
        self._began_s = 0.0
        self._planned_for = -1  # the budget that the plan was made for
        self._told: str | None = None  # the trouble that the history knows
        self._changed = threading.Condition()  # guards what follows
        self._free: list[Slot] = []
        self._made = 0  # slots so far
        self._waiting: deque[tuple[Slot, int]] = deque()
        self._kept: dict[int, int] = {}  # step -> bytes
        self._busy = False
        self._spent_s = 0.0  # of processor time, in both threads
        self._trouble: str | None = None

    @property
    def most_bytes(self) -> int:
        """What all files of the moments may have together; set it from any thread."""
        return self._most_bytes

    @most_bytes.setter
    def most_bytes(self, count: int) -> None:
        self._most_bytes = check_budget(count)
        with self._changed:
            if self._layout is not None:
                self._work_on()

    def state(self) -> dict[str, int]:
        """What a run that goes on later needs to know."""
        return {"most_bytes": self._most_bytes}

    def restore(self, kept: Mapping[str, Any]) -> None:
        """Go on with the budget of before."""
        self._most_bytes = check_budget(kept["most_bytes"])

    @property
    def steps(self) -> tuple[int, ...]:
        """Of the moments on disk, growing."""
        with self._changed:
            return tuple(sorted(self._kept))

    @property
    def bytes(self) -> int:
        """Of their files together."""
        with self._changed:
            return sum(self._kept.values())

    @property
    def spent_s(self) -> float:
        """Processor time of both threads so far, in seconds."""
        with self._changed:
            return self._spent_s

    def __call__(self, event: Event) -> None:
        """Take one event; copies the weights if a moment is due."""
        match event:
            case RunStarted():
                self._begin(event)
                self._take(event.step)
            case StepDone():
                self._model = event.model
                self._follow(event.step)
            case RunEnded():
                self._end(event)

    def wait(self) -> None:
        """Until everything that was copied is written."""
        with self._changed:
            self._changed.wait_for(lambda: not self._busy)

    # --- in the run's thread -----------------------------------------------------------------------

    def _begin(self, event: RunStarted) -> None:
        self._model = event.model
        self._state = event.state
        self._began_s = time.perf_counter()
        self._total = event.total_steps
        self._averaged = bool(event.state().part("average"))
        self._layout = FlatLayout(self._weights())
        if self._most_bytes and self._room() == 0:
            self._tell(
                event.step,
                f"one moment of this network has {self._layout.file_bytes:,} bytes, more than the "
                f"{self._most_bytes:,} that all may have",
            )
        try:
            self.folder.mkdir(exist_ok=True)
            sweep(self.folder)
            for step in moments_in(self.folder):
                if step > event.step:  # of a continuation that was lost
                    (self.folder / file_name(step)).unlink()
        except OSError as error:
            self._tell(event.step, str(error))
        self._kept = moments_in(self.folder)
        self._first = min(self._kept, default=event.step)

    def _follow(self, step: int) -> None:
        if self._planned_for != self._most_bytes:
            self._planned_for = self._most_bytes
            room = max(4, self._room())
            self._plan = deque(self._first + k for k in planned_steps(self._total - self._first, room))
        due = bool(self._plan) and step >= self._plan[0]
        if due:
            most_s = _GRACE_S + _SHARE * (time.perf_counter() - self._began_s)
            due = self.spent_s <= most_s
        if due and self._take(step):
            while self._plan and self._plan[0] <= step:
                self._plan.popleft()
        with self._changed:
            trouble = self._trouble
        if trouble != self._told:
            self._tell(step, trouble)

    def _end(self, event: RunEnded) -> None:
        """The last moment, unless it is there; after a failure the statistics of the norms may be spoilt."""
        self.wait()
        if self._model is not None and event.state is not RunState.FAILED:
            self._averaged = False  # the model has the average by now
            self._take(event.step)
        with self._changed:
            self._changed.wait_for(lambda: not self._busy)
            self._model = self._state = self._layout = None
            self._free, self._made = [], 0
            trouble = self._trouble
        if trouble != self._told:
            self._tell(event.step, trouble)

    def _take(self, step: int) -> bool:
        """Copy the weights for the thread that writes; False where it has no slot left."""
        assert self._layout is not None
        if self._room() == 0:
            return True
        with self._changed:
            if step in self._kept:
                return True
            if self._free:
                slot = self._free.pop()
            else:
                most = max(1, min(_MOST_WAITING, _MOST_WAITING_BYTES // self._layout.file_bytes))
                if self._made >= most:
                    return False
                self._made += 1
                slot = self._layout.slot()
        begin = time.thread_time()
        self._layout.fill(slot, self._weights())
        with self._changed:
            self._spent_s += time.thread_time() - begin
            self._waiting.append((slot, step))
            self._work_on()
        return True

    def _room(self) -> int:
        """How many moments the budget allows."""
        assert self._layout is not None
        return min(MOST_MOMENTS, self._most_bytes // self._layout.file_bytes)

    def _weights(self) -> Mapping[str, Tensor]:
        """The averaged weights where the recipe asks for an average, else the model's; those in use."""
        assert self._model is not None
        if self._averaged and self._state is not None:
            return self._state().part("average")
        return weights_of(self._model)

    def _tell(self, step: int, trouble: str | None) -> None:
        self._told = self._trouble = trouble
        if trouble is not None:
            self._history.note(step, "moments_not_saved", directory=str(self.folder), reason=trouble)
        else:
            self._history.note(step, "moments_again", directory=str(self.folder))

    # --- in the thread that writes -----------------------------------------------------------------

    def _work_on(self) -> None:
        """Have a thread do what waits; with the lock."""
        if not self._busy:
            self._busy = True
            threading.Thread(target=self._work, name="reswork-moments", daemon=True).start()

    def _work(self) -> None:
        while True:
            begin = time.thread_time()
            with self._changed:
                slot, step = self._waiting.popleft() if self._waiting else (None, -1)
                layout, room = self._layout, self._room()
            try:
                self._make_room(room, step)
                if slot is not None and layout is not None and room:
                    path = layout.write(self.folder, slot, step)
                    with self._changed:
                        self._kept[step] = path.stat().st_size
                trouble = None
            except OSError as error:
                trouble = str(error)
            with self._changed:
                self._trouble = trouble
                self._spent_s += time.thread_time() - begin
                if slot is not None:
                    self._free.append(slot)
                if not self._waiting:
                    self._busy = False
                    self._changed.notify_all()
                    return

    def _make_room(self, room: int, coming: int) -> None:
        """Thin out the moments on disk until there are so many with the one that comes (-1: none)."""
        with self._changed:
            steps = sorted(self._kept)
        new = [coming] if coming >= 0 else []
        gone = superfluous([*steps, *new], room, self._total) if room > 0 else steps
        for step in gone:
            (self.folder / file_name(step)).unlink(missing_ok=True)
            with self._changed:
                self._kept.pop(step, None)


def check_budget(count: int) -> int:
    """Bytes, 0 or more.

    Raises:
        InvalidSetting: for anything else.
    """
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise InvalidSetting(
            "moments_bytes",
            f"moments_bytes={count!r} is no size; choose a whole number of bytes, such as 120_000_000, or 0 for none",
        )
    return count
