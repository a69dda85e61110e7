"""A real kernel with the workbench in it, and everything that it sends to the page, counted as it arrives."""

import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import zmq
from jupyter_client import BlockingKernelClient, KernelManager

ROOT = Path(__file__).parents[1]
WIDGET_MESSAGES = ("comm_open", "comm_msg", "comm_close", "display_data", "update_display_data")


@dataclass(frozen=True)
class Message:
    """One message for the page."""

    at_s: float  # when it arrived, by `time.perf_counter`
    kind: str
    size: int  # bytes on the wire: header, content and buffers
    content: dict[str, Any] = field(repr=False)

    @property
    def comm(self) -> str:
        """Which widget it is for; empty where it is for none."""
        return str(self.content.get("comm_id", ""))

    @property
    def state(self) -> dict[str, Any]:
        """What it changes of the widget."""
        return dict(self.content.get("data", {}).get("state", {}))


class LiveKernel:
    """A kernel by its client, which stands where the page would be: it takes every message in.

    Args:
        client: connected to the kernel.
    """

    def __init__(self, client: BlockingKernelClient) -> None:
        self._client = client
        self._poller = zmq.Poller()
        self._poller.register(client.iopub_channel.socket, zmq.POLLIN)
        self._poller.register(client.shell_channel.socket, zmq.POLLIN)
        self.messages: list[Message] = []

    def run(self, code: str, value: str = "None", timeout_s: float = 600) -> Any:
        """Run a cell to its end; gives the value of an expression that JSON can hold."""
        asked = self._client.execute(
            code, user_expressions={"value": f"__import__('json').dumps({value})"}, store_history=False
        )
        end = time.perf_counter() + timeout_s
        reply = None
        while reply is None:
            if time.perf_counter() > end:
                raise TimeoutError(f"the kernel did not answer in {timeout_s:g} s: {code}")
            reply = next(
                (each for each in self._take(0.2) if each["parent_header"].get("msg_id") == asked), None
            )
        content = reply["content"]
        found = content.get("user_expressions", {}).get("value", content)
        if content["status"] != "ok" or found["status"] != "ok":
            raise RuntimeError("\n".join(found.get("traceback", [str(found)])))
        return json.loads(eval(found["data"]["text/plain"], {}))

    def listen(self, seconds: float) -> list[Message]:
        """What arrives in so many seconds."""
        end, first = time.perf_counter() + seconds, len(self.messages)
        while (left := end - time.perf_counter()) > 0:
            self._take(left)
        return self.messages[first:]

    def until(self, wanted: Any, timeout_s: float = 120) -> Message:
        """The first message from now on for which ``wanted(message)`` is true."""
        end, seen = time.perf_counter() + timeout_s, len(self.messages)
        while time.perf_counter() < end:
            self._take(0.2)
            for message in self.messages[seen:]:
                seen += 1
                if wanted(message):
                    return message
        raise TimeoutError(f"no such message in {timeout_s:g} s")

    def click(self, button: str) -> float:
        """What the page sends for a click on the button of this model id; gives the moment of sending."""
        content = {"comm_id": button, "data": {"method": "custom", "content": {"event": "click"}}}
        message = self._client.session.msg("comm_msg", content)
        now = time.perf_counter()
        self._client.shell_channel.send(message)
        return now

    def ask_for_states(self) -> None:
        """What the page sends after a reload: one question for the states of all widgets."""
        about = {"comm_id": uuid4().hex, "target_name": "jupyter.widget.control", "data": {}}
        opened = {**about, "metadata": {}}
        asked = {"comm_id": about["comm_id"], "data": {"method": "request_states"}}
        session, channel = self._client.session, self._client.shell_channel
        channel.send(session.msg("comm_open", opened, metadata={"version": "1.0.0"}))
        channel.send(session.msg("comm_msg", asked))

    def _take(self, seconds: float) -> list[dict[str, Any]]:
        """Take in what has arrived, waiting at most so long; gives the replies on the shell channel."""
        ready = dict(self._poller.poll(max(1, 1e3 * seconds)))
        if self._client.iopub_channel.socket in ready:
            self._note()
        if self._client.shell_channel.socket in ready:
            return [self._client.shell_channel.get_msg(timeout=1)]
        return []

    def _note(self) -> None:
        parts = self._client.iopub_channel.socket.recv_multipart()
        _, rest = self._client.session.feed_identities(parts)
        message = self._client.session.deserialize(rest)
        size = sum(map(len, rest))
        self.messages.append(
            Message(time.perf_counter(), message["header"]["msg_type"], size, message["content"])
        )


@contextmanager
def live_kernel() -> Iterator[LiveKernel]:
    """A kernel of its own, whose runs lie in a folder that goes with it."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        manager = KernelManager(kernel_name="python3")
        manager.start_kernel(
            env=os.environ | {"PYTHONPATH": path, "RESWORK_RUNS": f"{folder}/runs"}, cwd=folder
        )
        client = manager.blocking_client()
        client.start_channels()
        try:
            client.wait_for_ready(timeout=120)
            yield LiveKernel(client)
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)
