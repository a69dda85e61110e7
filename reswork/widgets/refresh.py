"""One background thread that keeps a panel up to date while a run goes on, and never costs more than its share."""

import threading
import time
import warnings
import weakref
from collections.abc import Callable
from typing import Any

SLOWEST_S = 5.0


class Refresher:
    """Calls a method of a panel again and again until it returns False.

    The pause between two calls grows with what a call costs, so that looking takes at most ``share`` of the time.
    A panel that nobody holds any more ends the thread.

    Args:
        refresh: a bound method; returns True while it wants to be called again.
        interval_s: shortest pause between two calls, in seconds.
        share: largest part of the time that may be spent in ``refresh``.
    """

    def __init__(self, refresh: Callable[[], bool], *, interval_s: float = 0.5, share: float = 0.02) -> None:
        self._refresh = weakref.WeakMethod(refresh)
        self._interval_s, self._share = interval_s, share
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    def start(self) -> None:
        """Start refreshing; does nothing when it goes on already."""
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._stop.clear()
                self._thread = threading.Thread(target=self._loop, name="reswork-refresh", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """Stop refreshing; returns at once."""
        self._stop.set()

    def _loop(self) -> None:
        pause = self._interval_s
        while not self._stop.wait(pause):
            refresh: Any = self._refresh()
            if refresh is None:
                return
            started = time.thread_time()
            try:
                wanted = refresh()
            except Exception as error:  # a failing view must not end the thread silently
                warnings.warn(f"The view could not be refreshed: {error!r}", RuntimeWarning, stacklevel=1)
                wanted = True
            if not wanted:
                return
            cost = time.thread_time() - started
            pause = min(max(self._interval_s, cost / self._share), SLOWEST_S)
            del refresh


def in_background(work: Callable[[], None]) -> None:
    """Run ``work`` in a thread of its own, so that buttons keep answering meanwhile."""
    threading.Thread(target=work, name="reswork-background", daemon=True).start()
