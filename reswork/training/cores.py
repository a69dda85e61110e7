"""Who computes on the processor's cores while runs go on: each run with all of them, the main thread with one."""

import ctypes
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import torch

_AFTERWARDS_S = 0.05
_SOFT = 1  # omp_pause_soft: the calling thread's helpers end, and come back when they are needed


class Cores:
    """Knows which threads of this process train on the processor, and lends them the main thread's cores.

    A thread that computes keeps a pool of helpers. Where all pools together have more threads than the machine has
    cores, GNU's OpenMP lets the helpers sleep at each barrier, and a training loses a fifth of its speed. So while one
    goes on in another thread, the main thread computes with one thread and has no pool, and a new thread begins with
    one as well; afterwards the main thread gets its number back, unless somebody set another one meanwhile. A
    training itself computes with as many threads as torch had been told to use, so its losses stay the same.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()  # the main thread may settle in the middle of asking
        self._training: Counter[threading.Thread] = Counter()  # loops that go on in each
        self._count = 1  # threads of each of them
        self._lent: int | None = None  # the number that the main thread had; None: it has it
        self._settle_in_main = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(self._settle_for_c)

    @property
    def count(self) -> int:
        """Threads that a training in this process computes with: what ``torch.set_num_threads`` was told."""
        with self._lock:
            if self._training:
                return self._count
            return torch.get_num_threads() if self._lent is None else self._lent

    @contextmanager
    def taken(self) -> Iterator[None]:
        """The calling thread trains with all cores."""
        thread = threading.current_thread()
        self._begin(thread, 1)
        try:
            yield
        finally:
            self._end(thread, 1)

    @contextmanager
    def given_back(self) -> Iterator[None]:
        """The training of the calling thread stands still."""
        thread = threading.current_thread()
        loops = self._training[thread]
        self._end(thread, loops)
        try:
            yield
        finally:
            self._begin(thread, loops)

    def _begin(self, thread: threading.Thread, loops: int) -> None:
        if not loops:
            return
        with self._lock:
            self._count = self.count
            self._training[thread] += loops
            if thread is not threading.main_thread() and self._count > 1 and _gnu_pause() is not None:
                torch.get_num_threads()  # else torch gives the thread its first number later, and forgets this one
                torch.set_num_threads(self._count)
                _let_new_threads_have(1, instead_of=self._count)
        self._ask()

    def _end(self, thread: threading.Thread, loops: int) -> None:
        if not loops:
            return
        if (
            thread is threading.current_thread() is not threading.main_thread()
        ):  # else it is one that collects garbage
            drop_helpers()
        with self._lock:
            self._training = self._training - Counter({thread: loops})
            if not self._training and self._count > 1 and _gnu_pause() is not None:
                _let_new_threads_have(self._count, instead_of=1)
        self._ask()

    def _ask(self) -> None:
        """Have the main thread settle: now, or before it goes on with Python."""
        if threading.current_thread() is threading.main_thread():
            self._settle()
        elif _gnu_pause() is not None:
            ctypes.pythonapi.Py_AddPendingCall(self._settle_in_main, None)

    def _settle_for_c(self, _: object) -> int:
        """`_settle`, called by C, which loses exceptions: a Ctrl+C that falls into it is said again just afterwards."""
        try:
            self._settle()
        except KeyboardInterrupt:
            threading.Timer(_AFTERWARDS_S, _interrupt_main).start()
            self._settle()
        return 0

    def _settle(self) -> None:
        """In the main thread: lend what it has, or take it back."""
        with self._lock:
            main = threading.main_thread()
            lends = bool(self._training) and main not in self._training and _gnu_pause() is not None
            if lends and self._lent is None and torch.get_num_threads() > 1:
                self._lent = torch.get_num_threads()
                torch.set_num_threads(1)
                drop_helpers()
            elif not lends and self._lent is not None:
                if torch.get_num_threads() == 1:
                    torch.set_num_threads(self._lent)
                self._lent = None


CORES = Cores()  # a process has one processor


def _interrupt_main() -> None:
    main = threading.main_thread()
    if main.is_alive() and main.ident is not None:
        signal.pthread_kill(main.ident, signal.SIGINT)


def drop_helpers() -> None:
    """End the pool with which the calling thread computes, where OpenMP is GNU's; a new one comes when it is needed."""
    pause = _gnu_pause()
    if pause is not None:
        pause(_SOFT)


def _let_new_threads_have(count: int, *, instead_of: int) -> None:
    """Torch gives a new thread the number that was set last, in whichever thread; leave it where it is another one."""

    def change() -> None:
        if torch.get_num_threads() == instead_of:
            torch.set_num_threads(count)

    thread = threading.Thread(target=change, name="reswork-threads", daemon=True)
    with suppress(RuntimeError):  # Python ends: there will be no new threads
        thread.start()
        thread.join()


@cache
def _gnu_pause() -> Callable[[int], int] | None:
    """``omp_pause_resource_all`` of the OpenMP that torch computes with; None where that is not GNU's."""
    if sys.platform != "linux":
        return None
    try:
        library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))
        pause: Callable[[int], int] = library.omp_pause_resource_all
    except (OSError, AttributeError):
        return None
    is_gnu = hasattr(library, "GOMP_parallel") and not hasattr(library, "__kmpc_fork_call")
    return pause if is_gnu else None
