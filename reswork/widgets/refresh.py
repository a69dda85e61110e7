"""One background thread that keeps a panel up to date while a run goes on, and never costs more than its share."""

import threading
import time
import warnings
import weakref
from collections.abc import Callable
from typing import Any

SLOWEST_S = 5.0
LONGEST_REFRESH_S = 10.0  # waited for at most, so that closing a page never hangs


class Refresher:
    """Calls a method of a panel again and again until it returns False.

    The pause between two calls grows with what a call costs, so that looking takes at most ``share`` of the time.
    A panel that nobody holds any more ends the thread.

    Args:
        refresh: a bound method; returns True while it wants to be called again.
        news: a bound method that waits for so many seconds, or less if something happened that must show at once,
            such as the end of the run; then it returns True.
        interval_s: shortest pause between two calls, in seconds.
        share: largest part of the time that may be spent in ``refresh``.
    """

    def __init__(
        self,
        refresh: Callable[[], bool],
        news: Callable[[float], bool] | None = None,
        *,
        interval_s: float = 0.5,
        share: float = 0.02,
    ) -> None:
        self._refresh = weakref.WeakMethod(refresh)
        self._news = weakref.WeakMethod(news) if news is not None else None
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
        """Stop refreshing, and wait for a refresh that goes on: after this it makes no widget any more."""
        self._stop.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(LONGEST_REFRESH_S)

    def _loop(self) -> None:
        pause = self._interval_s
        while not self._rest(pause):
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

    def _rest(self, seconds: float) -> bool:
        """Wait for so long, or until there is news; true if the refreshing shall end."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not self._stop.is_set():
            news: Any = self._news() if self._news is not None else None
            if news is None:
                self._stop.wait(left)
            elif news(min(left, self._interval_s)):
                break
        return self._stop.is_set()


def in_background(work: Callable[[], object]) -> None:
    """Run ``work`` in a thread of its own, so that buttons keep answering meanwhile."""
    threading.Thread(target=work, name="reswork-background", daemon=True).start()
