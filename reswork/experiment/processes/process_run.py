"""`ProcessRun`: one training in a process of its own, steered like a `Run`."""

import copy
import subprocess
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from reswork.datasets.dataset import Dataset
from reswork.errors import InvalidSetting
from reswork.experiment.processes.client import Client
from reswork.experiment.processes.exit_reason import sentence_about
from reswork.experiment.processes.job import remove_private_folder
from reswork.experiment.processes.portable import catalogue_name
from reswork.experiment.processes.process_controls import ProcessMoments, ProcessRecorderControls
from reswork.experiment.processes.status import Status, WorkerFailed, status_from
from reswork.history import History
from reswork.recorders.recorder_controls import RecorderControls
from reswork.store.checkpoints import Checkpoints
from reswork.store.directory import METRICS_FILE, WEIGHTS_FILE
from reswork.store.history_sync import HistoryFollower, marks
from reswork.store.replay import read_history
from reswork.store.saved_run import load_run
from reswork.store.worker_file import Worker, kill_all
from reswork.tasks import task_of_kind
from reswork.training.live_run import LiveRun, RunState
from reswork.training.modes import Mode
from reswork.training.ranks import RankFailed
from reswork.training.recipe import Recipe
from reswork.training.recorder import Listener
from reswork.training.run import RunThread

_ATTACH_S = 30.0
_LONGEST_END_S = 20.0  # from the run's end to the process's
_SNAPSHOT_S = 120.0  # a worker that begins takes seconds, and a step of a huge network too


class ProcessRun(LiveRun):
    """A training in a process of its own, which survives the kernel if it was told so.

    Its requests mean the same as those of `Run`, and land between two steps. The weights in ``model`` are those of the
    beginning until the run is over, then the final ones; look at `snapshot` meanwhile.

    Attributes:
        directory: the run's folder; the worker's words are in its ``worker.log``.
        when_kernel_ends: what the worker does when the kernel that started it ends; None: another kernel knows.
    """

    def __init__(
        self,
        directory: Path,
        model: nn.Module,
        recipe: Recipe,
        facts: Mapping[str, Any],
        *,
        data: Dataset | None = None,
        history: History | None = None,
        launch: Callable[[], tuple[Worker, subprocess.Popen[bytes] | None]],
        give_up: Callable[[], None] = lambda: None,
        relaunch: Callable[[], tuple[Worker, subprocess.Popen[bytes]]] | None = None,
    ) -> None:
        self.directory: Path = directory
        self.name = directory.name
        self.model = model
        self.recipe = recipe
        self.history = history if history is not None else History()
        self._data = data
        self.dataset_name = str(facts["dataset_name"])
        self.classes = tuple(str(name) for name in facts["classes"])
        self.task = task_of_kind(str(facts["task"]))
        self.total_steps = int(facts["total_steps"])
        self.steps_per_epoch = int(facts["steps_per_epoch"])
        self.when_kernel_ends = facts.get("when_kernel_ends")
        self.recorder_controls: RecorderControls = ProcessRecorderControls(self)
        budget = facts.get("moments_bytes")
        self.moments = None if budget is None else ProcessMoments(self, int(budget))
        self._launch = launch
        self._give_up = give_up
        self._relaunch = relaunch
        self._restarts = int(facts.get("restarts", 0))  # that are left
        self._changed = threading.Condition()  # guards what follows
        self._state = RunState.READY
        self._error: BaseException | None = None
        self._status: Status | None = None  # the worker's last word
        self._early: list[tuple[str, dict[str, Any]]] = []  # asked for before there was a worker
        self._client: Client | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._follower = HistoryFollower(self.history)
        self._killed = False
        self._lost = False  # whether the final weights are

    # --- what it is ------------------------------------------------------------------------------

    @property
    def data(self) -> Dataset:
        """What it learns from; found again by its name where another kernel started the run.

        Raises:
            InvalidSetting: if that is not a built-in data set.
        """
        if self._data is None:
            self._data = load_run(self.directory).load_data()
        return self._data

    @property
    def mode(self) -> Mode | None:
        """How it computes and why; None until that is chosen."""
        return self._status.mode if self._status is not None else None

    @property
    def steps_done(self) -> int:
        """Optimizer updates so far, as the worker told a fraction of a second ago."""
        return self._status.steps_done if self._status is not None else 0

    @property
    def seconds_left(self) -> float | None:
        """Estimate from the pace so far; None while unknown, 0 when it is over."""
        if self.done:
            return 0.0
        return self._status.seconds_left if self._status is not None else None

    @property
    def pid(self) -> int | None:
        """Number of the process; None before the start."""
        return self._client.worker.pid if self._client is not None else None

    @property
    def status(self) -> Status | None:
        """The worker's last word, with its recorders; None before the first."""
        return self._status

    def __repr__(self) -> str:
        where = f"process {self.pid}" if self.pid is not None else "no process yet"
        step = f"step {self.steps_done:,} of {self.total_steps:,}"
        return f"<ProcessRun {self.name!r}: {self._state.value}, {step}, {where}>"

    # --- buttons ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin, in a process of its own; however often it is called, there is one.

        Raises:
            OSError: if the system cannot start one.
        """
        with self._changed:
            if self._state is not RunState.READY:
                return
            self._follow_worker([*self._early, ("start", {})])
            self._changed.notify_all()

    def attach(self) -> None:
        """Follow a worker that goes on already; returns when its state is known.

        Raises:
            InvalidSetting: if it ends meanwhile, or does not answer.
        """
        with self._changed:
            self._follow_worker([])
            self._changed.wait_for(lambda: self._status is not None or self.done, _ATTACH_S)
            if self._status is None:
                why = self._error or "its process does not answer"
                raise InvalidSetting("name", f"run {self.name!r} cannot be taken up: {why}")

    def pause(self) -> None:
        """Stand still after the step that is being made, before an evaluation that may follow it."""
        self._ask("pause")

    def step(self, n: int = 1) -> None:
        """Make n more steps and then stand still.

        Raises:
            InvalidSetting: if n is not a whole number of at least 1.
        """
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise InvalidSetting("n", f"n={n!r} must be a whole number of steps of at least 1")
        self._ask("step", n=n)
        self.start()

    def resume(self) -> None:
        """Go on."""
        self._ask("resume")

    def stop(self) -> None:
        """End after the step that is being made, or within an evaluation; the weights stay as they are."""
        with self._changed:
            if self._state is RunState.READY:
                self._give_up()
                self._state = RunState.STOPPED
                self._changed.notify_all()
                return
        self._ask("stop")

    def kill(self) -> None:
        """End the process at once, for one that does not answer; what was not saved is lost."""
        with self._changed:
            if self._client is None or self.done:
                return
            self._killed = True
            process = self._client.worker.process
        if process is not None:
            kill_all(process)

    def set(self, **settings: float) -> None:
        """Change learning_rate, weight_decay or momentum from the next step on; the history notes it.

        Raises:
            InvalidSetting: for another setting, an impossible value, or a run that is over.
        """
        self._check_change(settings)
        self._ask("set", **settings)

    def snapshot(self) -> nn.Module:
        """A detached copy of the model between two steps, in evaluation mode; the training does not notice.

        Raises:
            RuntimeError: if the worker cannot give one, or does not answer.
        """
        client = self._client
        while client is not None and not self.done:
            name = client.ask_connected("snapshot", _SNAPSHOT_S)
            if name is not None:
                path = client.worker.folder / Path(str(name)).name
                weights = load_file(path)
                path.unlink()
                return self._copied(weights)
            self.wait_until_over(0.1)  # it has just ended, or will be connected again
        if self._lost:
            raise RuntimeError(f"the weights of run {self.name!r} were lost with its process")
        return self._copied(None)

    def wait_until_over(self, timeout_s: float | None = _LONGEST_END_S) -> RunState:
        """Wait until it is over, or for so many seconds; gives the state, raises nothing."""
        with self._changed:
            self._changed.wait_for(lambda: self.done, timeout_s)
            return self._state

    # --- recorders -------------------------------------------------------------------------------

    @property
    def recorders(self) -> tuple[str, ...]:
        """Names of those that record now."""
        return tuple(self.recorder_controls.taken)

    def add_recorder(self, recorder: Listener | str) -> None:
        """Let a recorder of ``rw.recorders.CATALOGUE`` have the events, from the next one on.

        Raises:
            InvalidSetting: for anything else; functions of this kernel cannot see the events of another process.
        """
        self.recorder_controls.switch(catalogue_name(recorder), True)

    def remove_recorder(self, recorder: Listener | str) -> None:
        """Let it have no more; one that is not there is no error."""
        name = catalogue_name(recorder)
        if name in self.recorder_controls.taken:
            self.recorder_controls.switch(name, False)

    def request(self, what: str, **details: Any) -> None:
        """Ask the worker for something that is no button; nothing happens where the run is over."""
        self._ask(what, **details)

    def _ask(self, what: str, **details: Any) -> None:
        with self._changed:
            if self.done:
                return
            client = self._client
            if client is None:
                self._early.append((what, details))
                return
        client.ask(what, **details)

    # --- in the following thread -------------------------------------------------------------------

    def _follow_worker(self, requests: list[tuple[str, dict[str, Any]]]) -> None:
        """Start the process, or find it, and the thread that takes its messages; with the lock held."""
        worker, self._process = self._launch()
        self._client = Client(worker, self._take)
        self._state = RunState.RUNNING
        self._early = []
        for what, details in requests:
            self._client.ask(what, **details)
        RunThread(self, self._follow).start()

    def _follow(self) -> None:
        problem, code = self._followed()
        while problem is None and self._restarted():
            problem, code = self._followed()
        self._finish(problem, code)

    def _restarted(self) -> bool:
        """Go on from the last checkpoint with new processes, where ranks were lost; whether that is so."""
        told, relaunch = self._status, self._relaunch
        lost = told is None or not told.state.over or isinstance(told.error, RankFailed)
        if relaunch is None or self._killed or not lost or not self._restarts:
            return False
        try:
            checkpoint, _, _ = Checkpoints(self.directory).newest()
            earlier = read_history(self.directory / METRICS_FILE, checkpoint.metrics_bytes)
        except (InvalidSetting, OSError, ValueError):  # nothing to go on from
            return False
        self._restarts -= 1
        with self._changed:
            paused = self._state is RunState.PAUSED
            try:
                worker, self._process = relaunch()
            except OSError as error:
                self.history.note(self.steps_done, "not_restarted", reason=str(error))
                return False
            self.history.become(earlier)  # as the new processes begin with
            self._follower = HistoryFollower(self.history)
            self._status = None
            self._client = Client(worker, self._take)
            for what in ("pause", "start") if paused else ("start",):
                self._client.ask(what)
            self._changed.notify_all()
        return True

    def _followed(self) -> tuple[Exception | None, int | None]:
        """Until the process has ended, or cannot be followed any more: why, and its return code where it is ours."""
        client, problem = self._client, None
        assert client is not None
        try:
            client.follow(
                lambda: marks(self.history), lambda: self._status is not None and self._status.state.over
            )
        except Exception as error:  # a worker of another version, or lines that make no sense
            problem = error
        return problem, None if problem is not None else self._end_of_process()

    def _end_of_process(self) -> int | None:
        """Its return code, where it is ours."""
        assert self._client is not None
        if self._process is None:
            if not self._client.worker.alive:
                remove_private_folder(self._client.worker.folder)
            return None
        try:
            code = self._process.wait(_LONGEST_END_S)
        except subprocess.TimeoutExpired:
            kill_all(psutil.Process(self._process.pid))
            code = self._process.wait()
        remove_private_folder(self._client.worker.folder)  # a killed one could not clean up
        return code

    def _take(self, message: Mapping[str, Any]) -> None:
        for line in message.get("lines", ()):
            self._follower.take(line)
        if "status" in message:
            status = status_from(message["status"])
            with self._changed:
                self._status = status
                if status.state is not RunState.READY and not status.state.over:
                    self._state = status.state
                self._changed.notify_all()

    def _finish(self, problem: Exception | None, code: int | None) -> None:
        """The process has ended, or cannot be followed any more."""
        told = self._status
        if told is not None and told.state.over and problem is None:
            state, error = told.state, told.error
        elif self._killed:
            state, error = RunState.STOPPED, None
        else:
            state = RunState.FAILED
            error = problem or WorkerFailed(
                sentence_about(self.directory, self.pid, code, began=told is not None)
            )
        weights = self.directory / WEIGHTS_FILE
        has_written_them = told is not None and told.state.over and weights.is_file()
        with self._changed:
            self._lost = not (has_written_them and self._load(weights))
            self._state, self._error = state, error
            self._changed.notify_all()

    def _load(self, path: Path) -> bool:
        """Whether the final weights could be put into the model."""
        self.model.eval()
        try:
            self.model.load_state_dict(load_file(path))
        except (OSError, SafetensorError, RuntimeError) as error:
            self.history.note(self.steps_done, "weights_unreadable", reason=str(error))
            return False
        return True

    def _copied(self, weights: Mapping[str, Tensor] | None) -> nn.Module:
        """A copy of the model with other weights; None: with its own."""
        with self._changed:
            copied = copy.deepcopy(self.model).eval()
        copied.zero_grad()
        if weights is not None:
            copied.load_state_dict(weights)
        return copied
