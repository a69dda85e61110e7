"""What is shipped: a network at rest with what is known of it and of its data."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from reswork.datasets.dataset import Dataset
from reswork.errors import InvalidSetting
from reswork.probes.private_copy import private_copy
from reswork.reporting.answers import model_of
from reswork.store.checkpoint import Checkpoint
from reswork.store.description import model_label
from reswork.store.saved_run import SavedRun
from reswork.tasks import Task, task_for, task_of_kind
from reswork.training.live_run import LiveRun

ANSWERED = ("classification", "segmentation")  # tasks with a score of each class
EXPORTED = (*ANSWERED, "verification", "anomalies", "detection", "regression", "restoration")


@dataclass(frozen=True, eq=False)
class Subject:
    """A network with its data.

    Attributes:
        network: a copy on the processor, in evaluation mode and single precision.
        label: such as ``ResNet-20``.
        data: whose test split judges it.
        task: what it answers.
        origin: where it comes from, in a sentence.
        recipe: how it was trained, as plain values; None: not known.
    """

    network: nn.Module
    label: str
    data: Dataset
    task: Task
    origin: str
    recipe: Mapping[str, Any] | None = None


def subject_of(given: Any, data: Dataset | None = None, kinds: Sequence[str] = ANSWERED) -> Subject:
    """A network ready to be shipped.

    Args:
        given: a run that goes on or is saved, an opened checkpoint, or a module.
        data: may be left out for a run whose data set can be loaded again.
        kinds: of tasks that are taken.

    Raises:
        InvalidSetting: no network, no data, another task, or pictures that are read in another way than the run's.
    """
    network = network_of(given)
    is_run = isinstance(given, LiveRun | SavedRun)
    if data is None:
        if not is_run:
            raise InvalidSetting(
                "data",
                "data is missing: what is exported takes its preprocessing, its classes and its examples with it; give "
                "data=, the data set that the network learned from",
            )
        data = given.load_data() if isinstance(given, SavedRun) else given.data
    if not isinstance(data, Dataset):
        raise InvalidSetting(
            "data", f"data is a {type(data).__name__}: give a data set, such as rw.datasets.folder(path)"
        )
    known = given.decoder if isinstance(given, SavedRun) and data.input_kind == "images" else None
    if (known is not None and known != data.decoder) or (is_run and tuple(given.classes) != data.classes):
        raise InvalidSetting(
            "data",
            f"{data.name!r} is read or named in another way than what run {given.name!r} learned from (size, channels, "
            "normalisation, classes): give that data set, or a part of it by data.subset",
        )
    if isinstance(given, LiveRun):
        task: Task = given.task
    else:
        task = task_of_kind(given.task_kind) if isinstance(given, SavedRun) else task_for(data)
    if task.kind not in kinds:
        *most, last = kinds
        raise InvalidSetting(
            "model",
            f"the task {task.kind!r} cannot be shipped in this way yet; what can: networks for {', '.join(most)} and "
            f"{last}",
        )
    return Subject(
        network,
        model_label(network),
        data,
        task,
        _origin(given),
        given.recipe.to_dict() if is_run else None,
    )


def network_of(given: Any) -> nn.Module:
    """A copy of a network on the processor, in evaluation mode and single precision; the given one stays as it is.

    Raises:
        InvalidSetting: there is none.
    """
    return copy.deepcopy(private_copy(model_of(given))[0]).cpu().requires_grad_(False)


def _origin(given: Any) -> str:
    if isinstance(given, LiveRun):
        return f"Run {given.name}, after {given.steps_done:,} of {given.total_steps:,} updates."
    if isinstance(given, SavedRun):
        return f"Run {given.name}, after {given.steps_done:,} of {given.total_steps:,} updates; {given.mode}."
    if isinstance(given, Checkpoint):
        return f"The file {given.path.name}. {given.sentence}"
    return f"A network of the class {type(given).__name__}, given as it was in memory."
