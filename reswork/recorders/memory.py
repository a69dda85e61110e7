"""Memory and use of the device."""

import time

import psutil
import torch

from reswork.history import History
from reswork.training.events import Event, StepDone
from reswork.training.recorder import BaseRecorder, Recorder


def memory(history: History, *, interval_s: float = 1.0) -> Recorder:
    """A recorder of ``memory/bytes`` and ``device/utilisation``, about once a second.

    On a GPU: memory that tensors take on the device, and the share of time in which it computes (needs
    nvidia-ml-py, the extra ``gpu``). On a processor: memory of this process, and the share of all cores that
    it uses.

    Args:
        history: gets the series.
        interval_s: shortest time between two values.
    """
    return _Memory(history, interval_s)


class _Memory(BaseRecorder):
    name = "memory"
    events = (StepDone,)

    def __init__(self, history: History, interval_s: float) -> None:
        self._history = history
        self._interval_s = interval_s
        self._next = 0.0
        self._process = psutil.Process()
        self._process.cpu_percent()  # the first call only begins the measurement
        self._cores = (
            len(self._process.cpu_affinity())
            if hasattr(self._process, "cpu_affinity")
            else psutil.cpu_count()
        )
        self._has_utilisation = True

    def __call__(self, event: Event) -> None:
        now = time.perf_counter()
        if now < self._next or not isinstance(event, StepDone):
            return
        device = event.loss.device
        values = {"memory/bytes": float(self._bytes(device))}
        use = self._utilisation(device) if self._next else None  # of less than an interval: not yet
        if use is not None:
            values["device/utilisation"] = use
        self._next = now + self._interval_s
        self._history.record(event.step, values)

    def _bytes(self, device: torch.device) -> int:
        if device.type == "cpu":
            return int(self._process.memory_info().rss)
        if device.type == "mps":
            return int(torch.mps.current_allocated_memory())
        return int(torch.accelerator.memory_allocated(device))

    def _utilisation(self, device: torch.device) -> float | None:
        """Fraction of the device, 0 to 1; None where nobody can tell."""
        if device.type == "cpu":
            return min(1.0, self._process.cpu_percent() / 100 / max(1, self._cores or 1))
        if device.type != "cuda" or not self._has_utilisation:
            return None
        try:
            return torch.cuda.utilization(device) / 100
        except (ImportError, RuntimeError):  # nvidia-ml-py is not here, or the driver forbids it
            self._has_utilisation = False
            return None
