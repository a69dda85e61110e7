"""Where a study keeps what it has computed, so that it is shown again without computing, and goes on after a stop."""

import json
import platform
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from reswork.places import runs_folder
from reswork.store.atomic_files import read_json, replacing, write_json, write_tensors

_FACTS, _NUMBERS, _MOST_BYTES = "study.json", "numbers.safetensors", 1_000_000


def studies_folder(folder: str | Path | None = None) -> Path:
    """The folder of all studies: ``.studies`` in the folder of the runs, whose table leaves it out."""
    return Path(folder) if folder is not None else runs_folder() / ".studies"


def mark_of(values: Mapping[str, Any]) -> str:
    """A short name that is the same for equal settings."""
    return blake2b(json.dumps(values, sort_keys=True).encode(), digest_size=6).hexdigest()


class Shelf:
    """One study with one choice of settings on disk: its numbers, and the state of trainings that are not at their end.

    Args:
        root: the folder of all studies.
        study: name of the study.
        settings: as JSON values.
        version: of the study's computation; another one does not take over old numbers.

    Attributes:
        numbers: name to array, as far as it has come.
        facts: seconds, machine and so on.
    """

    def __init__(self, root: Path, study: str, settings: Mapping[str, Any], version: int = 1) -> None:
        self.root = root
        self.folder = root / study / mark_of({**settings, "version": version})
        self._settings = dict(settings)
        self.numbers: dict[str, np.ndarray] = {}
        self.facts: dict[str, Any] = _new_facts()
        with suppress(OSError, ValueError, SafetensorError):  # not there, or damaged: from the beginning
            facts = read_json(self.folder / _FACTS, _MOST_BYTES)
            numbers = safetensors.numpy.load_file(self.folder / _NUMBERS)
            if isinstance(facts, dict) and facts.keys() >= self.facts.keys():
                self.facts, self.numbers = facts, numbers

    @property
    def is_complete(self) -> bool:
        """Whether all of the study was computed."""
        return bool(self.facts["complete"])

    def write(self) -> None:
        """Put numbers and facts on the disk."""
        self.folder.mkdir(parents=True, exist_ok=True)
        arrays = {name: np.ascontiguousarray(values) for name, values in self.numbers.items()}
        with replacing(self.folder / _NUMBERS, lasting=False) as temporary:
            safetensors.numpy.save_file(arrays, temporary)
        write_json(self.folder / _FACTS, {**self.facts, "settings": self._settings})

    def clear(self) -> None:
        """Forget all of it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.numbers, self.facts = {}, _new_facts()

    def keep(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        """Keep the state of a training, to go on from it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_tensors(self.folder / f"{name}.safetensors", tensors, {})

    def kept(self, name: str) -> dict[str, Tensor] | None:
        """What was kept under a name; None where there is nothing that can be read."""
        try:
            return safetensors.torch.load_file(self.folder / f"{name}.safetensors")
        except (OSError, SafetensorError):
            return None

    def drop(self, name: str) -> None:
        """Forget the state of a training."""
        (self.folder / f"{name}.safetensors").unlink(missing_ok=True)


def _new_facts() -> dict[str, Any]:
    return {
        "complete": False,
        "share": 0.0,
        "seconds": 0.0,
        "processor_seconds": 0.0,
        "machine": _machine(),
        "begun": time.strftime("%Y-%m-%d %H:%M"),
    }


def _machine() -> str:
    """Processor, threads and the version of torch."""
    name = platform.processor() or platform.machine()
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    return f"{name}, {torch.get_num_threads()} threads, torch {torch.__version__.partition('+')[0]}"
