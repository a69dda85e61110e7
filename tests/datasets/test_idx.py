import gzip
from pathlib import Path

import numpy as np
import pytest

from reswork.datasets import idx

GOOD = bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3]) + bytes(range(6))
PACKED = gzip.compress(
    GOOD, mtime=0
)  # with the time of day in it, two workers would name the tests differently


@pytest.mark.parametrize("data", [GOOD, PACKED])
def test_reads_plain_and_packed_files(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "file").write_bytes(data)
    assert np.array_equal(idx.idx_array(tmp_path / "file"), np.arange(6).reshape(2, 3))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not an idx file"),
        (b"hello, world", "not an idx file"),
        (GOOD[:-1], "truncated"),
        (GOOD[:6], "not an idx file"),
        (bytes([0, 0, 8, 4]) + GOOD[4:12], "not an idx file"),
        (bytes([0, 0, 8, 1, 255, 255, 255, 255, 1]), "truncated"),
        (PACKED[:-9], "damaged"),
        (PACKED[:12] + b"\x00\xff\x00" + PACKED[15:], "damaged"),
    ],
)
def test_says_what_is_wrong(tmp_path: Path, data: bytes, words: str) -> None:
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(ValueError, match=words):
        idx.idx_array(tmp_path / "file")


def test_an_archive_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idx, "MOST_BYTES", 1000)
    (tmp_path / "file").write_bytes(gzip.compress(bytes([0, 0, 8, 1, 0, 1, 0, 0]) + bytes(65_536)))
    with pytest.raises(ValueError, match="not an idx file"):
        idx.idx_array(tmp_path / "file")
