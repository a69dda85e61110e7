"""`Run`: one training in one daemon thread, with buttons that obey between two steps."""

import atexit
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from torch import nn

from reswork.datasets.dataset import Dataset
from reswork.errors import InvalidSetting
from reswork.history import History
from reswork.tasks import Task, task_for
from reswork.training.controls import Controls, SnapshotRequest
from reswork.training.convergence import Convergence
from reswork.training.cores import CORES, drop_helpers
from reswork.training.events import (
    BatchReady,
    CheckpointDue,
    CompilingDone,
    CompilingStarted,
    EpochDone,
    EvaluationStopped,
    Event,
    GradientsReady,
    LayersUnfrozen,
    RunEnded,
    RunPaused,
    RunStarted,
    SettingChanged,
    StepDone,
)
from reswork.training.image_sizes import work_done
from reswork.training.live_run import LiveRun, RunState
from reswork.training.loop import fit
from reswork.training.modes import Mode
from reswork.training.pace import EVERY_S, Pace, SavePoints
from reswork.training.progress import TrainingState
from reswork.training.ranks import ALONE, Ranks
from reswork.training.recipe import Recipe, steps_per_epoch, total_steps
from reswork.training.recorder import Listener
from reswork.training.recorder_set import RecorderSet
from reswork.training.remarks import note_compiled, note_compiling, note_frozen

if TYPE_CHECKING:
    from reswork.recorders.recorder_controls import RecorderControls

_SHORT_PAUSE_S = 1.0  # a longer one is saved, in case the kernel is ended meanwhile
# nobody is served between these and StepDone
_WITHIN_A_STEP = (
    SettingChanged,
    LayersUnfrozen,
    BatchReady,
    CompilingStarted,
    CompilingDone,
    GradientsReady,
)

__all__ = ["Run", "RunState", "RunThread", "active_runs"]


class RunThread(threading.Thread):
    """The daemon thread of one run; `active_runs` finds runs by it."""

    def __init__(self, owner: LiveRun, target: Callable[[], None]) -> None:
        super().__init__(target=target, name=f"reswork {owner.name}", daemon=True)
        self.owner = owner


class Run(LiveRun):
    """A training that can be watched and steered from any thread.

    `train` makes it, with its folder, its moments and controls of its recorders; put together by hand it has none of
    these. While it runs the model belongs to the run's thread: look at `snapshot` copies. Every request returns
    at once and lands between two steps. What a request means in each state:

    ========= ================== ============================ ================= ===========
    request   READY              RUNNING                      PAUSED            over
    ========= ================== ============================ ================= ===========
    start     starts             nothing                      nothing           nothing
    pause     will begin paused  pauses                       nothing           nothing
    step(n)   starts, then waits pauses after n more steps    makes n steps     nothing
    resume    forgets the pause  forgets a pause not yet made goes on           nothing
    stop      STOPPED            STOPPED                      STOPPED           nothing
    snapshot  copy               copy, between two steps      copy              copy
    set       from step 1        from the next step           from the next     refused
    ========= ================== ============================ ================= ===========

    Args:
        model: trained in place.
        data: training and test images.
        recipe: how; None: the defaults.
        history: the record; None: a new one. Recorders write to it.
        recorders: callables that take an event, in the run's thread; a `Recorder` says for which kinds it is
            called. One that raises is taken off, and the training goes on.
        name: for lists and logs.
        task: what is learned; None: as the data's targets say.
        start: go on from here, with the model's weights, optimizer and recorders as they were then.
        save_every_s: seconds between two ``CheckpointDue`` events; None: as in ``start``, else 30. There is one before
            the first step, one at the end of an epoch where saving is quick, and one when the run is stopped or
            paused for a while.

    Example:
        >>> from torch import nn
        >>> from reswork.datasets import digits
        >>> run = Run(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), digits(), Recipe(steps=3))
        >>> run.start()
        >>> run.wait()
        <RunState.FINISHED: 'finished'>
    """

    def __init__(
        self,
        model: nn.Module,
        data: Dataset,
        recipe: Recipe | None = None,
        *,
        history: History | None = None,
        recorders: Iterable[Listener] = (),
        name: str | None = None,
        task: Task | None = None,
        start: TrainingState | None = None,
        save_every_s: float | None = None,
    ) -> None:
        self.model = model
        self.recipe = recipe or Recipe()
        self.task = task or task_for(data)
        self.history = history if history is not None else History()
        self.name = name or f"{type(model).__name__} on {data.name}"
        self.dataset_name = data.name
        self.classes = data.classes
        self.total_steps = total_steps(self.recipe, len(data.train))
        self.steps_per_epoch = steps_per_epoch(self.recipe, len(data.train))
        self._data = data
        self._work: Sequence[float] | None = None  # of the steps, where they cost less at first
        if self.recipe.image_scale < 1 and data.input_kind == "images":
            height, width = data.input_shape[-2:]
            self._work = work_done(self.recipe, (height, width), self.total_steps).tolist()
        self._convergence = Convergence(self.recipe.target_score, self.task.metrics[0], self.history)
        self._controls = Controls()
        self._start = start
        self._ranks = ALONE
        self._pace = Pace(float(start.values.get("seconds", 0.0)) if start is not None else 0.0)
        before = start.values.get("save_every_s", EVERY_S) if start is not None else EVERY_S
        self._save_points = SavePoints(before if save_every_s is None else save_every_s)
        self._loop_state: Callable[[], TrainingState] | None = None  # there once the loop has begun
        self._mode: Mode | None = None
        self._steps_done = start.step if start is not None else 0
        self._snapshot_s = 0.0
        self._changed = threading.Condition()  # guards what follows
        self._recorder_set = RecorderSet(self.history, self._changed, recorders)
        if start is not None:
            self._recorder_set.restore(start)
        self._state = RunState.READY
        self._error: BaseException | None = None
        self._thread: RunThread | None = None
        self._attention = False  # somebody asked for something: look before the next step
        self._steps_allowed: int | None = None  # before the next pause; None: no pause
        self._requests: list[SnapshotRequest] = []

    # --- what it is ------------------------------------------------------------------------------

    @property
    def mode(self) -> Mode | None:
        """How it computes and why; None until that is chosen. ``str(run.mode)`` is a sentence."""
        return self._mode

    @property
    def data(self) -> Dataset:
        """What it learns from."""
        return self._data

    @property
    def steps_done(self) -> int:
        """Optimizer updates so far."""
        return self._steps_done

    @property
    def seconds_left(self) -> float | None:
        """Estimate from the pace so far, evaluations included; None while unknown, 0 when it is over."""
        if self.done:
            return 0.0
        return self._pace.seconds_for(self._steps_done, self.total_steps, self._work)

    def __repr__(self) -> str:
        return f"<Run {self.name!r}: {self._state.value}, step {self._steps_done:,} of {self.total_steps:,}>"

    # --- buttons ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin, in a thread of its own; however often it is called, there is one."""
        with self._changed:
            if self._state is not RunState.READY:
                return
            self._thread = RunThread(self, self._main)
            self._state = RunState.RUNNING
            drop_helpers()  # whoever waits for the run next could not
            self._thread.start()
            atexit.register(self._leave)
            self._changed.notify_all()

    def join(self, ranks: Ranks) -> None:
        """Train together with other ranks, of which this is the first; the others have `fit` alone.

        Raises:
            RuntimeError: if it has begun.
        """
        with self._changed:
            if self._state is not RunState.READY:
                raise RuntimeError("this run has begun; let ranks join before start()")
            self._ranks = ranks

    def pause(self) -> None:
        """Stand still after the step that is being made, before an evaluation that may follow it."""
        with self._changed:
            if self._state in (RunState.READY, RunState.RUNNING):
                self._steps_allowed = 0
                self._attention = True

    def step(self, n: int = 1) -> None:
        """Make n more steps and then stand still.

        Raises:
            InvalidSetting: if n is not a whole number of at least 1.
        """
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise InvalidSetting("n", f"n={n!r} must be a whole number of steps of at least 1")
        with self._changed:
            self._steps_allowed = n
            self._go_on()
            self.start()

    def resume(self) -> None:
        """Go on."""
        with self._changed:
            self._steps_allowed = None
            self._go_on()

    def stop(self) -> None:
        """End after the step that is being made, or within an evaluation; the weights stay as they are."""
        with self._changed:
            self._controls.stop = True
            self._attention = True
            never_began = self._state is RunState.READY
            if never_began:
                self._state = RunState.STOPPED
            self._changed.notify_all()
        if never_began:  # there is no thread that could tell
            self._recorder_set.tell(RunEnded(self._steps_done, RunState.STOPPED, None))

    def set(self, **settings: float) -> None:
        """Change learning_rate, weight_decay or momentum from the next step on; the history notes it.

        A learning rate is exactly the next step's, and the rest of the schedule is scaled with it; layers with a
        factor in the recipe's ``layer_rates`` have that many times the rate, as before.

        Raises:
            InvalidSetting: for another setting, an impossible value, or a run that is over.
        """
        self._check_change(settings)
        self._controls.set(**settings)

    def snapshot(self) -> nn.Module:
        """A detached copy of the model between two steps, in evaluation mode; the training does not notice.

        Raises:
            RuntimeError: if the model cannot be copied.
        """
        with self._changed:
            request = SnapshotRequest()
            if self._state is RunState.RUNNING and threading.current_thread() is not self._thread:
                self._requests.append(request)
                self._attention = True
                self._changed.wait_for(lambda: request.served or self._state is not RunState.RUNNING)
            if not request.served:  # nobody changes the model while this lock is held
                self._requests = [each for each in self._requests if each is not request]
                request.fill(self.model)
            self._snapshot_s = request.seconds
        return request.taken()

    @property
    def snapshot_s(self) -> float:
        """Seconds that the copy for the last snapshot took; 0 before the first."""
        return self._snapshot_s

    @property
    def recorders(self) -> tuple[Listener, ...]:
        """Those who get the events now."""
        return self._recorder_set.recorders

    def add_recorder(self, recorder: Listener | str) -> None:
        """Let a callable, or a recorder of the catalogue by its name, have the events from the next one on.

        Raises:
            InvalidSetting: for what is no recorder and no callable, or a name that is not in the catalogue.
        """
        if isinstance(recorder, str):
            self._named(recorder).switch(recorder, True)
        else:
            self._recorder_set.add(recorder)

    def remove_recorder(self, recorder: Listener | str) -> None:
        """Let it have no more; one that is not there is no error."""
        if not isinstance(recorder, str):
            self._recorder_set.remove(recorder)
        elif recorder in self._named(recorder).taken:
            self._named(recorder).switch(recorder, False)

    def _named(self, name: str) -> "RecorderControls":
        if self.recorder_controls is None:
            raise InvalidSetting(
                "recorders",
                f"{name!r}: this run was put together by hand and takes recorders, not their names",
            )
        return self.recorder_controls

    def _go_on(self) -> None:
        self._attention = True
        if self._state is RunState.PAUSED:
            self._state = RunState.RUNNING
        self._changed.notify_all()

    def _leave(self) -> None:
        """When Python ends: do not tear torch down under a running step."""
        self.stop()
        if self._thread is not None:
            self._thread.join(5.0)

    # --- in the run's thread -----------------------------------------------------------------------

    def _main(self) -> None:
        state, error = RunState.FAILED, None
        events = fit(
            self.model,
            self._data,
            self.recipe,
            task=self.task,
            controls=self._controls,
            start=self._start,
            ranks=self._ranks,
        )
        try:
            try:
                finished = self._pull(events)
            finally:
                events.close()
            state = RunState.FINISHED if finished else RunState.STOPPED
        except BaseException as raised:
            error = raised
            traceback.clear_frames(raised.__traceback__)  # they hold batches and activations
        self._recorder_set.tell(RunEnded(self._steps_done, state, error))
        with self._changed:
            self._state, self._error = state, error
            self._changed.notify_all()
        atexit.unregister(self._leave)

    def _pull(self, events: Iterable[Event]) -> bool:
        """Let the loop go on to its end; false if somebody stopped it before."""
        finished = False
        self._ask_for_events()
        for event in events:
            self._note(event)
            self._recorder_set.tell(event)
            finished = isinstance(event, EpochDone) and event.step == self.total_steps
            if not isinstance(event, _WITHIN_A_STEP):
                evaluated = not isinstance(event, StepDone | EvaluationStopped)
                if isinstance(event, RunStarted) or self._save_points.due(
                    epoch_ended=isinstance(event, EpochDone)
                ):
                    self._save(evaluated=evaluated)
                if self._attention or self._controls.stop:
                    self._attend(stepped=isinstance(event, StepDone), evaluated=evaluated)
                    if self._controls.stop:
                        self._save(evaluated=evaluated)
                        break
            self._ask_for_events()
        return finished

    def _save(self, *, evaluated: bool) -> None:
        """Have a checkpoint made, unless there is one of exactly this moment."""
        if self._save_points.is_saved(self._steps_done, evaluated=evaluated):
            return
        with self._not_training() as clock:
            self._recorder_set.tell(CheckpointDue(self._steps_done, self._state_now))
        self._save_points.saved(self._steps_done, clock(), evaluated=evaluated)

    @contextmanager
    def _not_training(self) -> Iterator[Callable[[], float]]:
        """Time that does not count as training; gives its seconds."""
        begin = end = time.perf_counter()
        yield lambda: end - begin
        end = time.perf_counter()
        self._controls.idle_s += end - begin
        self._pace.stood_still(end - begin)

    def _state_now(self) -> TrainingState:
        """What the loop needs to go on, and what the recorders do."""
        assert self._loop_state is not None
        state = self._loop_state()
        tensors, recorders = self._recorder_set.state()
        values = {
            **state.values,
            "recorders": recorders,
            "seconds": self._pace.seconds,
            "save_every_s": self._save_points.every_s,
        }
        return replace(state, tensors={**state.tensors, **tensors}, values=values)

    def _ask_for_events(self) -> None:
        self._controls.wants_batches = self._recorder_set.awaits(BatchReady)
        self._controls.wants_gradients = self._recorder_set.awaits(GradientsReady)

    def _note(self, event: Event) -> None:
        """What the run itself keeps of an event."""
        match event:
            case StepDone():
                self._steps_done = event.step
                self._pace.step_done(event.step)
            case EpochDone():
                self._convergence.look(event, self._pace.seconds)
            case SettingChanged():
                self.history.note(event.step, event.name, value=event.value)
            case LayersUnfrozen():
                self.history.note(event.step, "unfrozen", layers=list(event.layers))
            case CompilingStarted():
                note_compiling(self.history, event)
            case CompilingDone():
                self._mode = event.choice
                self._pace.compiled()
                note_compiled(self.history, event)
            case RunStarted():
                self._mode, self._loop_state = event.choice, event.state
                if self._start is None or not self._start.values:  # else it is noted already
                    note_frozen(self.history, event)
                if told := self._ranks.sentence(event.model):
                    self.history.note(event.step, "ranks", count=self._ranks.count, told=told)
                self._pace.started()

    def _attend(self, *, stepped: bool, evaluated: bool) -> None:
        """Answer those who asked for something; between two steps."""
        with self._changed:
            if stepped and self._steps_allowed:
                self._steps_allowed -= 1
            pauses = self._steps_allowed == 0 and not self._controls.stop
        if pauses:
            self._recorder_set.tell(RunPaused(self._steps_done))  # they write what they have before it shows
            with CORES.given_back():
                self._stand_still(evaluated=evaluated)
        with self._changed:
            self._serve()
            self._attention = self._steps_allowed is not None or self._controls.stop

    def _stand_still(self, *, evaluated: bool) -> None:
        with self._changed:
            self._serve()
            if self._steps_allowed != 0 or self._controls.stop:  # somebody wants it to go on already
                return
            self._state = RunState.PAUSED
            self._changed.notify_all()
        if not self._wait_for_going_on(_SHORT_PAUSE_S):
            self._save(evaluated=evaluated)
            self._wait_for_going_on(None)

    def _wait_for_going_on(self, timeout_s: float | None) -> bool:
        """Whether somebody wants the run to go on or to end; false after a time-out."""
        with self._changed, self._not_training():
            woken = self._changed.wait_for(
                lambda: self._state is not RunState.PAUSED or self._controls.stop, timeout_s
            )
            if woken:
                self._state = RunState.RUNNING
            return woken

    def _serve(self) -> None:
        """Hand out the snapshots that were asked for."""
        for request in self._requests:
            request.fill(self.model)
        if self._requests:
            self._requests = []
            self._changed.notify_all()


def active_runs() -> list[LiveRun]:
    """The runs that go on or are paused, in this process or in another one that it follows, oldest first."""
    owners = [thread.owner for thread in threading.enumerate() if isinstance(thread, RunThread)]
    return [run for run in owners if not run.done]
