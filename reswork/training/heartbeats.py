"""Signs of life between ranks, for what no lost connection tells: a process or a machine that stands still."""

import json
import os
import platform
import signal
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Self

import psutil
import torch.distributed as dist

INTERVAL_S = 1.0
PATIENCE_S = 20.0
_CLOCK_S = 5.0  # a process's birth is told by a clock that is set now and then


@dataclass(frozen=True)
class RankProcess:
    """Where a rank runs."""

    machine: str
    pid: int
    born: float  # seconds since 1970: a number may be given to another process later

    @classmethod
    def here(cls) -> Self:
        """This one."""
        return cls(platform.node(), os.getpid(), psutil.Process().create_time())

    def to_json(self) -> str:
        """As text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """From what `to_json` gave."""
        return cls(**json.loads(text))

    @property
    def is_here(self) -> bool:
        """Whether it is on this machine."""
        return self.machine == platform.node()

    @property
    def may_live(self) -> bool:
        """False where it is known to have ended."""
        return not self.is_here or self.process is not None

    @property
    def process(self) -> psutil.Process | None:
        """The process, if it is on this machine and still this one."""
        try:
            found = psutil.Process(self.pid)
            same = abs(found.create_time() - self.born) < _CLOCK_S
            return found if self.is_here and same and found.status() != psutil.STATUS_ZOMBIE else None
        except psutil.Error:
            return None

    def __str__(self) -> str:
        return f"process {self.pid}" if self.is_here else f"process {self.pid} on {self.machine}"


class Heartbeats:
    """A thread that says every second that this rank lives, and ends one that has not said so for long.

    A rank of this machine that stands still is killed, which wakes all who wait for it; for one of another machine
    this process ends itself, as nothing else wakes it. Either way the run can go on from its last checkpoint.

    Args:
        store: that all ranks reach.
        index: of this rank.
        processes: of all ranks.
        patience_s: seconds without a sign.
    """

    def __init__(
        self, store: dist.Store, index: int, processes: Sequence[RankProcess], patience_s: float = PATIENCE_S
    ) -> None:
        self._store, self._index, self._processes = store, index, processes
        self._patience_s = float(os.environ.get("RESWORK_RANKS_PATIENCE_S", patience_s))
        self._over = threading.Event()
        threading.Thread(target=self._watch, name="reswork-heartbeats", daemon=True).start()

    def stop(self) -> None:
        """No more of it."""
        self._over.set()

    def _watch(self) -> None:
        last = time.monotonic()
        heard = {rank: (b"", last) for rank in range(len(self._processes)) if rank != self._index}
        beat = 0
        while not self._over.wait(INTERVAL_S):
            now, beat = time.monotonic(), beat + 1
            asleep = (
                now - last > self._patience_s / 2
            )  # this process or the machine: others may have been, too
            last = now
            try:
                self._store.set(f"beat/{self._index}", str(beat))
                for rank, (before, since) in heard.items():
                    key = f"beat/{rank}"
                    told = self._store.get(key) if self._store.check([key]) else b""
                    if asleep or told != before:
                        heard[rank] = (told, now)
                    elif now - since > self._patience_s and not self._store.check([f"left/{rank}"]):
                        self._end(rank)
            except RuntimeError:  # torchrun has gone, and its store with it
                return

    def _end(self, rank: int) -> None:
        silent = self._processes[rank]
        print(
            f"reswork: rank {rank} ({silent}) has given no sign of life for {self._patience_s:g} s",
            file=sys.stderr,
            flush=True,
        )
        if not silent.is_here:
            os._exit(1)
        if silent.process is not None:
            silent.process.send_signal(signal.SIGKILL)
