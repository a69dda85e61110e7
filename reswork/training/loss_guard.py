"""A watch on the loss that never waits for the device."""

from collections import deque

import torch
from torch import Tensor


class LossGuard:
    """Finds the first loss that is not finite, on an accelerator, where nobody looks at the numbers.

    ``poison`` is 0 until the first bad loss and NaN from then on; ``flag`` is 1 from then on and makes a
    fused optimizer leave the weights alone; a count of the good steps travels back now and then by a copy
    that nobody waits for.

    Args:
        device: that the losses are on.
        every: steps between two such copies.
        step: updates made before, all of them good.
        waits: wait for the device then, so that several ranks find it in the same step.
    """

    def __init__(self, device: torch.device, every: int = 16, step: int = 0, *, waits: bool = False) -> None:
        self._every, self._waits = every, waits
        self._steps = step
        self.poison = torch.zeros((), device=device)
        self.flag = torch.zeros((), device=device)
        self._good = torch.full((), float(step), device=device)
        self._sent: deque[tuple[int, Tensor, torch.Event]] = deque()

    def first_bad(self, loss: Tensor) -> int | None:
        """Take in one more loss, () float32; the number of the first bad one, from 1, if known by now."""
        self._steps += 1
        self.poison = self.poison + (loss - loss)  # 0, or NaN for ever
        self.flag = self.poison.isnan().float()
        self._good = self._good + (1 - self.flag)
        if self._steps % self._every:
            return None
        if self._good.device.type != "cuda" or self._waits:
            return self.settle()
        self._send()
        return self._arrived()

    def settle(self) -> int | None:
        """Wait for the device; the number of the first bad loss so far, or None."""
        good = round(self._good.item())
        return good + 1 if good < self._steps else None

    def _send(self) -> None:
        host = torch.empty((), pin_memory=True)
        host.copy_(self._good, non_blocking=True)
        event = torch.Event(self._good.device)
        event.record()
        self._sent.append((self._steps, host, event))

    def _arrived(self) -> int | None:
        while self._sent and self._sent[0][2].query():
            steps, host, _event = self._sent.popleft()
            good = round(host.item())
            if good < steps:
                return good + 1
        return None
