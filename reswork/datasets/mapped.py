"""Images in a file on disk that are read as they are needed; what is used often the system keeps in memory."""

import contextlib
import math
import mmap
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

PART_BYTES = 64 * 1024**2
NO_RESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000 if sys.platform == "linux" else 0)


@dataclass(frozen=True)
class Rows:
    """Some rows of a file of bytes, each an image or a mask; every process that opens them shares the same memory.

    Args:
        path: of the file, nothing but rows.
        shape: of a row, such as (C, H, W).
        start: first row.
        stop: behind the last one.
    """

    path: str
    shape: tuple[int, ...]
    start: int
    stop: int

    @property
    def row_bytes(self) -> int:
        """Of one."""
        return math.prod(self.shape)

    @cached_property
    def _map(self) -> mmap.mmap:
        with open(self.path, "rb") as file:
            if hasattr(mmap, "MAP_PRIVATE"):
                # writable, as torch wants it, but what is written stays in this process; without reserve, as the file
                # may be larger than the memory
                flags, access = mmap.MAP_PRIVATE | NO_RESERVE, mmap.PROT_READ | mmap.PROT_WRITE
                with contextlib.suppress(OSError):
                    return mmap.mmap(file.fileno(), 0, flags=flags, prot=access)
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def tensor(self) -> Tensor:
        """The rows, uint8, (N, ...); nothing is read before it is used."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The given buffer is not writable")
            count = (self.stop - self.start) * self.row_bytes
            flat = torch.frombuffer(
                self._map, dtype=torch.uint8, offset=self.start * self.row_bytes, count=count
            )
        return flat.view(-1, *self.shape)

    def expect(self, indices: Tensor) -> None:
        """Have the system begin to read some rows that are needed soon; returns at once."""
        if not hasattr(mmap, "MADV_WILLNEED"):
            return
        for row in indices.tolist():
            begin = (self.start + row) * self.row_bytes
            first = begin - begin % mmap.PAGESIZE
            self._map.madvise(mmap.MADV_WILLNEED, first, begin + self.row_bytes - first)


def in_parts(tensor: Tensor) -> Iterator[Tensor]:
    """Rows of a tensor that may be larger than the memory, some at a time."""
    yield from tensor.split(max(1, PART_BYTES // max(1, tensor[:1].nbytes)))


def rearranged(rows: np.ndarray, order: np.ndarray) -> None:
    """Put ``rows[order[k]]`` at place k, for all k, in place; what is not in the order lies behind them afterwards.

    Args:
        rows: (N, ...), such as a file.
        order: int64, (K,), different rows.
    """
    whole = np.concatenate([order, np.setdiff1d(np.arange(len(rows)), order)])
    waiting = whole != np.arange(len(rows))
    for start in np.flatnonzero(waiting):
        if not waiting[start]:
            continue
        kept, place = rows[start].copy(), start
        while True:
            waiting[place] = False
            source = whole[place]
            if source == start:
                rows[place] = kept
                break
            rows[place] = rows[source]
            place = source
