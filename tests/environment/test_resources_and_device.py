import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from reswork.environment import resources
from reswork.environment.devices import DeviceFacts, device_finding, look_at_device

MIB = 1024**2


@pytest.mark.parametrize(
    ("free", "verdict"), [(None, "look"), (500 * MIB, "bad"), (1500 * MIB, "look"), (16 * 1024 * MIB, "good")]
)
def test_memory(free: int | None, verdict: str) -> None:
    found = resources.memory_finding(free)
    assert found.verdict == verdict and (found.remedy or verdict == "good")


@pytest.mark.parametrize(
    ("free", "verdict"), [(None, "look"), (50 * MIB, "bad"), (500 * MIB, "look"), (16 * 1024 * MIB, "good")]
)
def test_disk(free: int | None, verdict: str) -> None:
    found = resources.disk_finding(free, Path("runs"))
    assert found.verdict == verdict and (found.remedy or verdict == "good")


@pytest.mark.parametrize(
    ("busy", "cores", "threads", "remedy"),
    [
        (None, 2, 2, "pip install psutil"),
        (0.2, 2, 2, ""),
        (1.1, 2, 2, "OMP_NUM_THREADS=1 "),
        (1.1, 2, 1, ""),
        (2.0, 2, 2, "OMP_NUM_THREADS=1 "),
        (2.2, 8, 8, "OMP_NUM_THREADS=6 "),
        (2.2, 8, 6, ""),
    ],
)
def test_cores(busy: float | None, cores: int, threads: int, remedy: str) -> None:
    found = resources.cores_finding(busy, cores, threads)
    assert (found.verdict == "good") == (not remedy) == (not found.remedy) and remedy in found.remedy


def test_a_program_that_computes_keeps_a_core_busy() -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as other:
        try:
            found = resources.busy_cores(1.0)
        finally:
            other.kill()
    assert found is not None and 0.5 < found <= (os.cpu_count() or 1)


def test_a_container_has_less_than_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "max").write_text(f"{100 * MIB}\n")
    (tmp_path / "current").write_text(f"{30 * MIB}\n")
    (tmp_path / "none").write_text("max\n")
    files = (
        (str(tmp_path / "max"), str(tmp_path / "current")),
        (str(tmp_path / "none"), str(tmp_path / "current")),
    )
    monkeypatch.setattr(resources, "_CGROUPS", files)
    assert resources.free_memory() == 70 * MIB


def test_disk_is_looked_up_where_the_folder_would_be_made(tmp_path: Path) -> None:
    assert (resources.free_disk(tmp_path / "not" / "yet") or 0) > 0


@pytest.mark.parametrize(
    ("facts", "verdict", "told"),
    [
        ({"problem": "libcudart.so: no such file"}, "bad", "torch cannot be imported: libcudart.so"),
        (
            {"torch": "2.9", "answers": True, "precision": "fp32", "cores": 4},
            "good",
            "the processor, 4 cores",
        ),
        ({"torch": "2.9", "answers": True, "has_nvidia": True}, "look", "built without CUDA"),
        (
            {"torch": "2.9", "answers": True, "has_nvidia": True, "cuda": "13.0"},
            "look",
            "torch finds no way to it",
        ),
        (
            {"torch": "2.9", "cuda": "13.0", "kind": "cuda", "problem": "no kernel image"},
            "bad",
            "no kernel image",
        ),
        (
            {
                "torch": "2.9",
                "cuda": "13.0",
                "kind": "cuda",
                "name": "H100",
                "precision": "bf16",
                "answers": True,
            },
            "good",
            "torch 2.9, CUDA 13.0: H100 (cuda), bf16",
        ),
    ],
)
def test_device(facts: dict, verdict: str, told: str) -> None:
    found = device_finding(DeviceFacts(**facts))
    assert found.verdict == verdict and told in found.told
    assert found.remedy or verdict == "good"


def test_this_machine_answers() -> None:
    found = look_at_device()
    assert found.answers and found.torch and not found.problem and found.cores >= 1
    assert found.threads == torch.get_num_threads()


def test_a_torch_that_cannot_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    found = look_at_device()
    assert not found.torch and "torch" in found.problem
