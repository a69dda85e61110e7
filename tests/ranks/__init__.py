"""Several real processes that run a function together, as torchrun would start them, but in a fraction of the time."""

import contextlib
import multiprocessing as mp
import os
import pickle
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

_CONTEXT = mp.get_context("forkserver")  # one process imports torch, all others are its children
_CONTEXT.set_forkserver_preload(["tests.ranks.jobs"])
_SURELY_S = 300.0


@dataclass
class Outcome:
    """How one rank ended."""

    code: int | None  # None: it had to be killed after five minutes
    value: Any = None
    error: str = ""  # the last line of its traceback
    said: str = ""  # on stdout and stderr
    seconds: float = 0.0  # from the start of all

    def unwrap(self) -> Any:
        assert self.code == 0 and not self.error, self
        return self.value


class RanksOf:
    """So many processes that run a function; ``outcomes`` waits for them."""

    def __init__(
        self, folder: Path, job: Callable[..., Any], *arguments: Any, count: int = 2, **environ: str
    ) -> None:
        number = sum(1 for _ in folder.glob("store-*"))
        (folder / f"store-{number}").touch()
        common = {
            "TORCHELASTIC_RUN_ID": "test",
            "RESWORK_RANKS_STORE": str(folder / f"store-{number}.file"),
            "WORLD_SIZE": str(count),
            "LOCAL_WORLD_SIZE": str(count),
            "OMP_NUM_THREADS": "1",
            **environ,
        }
        self.logs = [folder / f"said-{number}-{rank}.txt" for rank in range(count)]
        self.begin = time.monotonic()
        self._ends: list[Connection] = []
        self.processes = []
        for rank in range(count):
            here, there = _CONTEXT.Pipe(duplex=False)
            own = {**common, "RANK": str(rank), "LOCAL_RANK": str(rank)}
            process = _CONTEXT.Process(
                target=_child, args=(own, str(self.logs[rank]), there, job, arguments), daemon=True
            )
            process.start()
            there.close()
            self._ends.append(here)
            self.processes.append(process)

    def outcomes(self, within_s: float = _SURELY_S) -> list[Outcome]:
        """How each of them ended; those that hang are killed."""
        found = [Outcome(None) for _ in self.processes]
        for rank, end in enumerate(self._ends):
            left = max(0.0, self.begin + within_s - time.monotonic())
            if wait([end], left):
                with contextlib.suppress(EOFError):  # it was killed
                    found[rank].value, found[rank].error = pickle.loads(end.recv_bytes())
            self.processes[rank].join(max(0.1, self.begin + within_s - time.monotonic()))
            found[rank].code = self.processes[rank].exitcode
            found[rank].seconds = time.monotonic() - self.begin
        for rank, process in enumerate(self.processes):
            process.kill()
            process.join()
            found[rank].said = self.logs[rank].read_text() if self.logs[rank].exists() else ""
        return found

    def wait_for(self, text: str, rank: int = 0) -> None:
        """Until a rank has said something."""
        while text not in (self.logs[rank].read_text() if self.logs[rank].exists() else ""):
            assert time.monotonic() < self.begin + _SURELY_S, self.outcomes(0)
            time.sleep(0.02)


def values_of(folder: Path, job: Callable[..., Any], *arguments: Any, count: int = 2) -> list[Any]:
    """What the job gave on each rank."""
    return [each.unwrap() for each in RanksOf(folder, job, *arguments, count=count).outcomes()]


def _child(
    environ: dict[str, str], log: str, end: Connection, job: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    os.environ.update(environ)
    file = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    for number in (1, 2):
        os.dup2(file, number)
    sys.stdout, sys.stderr = (
        os.fdopen(1, "w", buffering=1, closefd=False),
        os.fdopen(2, "w", buffering=1, closefd=False),
    )
    import torch

    torch.set_num_threads(1)
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # who runs in the background inherits that it is ignored
    value, error = None, ""
    try:
        value = job(*arguments)
    except BaseException as raised:
        traceback.print_exc()
        error = f"{type(raised).__name__}: {raised}"
    end.send_bytes(pickle.dumps((value, error)))  # not send(), which would share the memory of tensors
    end.close()
