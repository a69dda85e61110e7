import sys
from pathlib import Path

import pytest
from filelock import FileLock

from reswork.datasets import progress
from reswork.datasets.cache import Entry
from reswork.datasets.progress import Progress, Ticker, watched


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(1000))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(clock)))


def test_what_is_left_follows_from_the_pace_of_this_process() -> None:
    told: list[Progress] = []
    with watched(told.append), Ticker("Decoding", 1000, done=600) as ticker:
        ticker.advance(50)  # within the first moment: not told
        ticker.advance(50)
        ticker.advance(50)
    assert [(each.done, each.total) for each in told] == [(700, 1000), (750, 1000)]
    assert [each.seconds_left for each in told] == [6.0, 5.0]


@pytest.mark.parametrize(
    ("seconds", "words"), [(3.2, "3 s"), (89.0, "89 s"), (600.0, "10 min"), (7200.0, "2.0 h"), (None, "")]
)
def test_in_words(seconds: float | None, words: str) -> None:
    told = str(Progress("Decoding", 1200, 2000, seconds))
    assert told == "Decoding: 1,200 of 2,000 images" + (f", {words} left" if words else "")


def test_a_terminal_gets_one_line_that_goes_and_a_log_few(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Ticker("Decoding", 100) as ticker:
        for _ in range(30):
            ticker.advance(1)
    assert capsys.readouterr().err.count("\n") == 1
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with Ticker("Decoding", 100) as ticker:
        for _ in range(4):
            ticker.advance(25)
    shown = capsys.readouterr().err
    assert "\r\x1b[KDecoding: 100 of 100 images" in shown
    assert shown.endswith("\r\x1b[K")
    assert "\n" not in shown


def test_who_waits_for_another_program_says_so(tmp_path: Path) -> None:
    other = FileLock(tmp_path / "set.lock")
    other.acquire()
    told: list[str] = []

    def listener(progress: Progress) -> None:
        told.append(str(progress))
        other.release()

    with watched(listener), Entry(tmp_path / "set").locked():
        assert told == ["Waiting for another program, which decodes the same images"]
