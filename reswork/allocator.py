"""Memory that a step of a training frees: kept for the next step, and given back when the training has ended."""

import ctypes
import os
from collections.abc import Callable
from functools import cache

SETTINGS = {  # glibc reads them when a program begins; in the run's thread it keeps nothing without them
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(32 * 1024**2),
    "MALLOC_TRIM_THRESHOLD_": str(1024**3),
}


def give_back() -> None:
    """Hand the freed memory to the system, in a program that was started to keep it."""
    if "MALLOC_TRIM_THRESHOLD_" in os.environ and (trim := _glibc_trim()) is not None:
        trim(0)


@cache
def _glibc_trim() -> Callable[[int], int] | None:
    """``malloc_trim``; None where the C library is another one."""
    try:
        trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (OSError, TypeError, AttributeError):  # musl, macOS; Windows has no library without a name
        return None
    return trim
