import gc
import threading
import time
import weakref

import pytest

from reswork.widgets.refresh import Refresher, in_background
from tests.waiting import wait_for


class Panel:
    def __init__(self, calls: int) -> None:
        self.left = calls
        self.done = threading.Event()
        self.refresher = Refresher(self.refresh, interval_s=0.005)

    def refresh(self) -> bool:
        self.left -= 1
        if self.left == 0:
            self.done.set()
        return self.left > 0


def refresh_threads() -> int:
    return sum(thread.name == "reswork-refresh" for thread in threading.enumerate())


def test_refreshes_until_nothing_more_can_come_and_can_start_again() -> None:
    panel = Panel(3)
    panel.refresher.start()
    panel.refresher.start()
    assert panel.done.wait(5)
    wait_for(lambda: refresh_threads() == 0)
    assert panel.left == 0
    panel.left, panel.done = 2, threading.Event()
    panel.refresher.start()
    assert panel.done.wait(5)


def test_stop_ends_the_thread() -> None:
    wait_for(lambda: refresh_threads() == 0)  # that of the test before
    panel = Panel(10**9)
    panel.refresher.start()
    panel.refresher.stop()
    assert refresh_threads() == 0


def test_a_forgotten_panel_ends_its_thread() -> None:
    panel = Panel(10**9)
    gone = weakref.ref(panel)
    panel.refresher.start()
    del panel
    gc.collect()
    wait_for(lambda: refresh_threads() == 0)
    assert gone() is None


def test_an_expensive_refresh_is_called_less_often() -> None:
    class Slow(Panel):
        def refresh(self) -> bool:
            end = time.thread_time() + 0.02
            while time.thread_time() < end:
                pass
            return super().refresh()

    slow = Slow(3)
    slow.refresher = Refresher(slow.refresh, interval_s=0.001, share=0.1)
    started = time.monotonic()
    slow.refresher.start()
    assert slow.done.wait(300)
    assert time.monotonic() - started > 2 * 0.02 / 0.1 * 0.9


def test_an_error_is_told_and_refreshing_goes_on() -> None:
    class Failing(Panel):
        def refresh(self) -> bool:
            wanted = super().refresh()
            if self.left == 2:
                raise RuntimeError("no picture today")
            return wanted

    panel = Failing(3)
    with pytest.warns(RuntimeWarning, match="no picture today"):
        panel.refresher.start()
        assert panel.done.wait(5)


def test_in_background_runs_elsewhere() -> None:
    where: list[int] = []
    done = threading.Event()
    in_background(lambda: (where.append(threading.get_ident()), done.set()))
    assert done.wait(5)
    assert where[0] != threading.get_ident()
