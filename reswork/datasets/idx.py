"""The idx format of MNIST and its relatives, plain or compressed with gzip."""

import gzip
import zlib
from pathlib import Path

import numpy as np

MOST_BYTES = 1024**3


def idx_array(path: Path) -> np.ndarray:
    """The array of bytes in an idx file, uint8.

    Raises:
        ValueError: another format, a truncated file, or more than 1 GiB.
    """
    with path.open("rb") as raw:
        compressed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        try:
            data = gzip.GzipFile(fileobj=raw).read(MOST_BYTES + 1) if compressed else raw.read(MOST_BYTES + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{path} is damaged ({error}): put a new copy there") from error
    known = len(data) >= 8 and data[:3] == b"\0\0\x08" and 1 <= data[3] <= 4 and len(data) >= 4 + 4 * data[3]
    if not known or len(data) > MOST_BYTES:
        raise ValueError(f"{path} is not an idx file of bytes: put the original there")
    shape = [int(n) for n in np.frombuffer(data, ">u4", data[3], 4)]
    values = np.frombuffer(data, np.uint8, offset=4 + 4 * len(shape))
    if len(values) != int(np.prod(shape, dtype=np.float64)):
        raise ValueError(
            f"{path} is truncated: its {len(values):,} bytes are not {shape}; put a new copy there"
        )
    return values.reshape(shape)
