"""Where a network's first weights come from: a run, a file, a published set, or a network at hand."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from reswork.errors import InvalidSetting
from reswork.models.config import ResNetConfig
from reswork.models.gates import has_gates
from reswork.reporting.answers import model_of
from reswork.store.checkpoint import Checkpoint, open_checkpoint
from reswork.store.description import model_label, weights_of
from reswork.store.saved_run import SavedRun, find_run, load_run
from reswork.training.live_run import LiveRun
from reswork.transfer.published import PLACES, published_network

SourceKind = Literal["run", "file", "torchvision", "timm", "network"]


@dataclass(frozen=True, eq=False)
class Source:
    """A trained network to begin with, and where it is from.

    Attributes:
        model: the network; nothing here changes it.
        kind: where it is from.
        name: of the run, the file, or the published weights.
        sentence: what it is.
        classes: names of what it tells apart; empty where nobody knows them.
    """

    model: nn.Module
    kind: SourceKind
    name: str
    sentence: str
    classes: tuple[str, ...] = ()

    @property
    def config(self) -> ResNetConfig | None:
        """Settings of the network; None where it was not built here, or its settings do not say all."""
        found = getattr(self.model, "config", None)
        return found if isinstance(found, ResNetConfig) and not has_gates(self.model) else None

    @cached_property
    def hash(self) -> str:
        """Sha256 over all its tensors with their names, in hexadecimal."""
        digest = hashlib.sha256()
        for name, value in sorted(weights_of(self.model).items()):
            digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
            digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        return digest.hexdigest()


def open_source(given: Any, *, download: bool = False) -> Source:
    """The network behind a name, a path, a run or a checkpoint.

    Args:
        given: a run, or its name or folder; a file that `open_checkpoint` reads, or what it gave; the name of
            published weights, such as ``"torchvision/resnet18"`` or ``"timm/resnet18.a1_in1k"``; or any network.
        download: fetch published weights that are not on this machine.

    Raises:
        InvalidSetting: for what is none of these, holds no network that can be built, or is not here.
    """
    if isinstance(given, Source):
        return given
    if isinstance(given, str | Path):
        return _named(given, download)
    model = model_of(given)
    if isinstance(given, LiveRun):
        told = f"run {given.name!r}, as it is after {given.steps_done:,} steps"
        return Source(model, "run", given.name, _told(model, told, given.classes), given.classes)
    if isinstance(given, SavedRun):
        return _of_run(given)
    if isinstance(given, Checkpoint):
        return Source(model, "file", given.path.name, _told(model, given.path.name))
    label = model_label(model)
    return Source(model, "network", label, f"a {label} that was given")


def _named(given: str | Path, download: bool) -> Source:
    place, _, name = str(given).partition("/")
    path = Path(given)
    if isinstance(given, str) and place in PLACES and not path.exists():
        model, classes, told = published_network(place, name, download=download)
        kind: SourceKind = "timm" if place == "timm" else "torchvision"
        return Source(model, kind, given, _told(model, told, classes), classes)
    if path.is_file():
        found = open_checkpoint(path)
        model = model_of(found)
        return Source(model, "file", path.name, _told(model, path.name))
    try:
        return _of_run(load_run(find_run(given)))
    except InvalidSetting as error:
        if error.field != "path_or_name":
            raise
        raise InvalidSetting(
            "source",
            f"source={str(given)!r} is no file, no run and no published weights; {error.message}; published ones "
            "are named as 'torchvision/resnet18' or 'timm/resnet18.a1_in1k'",
        ) from error


def _of_run(run: SavedRun) -> Source:
    model = run.model()
    told = f"run {run.name!r}, trained on {run.dataset_name}"
    return Source(model, "run", run.name, _told(model, told, run.classes), run.classes)


def _told(model: nn.Module, place: str, classes: tuple[str, ...] = ()) -> str:
    known = f", {len(classes):,} classes" if classes else ""
    return f"{model_label(model)} from {place}{known}"
