"""What the tests of ``make test-ship`` share: a server in an environment of its own, and one picture as text."""

import base64
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx


def free_port() -> int:
    """That nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def plain_environment(**more: str) -> dict[str, str]:
    """Without what would let a child find this project."""
    return {**{key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}, **more}


@contextmanager
def served(
    command: Sequence[str | Path], folder: Path, environment: dict[str, str], url: str, alive: str
) -> Iterator[httpx.Client]:
    """A client of a server that answers at ``alive``; the server ends with the block."""
    with (folder.parent / "server.log").open("w") as log:
        process = subprocess.Popen(
            [str(each) for each in command],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            with httpx.Client(base_url=url, timeout=300, trust_env=False) as client:
                end = time.monotonic() + 300
                while not _answers(client, alive):
                    if process.poll() is not None or time.monotonic() > end:
                        raise AssertionError((folder.parent / "server.log").read_text()[-4000:])
                    time.sleep(0.2)
                yield client
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _answers(client: httpx.Client, path: str) -> bool:
    try:
        return client.get(path).status_code == 200
    except httpx.TransportError:
        return False


def picture(folder: Path, index: int) -> str:
    """A kept example as base64."""
    return base64.b64encode((folder / "examples" / f"{index:02}.png").read_bytes()).decode()
