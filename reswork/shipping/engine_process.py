"""An engine in a process of its own: what dies in it takes nothing else with it, and what it took it gives back.

The process is ``python -m reswork.shipping.engine_process FILE THREADS``; arrays go through its pipes. It has no torch
but where torch is the engine, because Keras on TensorFlow and torch in one process crash each other.
"""

import json
import os
import struct
import subprocess
import sys
import weakref
from collections.abc import Callable
from contextlib import suppress
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np

from reswork.errors import InvalidSetting
from reswork.shipping.engines import (
    CHANNELS_LAST,
    Engine,
    backends,
    first_line,
    format_of,
    open_engine,
    quiet_environment,
)  # fmt: skip

_TRIES = 2  # of a call: what kills two processes may be to blame itself
_TEXT = 255  # in the place of the number of axes: a text follows


class EngineDied(Exception):
    """The process died at a call, and the next one died at it, too."""


class EngineProcess:
    """Opens a model's file in another process; a call at which that dies is made again in a new one.

    Calls come from one thread at a time. The process ends with `close`, or when this and its engine are forgotten.

    Args:
        path: of the model.
        threads: for one call; None: as many as torch takes.
        restarted: called each time that the process was started again.
        backend: of Keras; None: the first one that is installed.

    Raises:
        InvalidSetting: the file cannot be opened.
    """

    def __init__(
        self,
        path: Path,
        threads: int | None = None,
        restarted: Callable[[], None] = lambda: None,
        *,
        backend: str | None = None,
    ) -> None:
        self._command = [
            sys.executable,
            "-m",
            "reswork.shipping.engine_process",
            str(path),
            str(threads or 0),
        ]
        keras = format_of(path) in CHANNELS_LAST
        self._environment = quiet_environment(backend or backends()[0]) if keras else None
        self._restarted, self._closed = restarted, False
        self._known = self._begin()

    @property
    def engine(self) -> Engine:
        """That computes there; it keeps the process."""
        known = self._known
        return Engine(known["name"], known["version"], known["threads"], self._answer)

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def close(self) -> None:
        """End the process; a call that goes on fails."""
        self._closed = True
        self._end()

    def _begin(self) -> dict[str, Any]:
        self._process = subprocess.Popen(
            self._command,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl+C is for whoever asks
        )
        self._end = weakref.finalize(self, _end, self._process)
        try:
            known: dict[str, Any] = json.loads(str(_read(self._out)))
        except EOFError:
            known = {"error": f"its process ended with status {self._process.wait()}"}
        if "error" in known:
            self._end()
            raise InvalidSetting("path", known["error"])
        return known

    def _answer(self, inputs: np.ndarray) -> np.ndarray:
        for _ in range(_TRIES):
            try:
                _write(self._in, inputs)
                found = _read(self._out)
            except (OSError, EOFError, ValueError):  # a broken pipe, its end, a pipe that is closed
                self._begin_again()
                continue
            if isinstance(found, str):
                raise RuntimeError(found)
            return found
        raise EngineDied("the engine died at this call, and once more when it was made again")

    def _begin_again(self) -> None:
        self._end()
        if self._closed:
            raise EngineDied("the engine was closed")
        try:
            self._begin()
        except InvalidSetting as error:
            raise EngineDied(f"the engine died and does not start any more: {error.message}") from error
        self._restarted()

    @property
    def _in(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def _out(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):  # what was written and never read
                pipe.close()


def _write(pipe: IO[bytes], found: np.ndarray | str) -> None:
    if isinstance(found, str):
        data = found.encode()
        pipe.write(struct.pack("<BQ", _TEXT, len(data)) + data)
    else:
        pipe.write(struct.pack(f"<B{found.ndim}Q", found.ndim, *found.shape))
        pipe.write(found.astype(np.float32, copy=False).tobytes())
    pipe.flush()


def _read(pipe: IO[bytes]) -> np.ndarray | str:
    """What the other side wrote.

    Raises:
        EOFError: it ended.
    """
    (axes,) = _exactly(pipe, 1)
    if axes == _TEXT:
        (length,) = struct.unpack("<Q", _exactly(pipe, 8))
        return _exactly(pipe, length).decode()
    shape = struct.unpack(f"<{axes}Q", _exactly(pipe, 8 * axes))
    return np.frombuffer(_exactly(pipe, 4 * prod(shape)), np.float32).reshape(shape)


def _exactly(pipe: IO[bytes], count: int) -> bytearray:
    """So many bytes, in a buffer that may be written to."""
    found = bytearray(count)
    view, done = memoryview(found), 0
    while done < count:
        read = pipe.readinto(view[done:])  # type: ignore[attr-defined]
        if not read:
            raise EOFError
        done += read
    return found


def main(arguments: list[str]) -> int:
    """Answer until stdin ends."""
    given, out = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    try:
        engine = open_engine(Path(arguments[0]), int(arguments[1]) or None)
    except InvalidSetting as error:
        _write(out, json.dumps({"error": error.message}))
        return 2
    _write(out, json.dumps({"name": engine.name, "version": engine.version, "threads": engine.threads}))
    with suppress(EOFError, BrokenPipeError):  # whoever asked is gone
        while True:
            inputs = _read(given)
            assert not isinstance(inputs, str)
            try:
                answer: np.ndarray | str = engine(inputs)
            except Exception as error:  # whatever the engine comes up with
                answer = f"{type(error).__name__}: {first_line(error)}"
            _write(out, answer)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
