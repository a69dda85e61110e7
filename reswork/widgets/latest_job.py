"""One background thread that does the newest job, so that a page stays quick while somebody clicks on."""

import threading
from collections.abc import Callable, Iterator

Job = Callable[[], Iterator[None]]


class LatestJob:
    """Runs one job at a time, each a generator that yields where it may be given up for a newer one.

    Args:
        failed: called with the exception of a job that raised.
    """

    def __init__(self, failed: Callable[[Exception], None]) -> None:
        self._failed = failed
        self._lock = threading.Lock()
        self._waiting: Job | None = None
        self._idle = threading.Event()
        self._idle.set()

    def submit(self, job: Job) -> None:
        """Do this one now; the one that goes on ends at its next yield, one that waits is forgotten."""
        with self._lock:
            if self._idle.is_set():
                self._begin(job)
            else:
                self._waiting = job

    def offer(self, job: Job) -> bool:
        """Do this one if there is nothing else to do; False where there is, and it is not done."""
        with self._lock:
            if not self._idle.is_set():
                return False
            self._begin(job)
            return True

    def cancel(self) -> None:
        """Give up what goes on and what waits."""
        with self._lock:
            if not self._idle.is_set():
                self._waiting = lambda: iter(())

    def wait(self, seconds: float) -> bool:
        """Wait until nothing is left to do; False after a time-out."""
        return self._idle.wait(seconds)

    @property
    def is_outdated(self) -> bool:
        """Whether a newer job waits, so that the one that goes on should end."""
        return self._waiting is not None

    def _begin(self, job: Job) -> None:
        self._waiting = job
        self._idle.clear()
        threading.Thread(target=self._work, name="reswork-latest", daemon=True).start()

    def _work(self) -> None:
        while True:
            with self._lock:
                job, self._waiting = self._waiting, None
                if job is None:
                    self._idle.set()
                    return
            try:
                for _ in job():
                    if self.is_outdated:
                        break
            except Exception as error:
                self._failed(error)
