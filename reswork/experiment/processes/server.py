"""The worker's side: it takes requests from kernels for its run, and tells them how the run goes."""

import logging
import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from reswork.errors import InvalidSetting
from reswork.experiment.processes.connection import PROTOCOL, Connection, listen
from reswork.experiment.processes.job import save_tensors
from reswork.experiment.processes.status import status_message
from reswork.store.history_sync import HistoryDelta
from reswork.training.run import Run

INTERVAL_S = 0.25  # between two messages about a run that goes on
_log = logging.getLogger(__name__)


class Server:
    """Listens for kernels, any number of them, until it is closed.

    Args:
        run: in this process, put together by `assemble_run`.
        folder: the private one, for socket and snapshots.
        config: of the network, as JSON values.
    """

    def __init__(self, run: Run, folder: Path, config: Mapping[str, Any]) -> None:
        self.run = run
        self.folder = folder
        self.hello = {
            "protocol": PROTOCOL,
            "name": run.name,
            "config": dict(config),
            "recipe": run.recipe.to_dict(),
            "dataset_name": run.dataset_name,
            "classes": list(run.classes),
            "task": run.task.kind,
            "total_steps": run.total_steps,
            "steps_per_epoch": run.steps_per_epoch,
            "moments_bytes": None if run.moments is None else run.moments.most_bytes,
        }
        self._lock = threading.Lock()
        self._kernels: list[_Kernel] = []
        self._snapshots = 0
        self.closing = False
        self._server = listen(folder)
        self._thread = threading.Thread(target=self._accept, name="reswork-server", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Tell everyone the run's end, and hang up."""
        self.closing = True
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(5.0)
        with self._lock:
            kernels = list(self._kernels)
        for kernel in kernels:
            kernel.tell()
            kernel.connection.hang_up()
        for kernel in kernels:
            kernel.join(5.0)

    def snapshot_file(self) -> str:
        """Name of a new file in the private folder with the weights of this moment; whoever asked removes it."""
        copied = self.run.snapshot()
        with self._lock:
            self._snapshots += 1
            name = f"snapshot-{self._snapshots}.safetensors"
        save_tensors(
            self.folder / name, {key: value.cpu().contiguous() for key, value in copied.state_dict().items()}
        )
        return name

    def _accept(self) -> None:
        while not self.closing:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            kernel = _Kernel(self, Connection(connection))
            with self._lock:
                self._kernels = [each for each in self._kernels if each.is_connected] + [kernel]
            kernel.start()


class _Kernel:
    """One kernel that is connected: a thread takes its requests, another one tells it what is new."""

    def __init__(self, server: Server, connection: Connection) -> None:
        self.connection = connection
        self._server = server
        self._lock = threading.Lock()  # of what was told
        self._delta: HistoryDelta | None = None  # until it has said what it knows
        self._status: dict[str, Any] | None = None
        self._threads = [
            threading.Thread(target=work, name="reswork-kernel", daemon=True)
            for work in (self._listen, self._follow)
        ]
        self.is_connected = True

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self, timeout_s: float) -> None:
        for thread in self._threads:
            thread.join(timeout_s)

    def tell(self) -> None:
        """Send what is new in the history, then the state: whoever sees a pause has everything before it."""
        with self._lock:
            if self._delta is None:
                return
            status = status_message(self._server.run)
            try:
                if lines := self._delta.lines():
                    self.connection.send({"lines": lines})
                if status != self._status:
                    self.connection.send({"status": status})
                self._status = status
            except OSError:
                self._leave()

    def _follow(self) -> None:
        run = self._server.run
        state, step = run.state, run.steps_done
        while self.is_connected and not self._server.closing:
            run.wait_for_change(state, step, INTERVAL_S)
            state, step = run.state, run.steps_done
            self.tell()
            if state.over:
                return

    def _listen(self) -> None:
        try:
            self.connection.send({"hello": self._server.hello})
            while (message := self.connection.receive()) is not None:
                self._answer(message)
        except OSError:
            pass
        finally:
            self._leave()
            self.connection.close()

    def _answer(self, message: Mapping[str, Any]) -> None:
        answer: dict[str, Any] = {"answer": message.get("id")}
        try:
            answer["value"] = self._obey(message)
        except InvalidSetting as error:
            answer |= {"field": error.field, "problem": error.message}
        except Exception as error:  # goes to the one who asked
            _log.warning("A request failed: %s", message, exc_info=True)
            answer["problem"] = f"{type(error).__name__}: {error}"
        self.tell()
        self.connection.send(answer)

    def _obey(self, message: Mapping[str, Any]) -> Any:
        run = self._server.run
        recorder_controls = run.recorder_controls
        assert recorder_controls is not None
        requests: dict[str, Callable[..., Any]] = {
            "start": run.start,
            "pause": run.pause,
            "step": run.step,
            "resume": run.resume,
            "stop": run.stop,
            "set": run.set,
            "snapshot": self._server.snapshot_file,
            "limit": recorder_controls.limit,
            "switch": recorder_controls.switch,
            "pace": recorder_controls.pace,
            "keep_moments": self._keep_moments,
            "follow": self._begin,
        }
        return requests[message["ask"]](**message.get("with", {}))

    def _keep_moments(self, most_bytes: int) -> None:
        moments = self._server.run.moments
        if moments is None:
            raise InvalidSetting("moments_bytes", "this run keeps no moments")
        moments.most_bytes = most_bytes

    def _begin(self, marks: Mapping[str, Any]) -> None:
        """It knows so much of the history already, and wants the rest from now on."""
        with self._lock:
            self._delta = HistoryDelta(self._server.run.history, marks)

    def _leave(self) -> None:
        self.is_connected = False
        self.connection.hang_up()
