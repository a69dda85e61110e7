import os
import platform
import subprocess
import sys

import pytest

from reswork import allocator

PROGRAM = """
import ctypes, os
from reswork import allocator
c = ctypes.CDLL(None)
c.malloc.restype, c.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

pieces = [c.malloc(2**20) for _ in range(200)]
for piece in pieces:
    ctypes.memset(piece, 1, 2**20)
for piece in pieces:
    c.free(piece)
kept = resident()
allocator.give_back()
print(kept, resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="these are settings of glibc")
def test_freed_memory_is_kept_until_the_training_has_ended() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=os.environ | allocator.SETTINGS,
        capture_output=True,
        text=True,
        check=True,
    )
    kept, left = map(float, done.stdout.split())
    assert kept > 200 > left + 100


def test_only_a_program_that_keeps_memory_gives_it_back(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(allocator, "_glibc_trim", lambda: asked.append)
    monkeypatch.delenv("MALLOC_TRIM_THRESHOLD_", raising=False)
    allocator.give_back()
    assert asked == []
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1")
    allocator.give_back()
    assert asked == [0]
    monkeypatch.setattr(allocator, "_glibc_trim", lambda: None)  # another C library
    allocator.give_back()
    assert asked == [0]
