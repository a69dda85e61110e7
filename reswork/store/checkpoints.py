"""Checkpoints of a run: folders that are either whole or not there, each with a manifest of hashes."""

import errno
import hashlib
import os
import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file

from reswork.errors import InvalidSetting
from reswork.store.atomic_files import open_regular, read_json, synchronise, write_json, write_tensors
from reswork.training.progress import TrainingState

FORMAT = 1
FOLDER = "checkpoints"
_TENSORS, _VALUES, _MANIFEST = "training.safetensors", "training.json", "manifest.json"
_NAME = re.compile(r"step-(\d{8,12})(?:-(\d{1,6}))?")
_MOST_BYTES = 16 * 1024**2  # of a JSON file
_SPARE_BYTES = 32 * 1024**2  # of free disk that a save leaves
_UNREADABLE = (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError, SafetensorError)


@dataclass(frozen=True)
class RunCheckpoint:
    """One moment of a run from which it can go on.

    Attributes:
        path: its folder.
        step: updates made.
        score: the task's headline metric there, on the test split; None where it was not evaluated.
        metrics_bytes: how much of the run's metrics belongs to it.
    """

    path: Path
    step: int
    score: float | None
    metrics_bytes: int


class Checkpoints:
    """The checkpoints of one run's folder: the last ones and the best one are kept.

    A checkpoint is written into a temporary folder, every file and the folder are synchronised with the disk, and
    the folder gets its name at the end. Reading takes the newest whose manifest holds.

    Args:
        directory: of the run.
        keep_last: how many of the newest are kept besides the best.
    """

    def __init__(self, directory: Path, *, keep_last: int = 2) -> None:
        self._folder = directory / FOLDER
        self._keep_last = keep_last

    def save(
        self,
        state: TrainingState,
        *,
        score: float | None,
        metrics_bytes: int,
        higher_is_better: bool = True,
    ) -> Path:
        """Write one more, and delete those that need not be kept.

        Args:
            state: of the run, between two steps.
            score: the task's headline metric at this moment, None where it was not evaluated.
            metrics_bytes: size of the run's metrics at this moment.
            higher_is_better: which of the scores is the best one.

        Returns:
            Its folder.

        Raises:
            OSError: if it cannot be written; those that are there stay.
        """
        self._folder.mkdir(exist_ok=True)
        needed = sum(tensor.numel() * tensor.element_size() for tensor in state.tensors.values())
        free = shutil.disk_usage(self._folder).free
        if free < needed + _SPARE_BYTES:
            raise OSError(
                errno.ENOSPC,
                f"a checkpoint needs {needed / 2**20:,.0f} MiB and the disk has {free / 2**20:,.0f} MiB left",
            )
        target = self._free_name(state.step)
        temporary = self._folder / f".{target.name}.{os.getpid()}"
        try:
            temporary.mkdir()
            write_tensors(temporary / _TENSORS, state.tensors, {"format": "pt"})
            write_json(temporary / _VALUES, dict(state.values))
            files = {name: _seal(temporary / name) for name in (_TENSORS, _VALUES)}
            facts = {"step": state.step, "score": score, "metrics_bytes": metrics_bytes}
            write_json(temporary / _MANIFEST, {"format": FORMAT, **facts, "files": files})
            temporary.rename(target)
            synchronise(self._folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        self._forget_old(max if higher_is_better else min)
        return target

    def sweep(self) -> None:
        """Delete what a process that died in the middle of a save left behind."""
        if self._folder.is_dir() and not self._folder.is_symlink():
            for path in self._folder.glob(".step-*"):
                shutil.rmtree(path, ignore_errors=True)

    def all(self) -> list[RunCheckpoint]:
        """Those with a readable manifest, the newest first; their files are not looked at."""
        found = []
        for path in self._newest_first():
            try:
                found.append(_described(path))
            except _UNREADABLE:
                continue
        return found

    def newest(self, step: int | None = None) -> tuple[RunCheckpoint, TrainingState, tuple[str, ...]]:
        """The newest whole one, at or before a step.

        Returns:
            The checkpoint, its state on the processor, and a sentence for each newer one that could not be used.

        Raises:
            InvalidSetting: if there is none.
        """
        problems: list[str] = []
        for path in self._newest_first():
            try:
                checkpoint = _described(path)
                if step is None or checkpoint.step <= step:
                    return checkpoint, _read(checkpoint), tuple(problems)
            except _UNREADABLE as error:
                problems.append(f"{path.name} cannot be used: {error}")
        reason = f"; {problems[0]}" if problems else ""
        before = "" if step is None else f" at or before step {step:,}"
        raise InvalidSetting(
            "step", f"run {self._folder.parent.name!r} has no checkpoint to go on from{before}{reason}"
        )

    def _newest_first(self) -> list[Path]:
        if self._folder.is_symlink() or not self._folder.is_dir():
            return []
        found = []
        for path in self._folder.iterdir():
            match = _NAME.fullmatch(path.name)
            if match and path.is_dir() and not path.is_symlink():
                found.append((int(match[1]), int(match[2] or 1), path))
        return [path for _, _, path in sorted(found, reverse=True)]

    def _free_name(self, step: int) -> Path:
        path, number = self._folder / f"step-{step:08d}", 1
        while path.exists():
            number += 1
            path = self._folder / f"step-{step:08d}-{number}"
        return path

    def _forget_old(self, best: Callable[..., Any]) -> None:
        """Keep the last ones and the best; what cannot be deleted stays.

        Each goes out of sight first, so that a half-deleted one is never taken for whole.
        """
        found = self.all()
        scored = [each for each in found if each.score is not None]
        kept = {each.path for each in found[: self._keep_last]}
        if scored:
            kept.add(best(scored, key=lambda each: each.score or 0.0).path)
        for each in found:
            if each.path not in kept:
                hidden = each.path.with_name(f".{each.path.name}")
                with suppress(OSError):
                    each.path.rename(hidden)
                    shutil.rmtree(hidden, ignore_errors=True)


def _seal(path: Path) -> dict[str, Any]:
    """Size and hash of a regular file."""
    with open_regular(path) as fileno, open(fileno, "rb", closefd=False) as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return {"bytes": os.fstat(fileno).st_size, "sha256": digest}


def _described(path: Path) -> RunCheckpoint:
    values = read_json(path / _MANIFEST, _MOST_BYTES)
    if values["format"] != FORMAT:
        raise ValueError(f"{_MANIFEST} is not in format {FORMAT}; it may come from a newer reswork")
    step, score, size = values["step"], values["score"], values["metrics_bytes"]
    whole = all(isinstance(number, int) and 0 <= number < 2**62 for number in (step, size))
    if not whole or not isinstance(score, int | float | None):
        raise ValueError(f"{_MANIFEST} is damaged")
    return RunCheckpoint(path, step, score, size)


def _read(checkpoint: RunCheckpoint) -> TrainingState:
    path = checkpoint.path
    files = read_json(path / _MANIFEST, _MOST_BYTES)["files"]
    for name in (_TENSORS, _VALUES):
        with open_regular(path / name) as fileno:  # a wrong length is seen at once, however long the file is
            if os.fstat(fileno).st_size != files[name]["bytes"]:
                raise ValueError(f"{name} is not as long as it was written")
        if _seal(path / name)["sha256"] != files[name]["sha256"]:
            raise ValueError(f"{name} is not what was written")
    values = read_json(path / _VALUES, _MOST_BYTES)
    if not isinstance(values, dict):
        raise ValueError(f"{_VALUES} is damaged")
    return TrainingState(checkpoint.step, load_file(path / _TENSORS), values)
