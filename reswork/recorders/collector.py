"""Numbers on their way from the device to the history, without anybody waiting for the device."""

import time
from collections import deque
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

Sink = Callable[[np.ndarray, np.ndarray], object]


class Collector:
    """Collects one small tensor a step and hands many over at once, as numbers.

    On the processor that happens a few times a second. On CUDA the copy starts then, and its numbers are
    handed over at a later step, when they have arrived.

    Args:
        sink: called with steps (n,) int64 and values (n, ...) float64, in order.
        interval_s: shortest time between two of these calls.
    """

    def __init__(self, sink: Sink, interval_s: float = 0.25) -> None:
        self._sink = sink
        self._interval_s = interval_s
        self._next = 0.0
        self._steps: list[int] = []
        self._values: list[Tensor] = []
        self._sent: deque[tuple[list[int], Tensor, torch.Event]] = deque()

    def add(self, step: int, value: Tensor) -> None:
        """Take a tensor in; of the same shape and on the same device each time."""
        self._steps.append(step)
        self._values.append(value)
        now = time.perf_counter()
        if now < self._next:
            return
        self._next = now + self._interval_s
        if value.device.type == "cuda":
            self._receive(wait=False)
            self._send()
        else:
            self._hand_over()

    def flush(self) -> None:
        """Hand everything over, waiting for the device."""
        self._receive(wait=True)
        self._hand_over()

    def _hand_over(self) -> None:
        if self._steps:
            steps, values = self._taken()
            self._sink(np.asarray(steps, np.int64), values.cpu().double().numpy())

    def _send(self) -> None:
        steps, values = self._taken()
        host = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
        host.copy_(values, non_blocking=True)
        event = torch.Event(values.device)
        event.record()
        self._sent.append((steps, host, event))

    def _receive(self, *, wait: bool) -> None:
        while self._sent and (wait or self._sent[0][2].query()):
            steps, host, event = self._sent.popleft()
            event.synchronize()
            self._sink(np.asarray(steps, np.int64), host.double().numpy())

    def _taken(self) -> tuple[list[int], Tensor]:
        steps, values = self._steps, torch.stack(self._values)
        self._steps, self._values = [], []
        return steps, values
