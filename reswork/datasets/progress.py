"""How far a long reading is, for whoever shows it."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass

FIRST_S = 1.5  # what is over sooner is not mentioned
EVERY_S = 0.25
LINE_EVERY_S = 20.0  # where lines cannot be overwritten


@dataclass(frozen=True)
class Progress:
    """A part of a reading.

    Args:
        what: is done, such as ``Decoding``.
        done: images so far.
        total: images in all; 0 where that is unknown.
        seconds_left: estimate of this part; None while unknown.
    """

    what: str
    done: int
    total: int
    seconds_left: float | None = None

    @property
    def share(self) -> float:
        """What is done, 0 to 1."""
        return self.done / max(self.total, 1)

    def __str__(self) -> str:
        if not self.total:
            return self.what
        left = "" if self.seconds_left is None else f", {_in_words(self.seconds_left)} left"
        return f"{self.what}: {self.done:,} of {self.total:,} images{left}"


Listener = Callable[[Progress], None]
_listener: ContextVar[Listener | None] = ContextVar("reswork_reading", default=None)


@contextlib.contextmanager
def watched(listener: Listener) -> Iterator[None]:
    """Tell a listener how far what is read in here is, instead of the terminal or the cell."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


class Ticker:
    """Counts one part of a reading and tells it now and then; a context, after which its line is gone.

    Args:
        what: is done.
        total: images; 0 where that is unknown.
        done: what was done before, in an earlier process.
    """

    def __init__(self, what: str, total: int, done: int = 0) -> None:
        self._what, self._total, self._before, self._done = what, total, done, done
        self._listener = _listener.get()
        self._begin = self._told = time.monotonic()
        self._is_shown = False

    def __enter__(self) -> "Ticker":
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_shown and _overwrites():
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def advance(self, count: int) -> None:
        """So many images more are done."""
        self._done += count
        now = time.monotonic()
        if now - self._begin < FIRST_S or now - self._told < EVERY_S:
            return
        pace = (self._done - self._before) / (now - self._begin)
        progress = Progress(
            self._what, self._done, self._total, (self._total - self._done) / pace if pace else None
        )
        if self._listener is not None:
            self._told = now
            self._listener(progress)
        elif _overwrites():
            self._told, self._is_shown = now, True
            sys.stderr.write(f"\r\x1b[K{progress}")
            sys.stderr.flush()
        elif now - self._told >= LINE_EVERY_S:
            self._told = now
            sys.stderr.write(f"{progress}\n")


def _overwrites() -> bool:
    """Whether a line can be written over: on a terminal, and below a cell."""
    return sys.stderr.isatty() or type(sys.stderr).__module__.startswith("ipykernel.")


def _in_words(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
