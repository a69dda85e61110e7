"""What the processor draws, where Linux tells it (RAPL), else what is taken for it."""

import os
from contextlib import suppress
from pathlib import Path

_ROOT = Path("/sys/class/powercap")
# Of a processor at work, with its memory: 350 W for 56 cores of a server are 6, 125 W for 8 of a desktop 16.
WATTS_PER_CORE = 10.0


class PackageEnergy:
    """Joules that the processors have taken since this was made, all programs together.

    Args:
        root: where Linux has its counters.
    """

    def __init__(self, root: Path = _ROOT) -> None:
        self._counters = {
            path: (counted, most)
            for path in sorted(root.glob("intel-rapl:*"))
            if path.name.count(":") == 1 and (counted := _number(path / "energy_uj")) is not None
            if (most := _number(path / "max_energy_range_uj")) is not None
        }

    def joules(self) -> float | None:
        """So far; None: nobody may read it here, or there are no counters."""
        total = 0
        for path, (begin, most) in self._counters.items():
            now = _number(path / "energy_uj")
            if now is None:
                return None
            total += now - begin if now >= begin else now + most - begin  # it begins anew when it is full
        return total / 1e6 if self._counters else None


def assumed_watts() -> float:
    """What a processor is taken to draw where nobody can measure it."""
    return WATTS_PER_CORE * (os.cpu_count() or 1)


def _number(path: Path) -> int | None:
    with suppress(OSError, ValueError):
        return int(path.read_text())
    return None
