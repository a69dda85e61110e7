"""Cuts the embedded part of Fashion-MNIST out of the full set; only needed to make ``data/fashion`` again.

Usage: ``python data/cut_fashion.py [folder with the four idx files] [where to write]``
"""

import gzip
import hashlib
import sys
from pathlib import Path

import numpy as np

SEED = 20170828  # the day on which Fashion-MNIST was published
PARTS = {"train": 1_000, "t10k": 200}  # images of each class
DEBIAN = Path("/usr/share/datasets/fashion-mnist")


def cut(source: Path, target: Path) -> None:
    """Write a class-balanced choice of both splits, in the order and the format of the originals."""
    target.mkdir(parents=True, exist_ok=True)
    generator = np.random.RandomState(SEED)  # its stream is frozen across versions of numpy
    for part, per_class in PARTS.items():
        images = read_idx(source / f"{part}-images-idx3-ubyte.gz", offset=16).reshape(-1, 28, 28)
        labels = read_idx(source / f"{part}-labels-idx1-ubyte.gz", offset=8)
        of_class = [np.flatnonzero(labels == label) for label in range(10)]
        chosen = np.sort(np.concatenate([generator.choice(of, per_class, replace=False) for of in of_class]))
        write_idx(target / f"{part}-images-idx3-ubyte.gz", images[chosen])
        write_idx(target / f"{part}-labels-idx1-ubyte.gz", labels[chosen])


def read_idx(path: Path, offset: int) -> np.ndarray:
    """The bytes behind an idx file's header."""
    return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=offset)


def write_idx(path: Path, values: np.ndarray) -> None:
    """An idx file of bytes, compressed without a time stamp, so that it is the same each time."""
    header = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes()
    path.write_bytes(gzip.compress(header + values.tobytes(), compresslevel=9, mtime=0))
    print(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}")


if __name__ == "__main__":
    arguments = [Path(argument) for argument in sys.argv[1:]]
    cut(
        arguments[0] if arguments else DEBIAN,
        arguments[1] if arguments[1:] else Path(__file__).parent / "fashion",
    )
