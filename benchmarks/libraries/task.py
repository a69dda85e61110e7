"""What all libraries are given, and how their speed is read: nothing here needs reswork's training."""

import argparse
import time

import numpy as np

BATCH = 128
WORKERS = 2
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)


def images_and_labels(images: int = 50_000) -> tuple[np.ndarray, np.ndarray]:
    """Noise: (N, 32, 32, 3) uint8, and (N,) int64 labels of ten classes."""
    random = np.random.default_rng(0)
    return random.integers(0, 256, (images, 32, 32, 3), dtype=np.uint8), np.arange(images) % 10


def options() -> argparse.Namespace:
    """Steps to warm up and steps to time."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--warm", type=int, default=20)
    parser.add_argument("--steps", type=int, default=60)
    return parser.parse_args()


class Stopwatch:
    """Times the steps after the first so many; call `step` at the end of each.

    Args:
        warm: steps that do not count.
        steps: steps that do.
    """

    def __init__(self, warm: int, steps: int) -> None:
        self.total = warm + steps
        self._warm, self._steps = warm, steps
        self._done = 0
        self._begin = self._end = 0.0

    def step(self) -> bool:
        """Count one step; True when all are done."""
        self._done += 1
        if self._done == self._warm:
            self._begin = time.perf_counter()
        elif self._done == self.total:
            self._end = time.perf_counter()
        return self._done >= self.total

    def tell(self) -> None:
        """Print the images per second, as the last line of the script."""
        if not self._end:
            raise RuntimeError(f"only {self._done} of {self.total} steps were made")
        print(f"\nimages per second: {self._steps * BATCH / (self._end - self._begin):.2f}")
