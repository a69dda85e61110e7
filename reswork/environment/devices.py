"""What computes: the device that torch finds, and whether it is the one that people expect."""

import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from reswork.environment.report import Finding


@dataclass(frozen=True)
class DeviceFacts:
    """What torch says about this machine.

    Attributes:
        torch: its version; empty where it cannot be imported.
        problem: why it cannot be imported, or why the device does not answer.
        kind: ``"cuda"``, ``"mps"``, ``"cpu"`` ...
        name: of the device.
        cuda: version of CUDA that torch was built for; empty without.
        precision: the number format that the device is built for, and why, as a training would choose it.
        answers: whether it computed one plus one.
        has_nvidia: whether the system has an NVIDIA device, whatever torch says.
        cores: processor cores that this process may use.
        threads: that torch computes with on them.
    """

    torch: str = ""
    problem: str = ""
    kind: str = "cpu"
    name: str = ""
    cuda: str = ""
    precision: str = ""
    answers: bool = False
    has_nvidia: bool = False
    cores: int = 1
    threads: int = 1


def look_at_device() -> DeviceFacts:
    """Ask torch; this imports it."""
    has_nvidia = Path("/dev/nvidia0").exists() or shutil.which("nvidia-smi") is not None
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        import torch

        from reswork.training.modes import choose_device, fast_precision
    except Exception as error:  # a library that is missing or does not fit comes as OSError, ImportError, ...
        return DeviceFacts(problem=_first_line(error), has_nvidia=has_nvidia, cores=cores)
    seen = DeviceFacts(
        str(torch.__version__),
        cuda=str(torch.version.cuda or ""),
        has_nvidia=has_nvidia,
        cores=cores,
        threads=torch.get_num_threads(),
    )
    try:
        device, told = choose_device("auto")
        precision, why = fast_precision(device)
        answers = float(torch.ones(2, device=device).sum()) == 2.0
    except Exception as error:  # a driver that is too old, a device that fell off
        return replace(seen, problem=_first_line(error))
    name = told.partition(",")[0]
    return replace(seen, kind=device.type, name=name, precision=f"{precision}, {why}", answers=answers)


def device_finding(facts: DeviceFacts) -> Finding:
    """The verdict on the device."""
    if not facts.torch:
        told = f"torch cannot be imported: {facts.problem}"
        return Finding(
            "device", "bad", told, "install it anew: pip install --force-reinstall torch torchvision"
        )
    built = f"torch {facts.torch}{f', CUDA {facts.cuda}' if facts.cuda else ''}"
    if not facts.answers:
        told = f"{built}: the device does not answer ({facts.problem or 'it computes wrong numbers'})"
        return Finding(
            "device", "bad", told,
            "look at the driver (nvidia-smi); Recipe(device='cpu') trains on the processor meanwhile",
        )  # fmt: skip
    if facts.kind == "cpu":
        told = f"{built}: the processor, {facts.cores} cores, {facts.precision}"
        if facts.has_nvidia:
            why = "torch finds no way to it" if facts.cuda else "this torch is built without CUDA"
            remedy = "install torch for CUDA, as pytorch.org/get-started says, or update the driver"
            return Finding("device", "look", f"{told}; there is an NVIDIA device, but {why}", remedy)
        return Finding("device", "good", told)
    return Finding("device", "good", f"{built}: {facts.name} ({facts.kind}), {facts.precision}")


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:200] or type(error).__name__
