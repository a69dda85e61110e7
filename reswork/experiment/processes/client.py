"""The kernel's side of one connection: requests with their answers, in order."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from reswork.errors import InvalidSetting
from reswork.experiment.processes.connection import PROTOCOL, Connection, connect
from reswork.store.worker_file import Worker

ANSWER_S = 10.0  # a worker that lives answers in milliseconds
_RETRY_S = 0.05


class Client:
    """Requests to a worker. Those that are made before there is a connection are sent, in order, when there is one.

    Args:
        worker: that is asked.
        take: called with every message that is no answer, by the thread that calls `follow`.

    Attributes:
        patience_s: seconds that an answer is waited for.
    """

    def __init__(self, worker: Worker, take: Callable[[Mapping[str, Any]], None]) -> None:
        self.worker = worker
        self.patience_s = ANSWER_S
        self._take = take
        self._changed = threading.Condition()
        self._connection: Connection | None = None
        self._number = 0
        self._early: list[dict[str, Any]] = []
        self._answers: dict[int, Mapping[str, Any]] = {}
        self._over = False

    def ask(self, what: str, **details: Any) -> Any:
        """Ask for something; returns at once where there is no connection yet, else with the answer.

        Returns:
            The answer's value; None where there is no connection yet, or the worker has ended.

        Raises:
            InvalidSetting: if the worker refuses.
            RuntimeError: if it cannot, or does not answer.
        """
        with self._changed:
            message = self._message(what, details)
            if self._connection is None:
                self._early.append(message)
                return None
            connection = self._connection
        return self._answer(connection, message)

    def ask_connected(self, what: str, timeout_s: float, **details: Any) -> Any:
        """Like `ask`, but waits for the connection.

        Raises:
            RuntimeError: also if there is none in time.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._connection is not None or self._over, timeout_s)
            if self._connection is None and not self._over:
                raise self._silence()
            connection = self._connection
            message = self._message(what, details)
        return None if connection is None else self._answer(connection, message)

    def follow(self, marks: Callable[[], Mapping[str, Any]], ended: Callable[[], bool]) -> None:
        """Take messages until the run or its process has ended; connects again where a connection is lost.

        Args:
            marks: how much of the history is known, asked at each connection.
            ended: whether the run's end was told.

        Raises:
            RuntimeError: if the worker is of another version.
        """
        while not ended() and (connection := self._connected()) is not None:
            try:
                self._greet(connection, marks())
                while (message := connection.receive()) is not None:
                    if "answer" in message:
                        with self._changed:
                            self._answers[message["answer"]] = message
                            self._changed.notify_all()
                    else:
                        self._take(message)
            except OSError:  # the worker has gone in the middle of it
                continue
            finally:
                self._lose(connection)
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def _connected(self) -> Connection | None:
        """A connection, or None when the process has ended."""
        while self.worker.alive:
            try:
                return connect(self.worker.folder)
            except OSError:
                time.sleep(_RETRY_S)
        return None

    def _greet(self, connection: Connection, marks: Mapping[str, Any]) -> None:
        hello = (connection.receive() or {}).get("hello")
        if hello is None:
            raise ConnectionError("the worker said nothing")
        if hello["protocol"] != PROTOCOL:
            raise RuntimeError(
                "this run was started by another version of reswork; steer it with that one, or restart the kernel"
            )
        self._take({"hello": hello})
        with self._changed:
            connection.send(self._message("follow", {"marks": marks}))
            for message in self._early:
                connection.send(message)
            self._early = []
            self._connection = connection
            self._changed.notify_all()

    def _lose(self, connection: Connection) -> None:
        with self._changed:
            self._connection = None
            self._answers.clear()
            self._changed.notify_all()
        connection.close()

    def _message(self, what: str, details: Mapping[str, Any]) -> dict[str, Any]:
        self._number += 1
        return {"id": self._number, "ask": what, "with": dict(details)}

    def _answer(self, connection: Connection, message: Mapping[str, Any]) -> Any:
        number = message["id"]
        try:
            connection.send(message)
        except OSError:
            return None  # it has ended, or will be connected again
        with self._changed:
            told = self._changed.wait_for(
                lambda: number in self._answers or self._connection is not connection, self.patience_s
            )
            answer = self._answers.pop(number, None)
        if not told:
            raise self._silence()
        if answer is None:
            return None
        if "field" in answer:
            raise InvalidSetting(str(answer["field"]), str(answer["problem"]))
        if "problem" in answer:
            raise RuntimeError(str(answer["problem"]))
        return answer.get("value")

    def _silence(self) -> RuntimeError:
        return RuntimeError(
            f"The process of this run ({self.worker.pid}) does not answer; kill() or its Kill button ends it, "
            "what was not saved is lost."
        )
