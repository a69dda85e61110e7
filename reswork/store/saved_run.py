"""`SavedRun`: a run as it stands on disk, finished, going on, or cut off by a dead kernel."""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from reswork import datasets
from reswork.datasets import Dataset, Decoder
from reswork.datasets.loading import is_built_in
from reswork.errors import InvalidSetting
from reswork.history import History
from reswork.models.config import ResNetConfig
from reswork.models.network import resnet
from reswork.results.metrics import Metric
from reswork.store.atomic_files import read_json
from reswork.store.checkpoints import Checkpoints
from reswork.store.deletion import delete_run
from reswork.store.description import FORMAT
from reswork.store.directory import (
    METRICS_FILE,
    RUN_FILE,
    WEIGHTS_FILE,
    has_writer,
    is_inside,
    run_path,
    runs_folder,
)
from reswork.store.notes import read_note, write_note
from reswork.store.replay import last_step, read_history
from reswork.store.worker_file import living_worker
from reswork.tasks import CLASSIFICATION, metrics_of
from reswork.training.live_run import LiveRun
from reswork.training.progress import check_tensors
from reswork.training.recipe import Recipe
from reswork.training.run import Run, RunState

_MOST_BYTES = 16 * 1024**2
_ENDED = (RunState.FINISHED, RunState.STOPPED, RunState.FAILED)
_UNREADABLE = (OSError, ValueError, TypeError, KeyError, AttributeError, RuntimeError, OverflowError)


@dataclass(frozen=True, eq=False)
class SavedRun:
    """One run from disk; read it while it goes on, after its end, or after the kernel died.

    A run whose process died is STOPPED and ``interrupted``. A folder that cannot be read has a sentence in
    ``unreadable`` and nothing else.
    """

    is_live: ClassVar[Literal[False]] = False  # nothing here steers it; see `LiveRun`
    directory: Path
    name: str
    created: datetime  # with time zone
    state: RunState
    interrupted: bool = False
    error: str | None = None  # why a FAILED run failed
    config: ResNetConfig | None = None  # None: a network that was not built here
    task_kind: str = CLASSIFICATION
    recipe: Recipe = field(default_factory=Recipe)
    model_label: str = ""
    parameters: int = 0
    dataset_name: str = ""
    dataset_hash: str = ""  # sha256 of images and labels
    classes: tuple[str, ...] = ()
    input_shape: tuple[int, ...] = ()  # (C, H, W)
    decoder: Decoder | None = (
        None  # how pictures are read for it; None: not known, or its images are no pictures
    )
    mode: str = ""  # device, precision and the rest, and why
    total_steps: int = 0
    versions: Mapping[str, str] = field(default_factory=dict)
    progress: Mapping[str, float] = field(default_factory=dict)
    parent: Mapping[str, Any] | None = None  # of a branch: run, step, changes (setting -> old and new)
    transfer: Mapping[str, Any] | None = None  # of a network that was trained before: see `reswork.transfer`
    unreadable: str | None = None
    pid: int | None = None  # of the process of its own that trains it now

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """What judges it, the headline first; empty for a task that reswork does not have."""
        return metrics_of(self.task_kind)

    @property
    def headline(self) -> Metric | None:
        """The metric that a table shows."""
        return next(iter(self.metrics), None)

    @property
    def score(self) -> float | None:
        """The headline metric on the test split so far; None: not known."""
        return None if self.headline is None else self.progress.get(self.headline.test)

    @property
    def told_score(self) -> str:
        """The score with its name, such as ``91.4% accuracy``; empty where it is not known."""
        metric, score = self.headline, self.score
        return "" if metric is None or score is None else f"{metric.told(score)} {metric.label}"

    @cached_property
    def history(self) -> History:
        """The record as it stood when this was first read; `load_run` again to see how a run went on.

        What cannot be read gives an empty record with a note ``unreadable`` that has the reason.
        """
        reason = self.unreadable
        try:
            if reason is None:
                return read_history(self.directory / METRICS_FILE)
        except _UNREADABLE as error:
            reason = f"{METRICS_FILE}: {error}"
        history = History()
        history.note(0, "unreadable", reason=reason)
        return history

    def model(self) -> nn.Module:
        """The network with its final weights, in eval mode.

        Raises:
            InvalidSetting: if the run left no weights, they do not fit, or the network was not built here.
        """
        if self.unreadable is not None:
            raise InvalidSetting("run", f"run {self.name!r} cannot be read: {self.unreadable}")
        if self.config is None:
            raise InvalidSetting(
                "run",
                f"run {self.name!r} trained {self.model_label}, which was not built here; "
                f"build it and load {WEIGHTS_FILE} from {str(self.directory)!r}",
            )
        weights = self.directory / WEIGHTS_FILE
        if not weights.is_file():
            why = "ended without saving them" if self.done else "has not ended yet"
            why = "was interrupted before its end" if self.interrupted else why
            raise InvalidSetting(
                "run",
                f"run {self.name!r} has no final weights: it {why}; choose a finished run",
            )
        try:
            tensors = load_file(weights)
            with torch.device("meta"):  # settings from a file may ask for more memory than there is
                network = resnet(self.config)
            check_tensors(network, tensors, f"the weights in {WEIGHTS_FILE}")
            network.to_empty(device="cpu").load_state_dict(tensors)
        except (OSError, SafetensorError, RuntimeError, InvalidSetting) as error:
            raise InvalidSetting(
                "run", f"the weights of run {self.name!r} cannot be used: {error}"
            ) from error
        return network.eval()

    @property
    def steps_done(self) -> int:
        """Optimizer updates that the record has."""
        steps = self.history.series("loss/train").steps
        return int(steps[-1]) if len(steps) else 0

    @property
    def note(self) -> str:
        """What somebody wrote about this run; ``""`` where nobody did.

        Raises:
            InvalidSetting: if ``note.txt`` cannot be read.
        """
        return read_note(self.directory)

    def write_note(self, text: str) -> None:
        """Keep a text with the run, in its folder; a text without words takes the note away.

        Raises:
            InvalidSetting: for a text of more than 16 KiB, or a folder that cannot be written.
        """
        write_note(self.directory, text)

    def delete(self) -> tuple[str, ...]:
        """Delete the run from disk, for good.

        Returns:
            Names of files in its folder that belong to no run; they stay, and the folder with them.

        Raises:
            InvalidSetting: if it is still being written, its folder is a link or no run, or cannot be deleted.
        """
        if not self.done and living_worker(self.directory) is not None:  # one that begins has no lock yet
            raise InvalidSetting(
                "run", f"run {self.name!r} is being trained by a process; stop it first, then delete it"
            )
        return delete_run(self.directory)

    def export(self, path: str | Path) -> Path:
        """Write the run into one file to hand on: ``.html``, a page that needs no kernel; or ``.csv``, all series.

        Args:
            path: the file; one that exists is replaced.

        Returns:
            The path.

        Raises:
            InvalidSetting: for another ending, or a file that cannot be written.
        """
        from reswork.store.export import export  # plotly comes with it

        return export([self], path)

    def resume(self, **choices: Any) -> Run:
        """Go on with it in its own folder, equal to the last bit; see `reswork.store.resume` for the choices."""
        from reswork.store.resuming import resume  # which needs this class

        return resume(self, **choices)

    def load_data(self) -> Dataset:
        """The data set that it learned from, found again by its name.

        Raises:
            InvalidSetting: if it is not a built-in one, or no longer the same.
        """
        if not is_built_in(self.dataset_name):
            raise InvalidSetting(
                "data",
                f"run {self.name!r} learned from {self.dataset_name!r}, which is not a built-in data set; load it as "
                "before and hand it over as data=",
            )
        return self.check_data(datasets.load(self.dataset_name))

    def check_data(self, data: Dataset) -> Dataset:
        """Give back a data set that is the one it learned from.

        Raises:
            InvalidSetting: if it is another one.
        """
        if data.fingerprint != self.dataset_hash:
            raise InvalidSetting(
                "data",
                f"{data.name!r} does not hold the images and labels that run {self.name!r} learned from "
                f"({self.dataset_name!r}); hand over the very same as data=",
            )
        return data

    @property
    def can_be_resumed(self) -> bool:
        """Whether it ended before its last step, and left something to go on from."""
        ended_early = self.done and self.state is not RunState.FINISHED
        return self.unreadable is None and ended_early and bool(Checkpoints(self.directory).all())

    def summary(self) -> dict[str, Any]:
        """What a table of runs shows: name, network, data, state, step, test loss and score, seconds."""
        return {
            "name": self.name,
            "created": self.created.astimezone().strftime("%Y-%m-%d %H:%M:%S"),
            "network": self.model_label,
            "parameters": self.parameters,
            "data": self.dataset_name,
            "state": self.state_word,
            "step": int(self.progress.get("step", 0)),
            "total_steps": self.total_steps,
            "loss/test": self.progress.get("loss/test"),
            "metric": "" if self.headline is None else self.headline.label,
            "score": self.score,
            "images_per_second": self.progress.get("images_per_second"),
            "problem": self.unreadable or self.error,
        }

    @property
    def done(self) -> bool:
        """Whether it is over: finished, stopped, failed or interrupted."""
        return self.state in _ENDED

    @property
    def state_word(self) -> str:
        """``finished``, ``running``, ``running in process 4711``, ``interrupted``, ``unreadable`` ..."""
        if self.unreadable is not None:
            return "unreadable"
        if self.pid is not None:
            word = "starting" if self.state is RunState.READY else self.state.name.lower()
            return f"{word} in process {self.pid}"
        return "interrupted" if self.interrupted else self.state.name.lower()

    def __repr__(self) -> str:
        step = f"step {int(self.progress.get('step', 0))} of {self.total_steps}"
        told = self.unreadable or f"{self.model_label} on {self.dataset_name}, {self.state_word}, {step}"
        return f"<SavedRun {self.name!r}: {told}>"


AnyRun = LiveRun | SavedRun  # which it is says ``is_live``


def list_paths(folder: Path) -> list[Path]:
    """What may be a run in the folder of runs, in no order; a missing folder holds none.

    Raises:
        InvalidSetting: if the folder cannot be read.
    """
    if not folder.is_dir():
        return []
    try:
        with os.scandir(folder) as entries:
            return [
                folder / entry.name
                for entry in entries
                if not entry.name.startswith(".") and (entry.is_symlink() or entry.is_dir())
            ]
    except OSError as error:
        raise InvalidSetting("root", f"the folder of runs {str(folder)!r} cannot be read: {error}") from error


def load_run(path_or_name: str | Path, root: str | Path | None = None) -> SavedRun:
    """One run from disk, with its whole history, also after the kernel that trained it died.

    Args:
        path_or_name: a run's folder, or its name as `runs` lists it.
        root: the folder of all runs, for a name.

    Raises:
        InvalidSetting: if there is no such run, or it cannot be read.
    """
    path = find_run(path_or_name, root)
    try:
        return _read(path)
    except _UNREADABLE as error:
        raise InvalidSetting(
            "path_or_name", f"run {path.name!r} cannot be read: {_sentence(error)}"
        ) from error


def find_run(path_or_name: str | Path, root: str | Path | None = None) -> Path:
    """The folder of a run, by its name or its path.

    Raises:
        InvalidSetting: if there is no such run.
    """
    folder = runs_folder(root)
    path = _find(path_or_name, folder)
    if path is None:
        found = [read_listed(each, folder) for each in list_paths(folder)]
        newest = sorted(found, key=lambda run: run.created, reverse=True)[:5]
        names = ", ".join(run.name for run in newest) or "none yet"
        raise InvalidSetting(
            "path_or_name", f"there is no run {str(path_or_name)!r}; the newest are: {names}"
        )
    return path


def _find(path_or_name: str | Path, folder: Path) -> Path | None:
    """A name inside the folder of runs comes before a path from here."""
    if (
        isinstance(path_or_name, str)
        and not {"/", "\\"} & set(path_or_name)
        and path_or_name not in ("", ".", "..")
    ):
        named = run_path(path_or_name, folder)
        if named.is_dir():
            return named
    path = Path(path_or_name)
    return path if path.is_dir() else None


def read_listed(path: Path, folder: Path) -> SavedRun:
    """The run, or an entry that says why there is none."""
    try:
        if not is_inside(path, folder):
            raise ValueError("it is a link that leads out of the folder of runs")
        return _read(path)
    except _UNREADABLE as error:
        reason = _sentence(error)
    try:
        changed = datetime.fromtimestamp(path.lstat().st_mtime, UTC)
    except (OSError, OverflowError, ValueError):
        changed = datetime.fromtimestamp(0, UTC)
    return SavedRun(path, path.name, changed, RunState.STOPPED, unreadable=reason)


def _decoder_of(values: Any) -> Decoder | None:
    """As it was stored; None where it is not known, as in a run of another reswork."""
    try:
        return None if values is None else Decoder.from_dict(values)
    except InvalidSetting:
        return None


def _read(path: Path) -> SavedRun:
    values = read_json(path / RUN_FILE, _MOST_BYTES)
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise ValueError(f"{RUN_FILE} is not in format {FORMAT}; it may come from a newer reswork")
    state = RunState[values["state"]]
    worker = living_worker(path) if state not in _ENDED else None  # one that begins has no lock yet
    interrupted = state not in _ENDED and worker is None and not has_writer(path)
    if interrupted:  # it may have ended between the two looks
        values = read_json(path / RUN_FILE, _MOST_BYTES)
        state = RunState[values["state"]]
        interrupted = state not in _ENDED
    model, data, error = values["model"], values["data"], values["error"]
    return SavedRun(
        path,
        path.name,
        datetime.fromisoformat(values["created"]).astimezone(UTC),
        RunState.STOPPED if interrupted else state,
        interrupted=interrupted,
        error=None if error is None else f"{error['type']}: {error['message']}",
        config=None if values["config"] is None else ResNetConfig.from_dict(values["config"]),
        task_kind=str(values.get("task", CLASSIFICATION)),
        recipe=Recipe.from_dict(values["recipe"]),
        model_label=str(model["label"]),
        parameters=int(model["parameters"]),
        dataset_name=str(data["name"]),
        decoder=_decoder_of(data.get("decoder")),
        dataset_hash=str(data["hash"]),
        classes=tuple(str(name) for name in data["classes"]),
        input_shape=tuple(int(length) for length in data["input_shape"]),
        mode=str(values.get("mode", "")),
        total_steps=int(values.get("total_steps", 0)),
        versions={str(name): str(version) for name, version in values["versions"].items()},
        progress=_progress(path, values),
        parent=_parent(values.get("parent")),
        transfer=_transfer(values.get("transfer")),
        pid=worker.pid if worker is not None and state not in _ENDED else None,
    )


def _progress(path: Path, values: Mapping[str, Any]) -> dict[str, float]:
    progress = {str(name): float(value) for name, value in values.get("progress", {}).items()}
    progress = {name: value for name, value in progress.items() if math.isfinite(value)}
    if RunState[values["state"]] not in _ENDED:  # it was written at the last epoch; the metrics know better
        progress["step"] = max(progress.get("step", 0.0), float(last_step(path / METRICS_FILE)))
    return progress


def _parent(values: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if values is None:
        return None
    changes = {str(name): [old, new] for name, (old, new) in values["changes"].items()}
    return {"run": str(values["run"]), "step": int(values["step"]), "changes": changes}


def _transfer(values: Any) -> dict[str, Any] | None:
    return {str(name): value for name, value in values.items()} if isinstance(values, dict) else None


def _sentence(error: BaseException) -> str:
    if isinstance(error, FileNotFoundError):
        return f"there is no {RUN_FILE} in it"
    if isinstance(error, PermissionError):
        return f"{RUN_FILE} may not be read by you"
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
        return f"{RUN_FILE} is damaged: {error}"
    if isinstance(error, KeyError):
        return f"{RUN_FILE} has no usable entry {error}"
    return str(error) or type(error).__name__
