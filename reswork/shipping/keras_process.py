"""`KerasProcess`: Keras, TensorFlow or LiteRT at work in a process of its own, steered from one that has torch."""

import json
import os
import subprocess
import sys
import tempfile
import weakref
from contextlib import suppress
from pathlib import Path
from typing import IO

import numpy as np

from reswork.shipping.keras_worker import read_array, write_array

_END_S = 10


class KerasProcess:
    """Opens one model and answers until it is forgotten; a caller at a time.

    Args:
        path: of the model.
        threads: for one call; None: as many as it takes.
        backend: of Keras.

    Attributes:
        name: of the engine.
        version: of its package.
        threads: that one call may use.

    Raises:
        RuntimeError: it ended, with the last line that it said.
    """

    def __init__(self, path: Path, threads: int | None, backend: str) -> None:
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115, a pipe that nobody reads would stop it
        words = ["answer", str(path.absolute())] + ([] if threads is None else [str(threads)])
        self._process = subprocess.Popen(
            _command(words),
            env=_environment(backend),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            start_new_session=True,  # Ctrl+C is for whoever asks
        )
        self._end = weakref.finalize(self, _end, self._process, self._said)
        assert self._process.stdin is not None and self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout
        line = self._out.readline()
        if not line:
            raise self._failure()
        known = json.loads(line)
        self.name, self.version, self.threads = (
            str(known["name"]),
            str(known["version"]),
            int(known["threads"]),
        )

    def answer(self, images: np.ndarray) -> np.ndarray:
        """The output, channels last.

        Args:
            images: (N, H, W, C) float32.

        Raises:
            RuntimeError: the process ended.
        """
        with suppress(BrokenPipeError):
            write_array(self._in, images)
        found = read_array(self._out)
        if found is None:
            raise self._failure()
        return found

    def _failure(self) -> RuntimeError:
        self._process.wait()
        return RuntimeError(_last_line(self._said))


def build_elsewhere(folder: Path, path: Path, backend: str) -> str:
    """Build a list of layers (`reswork.shipping.layer_files`) in Keras and write it; what wrote it, in words.

    Raises:
        RuntimeError: it failed, with the last line that it said.
    """
    with tempfile.TemporaryFile("w+") as said:
        words = ["build", str(folder), str(path)]
        done = subprocess.run(
            _command(words), env=_environment(backend), stdout=subprocess.PIPE, stderr=said, text=True
        )
        if done.returncode:
            raise RuntimeError(_last_line(said))
    return done.stdout.strip()


def _command(words: list[str]) -> list[str]:
    return [sys.executable, "-m", "reswork.shipping.keras_worker", *words]


def _environment(backend: str) -> dict[str, str]:
    """On the processor, and without what TensorFlow says beside the work."""
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}
    return {**os.environ, **quiet, "KERAS_BACKEND": backend}


def _last_line(said: IO[str]) -> str:
    said.seek(0)
    return next(
        (line.strip() for line in reversed(said.readlines()) if line.strip()), "it ended without a word"
    )[:300]


def _end(process: subprocess.Popen[bytes], said: IO[str]) -> None:
    for pipe in (process.stdin, process.stdout):
        with suppress(OSError):
            assert pipe is not None
            pipe.close()
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    said.close()
