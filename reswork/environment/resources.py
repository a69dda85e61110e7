"""Memory, disk and cores against what a usual training takes: ResNet-20 on fashion, batches of 128."""

import os
import shutil
from pathlib import Path

from reswork.environment.report import Finding

MIB = 1024**2
MEMORY_NEEDED = 1200 * MIB  # measured: 1,160 MiB for the whole process, on a processor without bf16
DISK_NEEDED = 200 * MIB  # metrics and checkpoints of one run, and 120 MB of kept moments
_BUSY = 0.6  # cores
_CGROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


def free_memory() -> int | None:
    """Bytes that this process can still take, a container's limit included; None where nobody can tell."""
    try:
        import psutil

        free = int(psutil.virtual_memory().available)
    except Exception:  # not installed, or the system does not tell
        return None
    for limit, used in _CGROUPS:
        try:
            free = min(free, int(Path(limit).read_text()) - int(Path(used).read_text()))
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return max(free, 0)


def free_disk(folder: Path) -> int | None:
    """Bytes free where a folder lies or would be made; None where nobody can tell."""
    path = folder.absolute()
    for each in (path, *path.parents):
        try:
            return shutil.disk_usage(each).free
        except FileNotFoundError:
            continue
        except OSError:
            return None
    return None


def busy_cores(seconds: float = 0.5) -> float | None:
    """How many of the cores that this process may use others keep busy, meanwhile; None where nobody can tell.

    Args:
        seconds: to look for; this process does nothing in them.
    """
    try:
        import psutil

        shares = psutil.cpu_percent(seconds, percpu=True)
        ours = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(len(shares))
        return sum(shares[core] for core in ours) / 100
    except Exception:  # not installed, or the system does not tell
        return None


def cores_finding(busy: float | None, cores: int, threads: int) -> Finding:
    """Cores that other programs leave, against the threads that torch computes with."""
    if busy is None:
        return Finding("cores", "look", "nobody can tell how busy they are", "pip install psutil")
    told = f"other programs use {busy:.1f} of {cores}, torch computes with {threads} thread(s)"
    left = max(1, cores - round(busy))
    if busy < _BUSY or threads <= left:
        return Finding("cores", "good", told)
    return Finding(
        "cores", "look", f"{told}; steps on the processor may be many times slower, as these wait for each other",
        f"close what you do not need, or set OMP_NUM_THREADS={left} before you start Jupyter",
    )  # fmt: skip


def memory_finding(free: int | None) -> Finding:
    """Free memory against what a ResNet-20 takes."""
    if free is None:
        return Finding("memory", "look", "nobody can tell how much is free", "pip install psutil")
    told = f"{size(free)} free; a ResNet-20 on fashion takes about {size(MEMORY_NEEDED)}"
    if free < MEMORY_NEEDED:
        return Finding(
            "memory", "bad", told, "close other programs and kernels, or use a smaller batch_size and width"
        )
    if free < 2 * MEMORY_NEEDED:
        return Finding("memory", "look", told, "enough for one; close other kernels before larger networks")
    return Finding("memory", "good", told)


def disk_finding(free: int | None, folder: Path) -> Finding:
    """Free disk against what one run writes."""
    if free is None:
        return Finding(
            "disk", "look", f"nobody can tell how much is free at {folder}", "choose another RESWORK_RUNS"
        )
    told = f"{size(free)} free at {folder}; a run with its moments takes up to {size(DISK_NEEDED)}"
    if free < DISK_NEEDED:
        return Finding(
            "disk", "bad", told, "delete old runs, or set RESWORK_RUNS to a folder on another disk"
        )
    if free < 5 * DISK_NEEDED:
        return Finding("disk", "look", told, "enough for a run or two; delete old runs soon")
    return Finding("disk", "good", told)


def size(count: int) -> str:
    """Bytes in GiB or MiB."""
    return f"{count / 1024**3:.1f} GiB" if count >= 1024**3 else f"{count / MIB:.0f} MiB"
