"""Messages between a kernel and a worker: one line of JSON each, over a socket that only its owner can reach."""

import json
import os
import socket
import stat
import struct
import sys
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any

from reswork.errors import InvalidSetting

PROTOCOL = 1  # grows when old and new kernels and workers no longer understand each other
SOCKET_FILE = "socket"
_LONGEST_LINE = 64 * 1024**2
_SEND_S = 10.0  # whoever does not read for so long is left alone
_CONNECT_S = 2.0


class Connection:
    """One connection; anyone may send, one thread receives.

    Args:
        connection: a connected socket.
        patience_s: seconds that `receive` waits; None: for ever.
    """

    def __init__(self, connection: socket.socket, patience_s: float | None = None) -> None:
        self._connection = connection
        self._lock = Lock()
        connection.settimeout(patience_s)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", int(_SEND_S), 0))
        self._lines = connection.makefile("rb")

    def send(self, message: Mapping[str, Any]) -> None:
        """Send one message.

        Raises:
            OSError: if the other side is gone, or does not read.
        """
        content = json.dumps(message).encode() + b"\n"
        with self._lock:
            self._connection.sendall(content)

    def receive(self) -> dict[str, Any] | None:
        """The next message; None: the other side is gone, sent something else, or nothing in time."""
        try:
            line = self._lines.readline(_LONGEST_LINE)
            message = json.loads(line) if line.endswith(b"\n") else None
        except (OSError, ValueError, RecursionError):
            return None
        return message if isinstance(message, dict) else None

    def hang_up(self) -> None:
        """End it, from any thread; a `receive` that waits gets None."""
        try:
            self._connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            return

    def close(self) -> None:
        """Free it; by the thread that receives."""
        self.hang_up()
        self._lines.close()
        self._connection.close()


def check_system() -> None:
    """Refuse systems without sockets in the file system.

    Raises:
        InvalidSetting: on Windows.
    """
    if not hasattr(socket, "AF_UNIX") or sys.platform == "win32":
        raise InvalidSetting("engine", "engine='process' needs Linux or macOS; use engine='thread' here")


def listen(folder: Path) -> socket.socket:
    """A socket in a private folder, to which kernels can connect."""
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(str(folder / SOCKET_FILE))
    server.listen(8)
    return server


def connect(folder: Path, patience_s: float | None = None) -> Connection:
    """A connection to the worker that listens in a private folder.

    Args:
        folder: of the worker.
        patience_s: for each message.

    Raises:
        OSError: if nobody listens there (yet), or the folder is not the user's own and private.
    """
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(f"{str(folder)!r} is not a private folder of yours")
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(_CONNECT_S)
        connection.connect(str(folder / SOCKET_FILE))
    except BaseException:
        connection.close()
        raise
    return Connection(connection, patience_s)
