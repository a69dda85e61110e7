"""What a worker is told before it begins: settings as JSON, weights and images as safetensors, in a private folder."""

import contextlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch
import torch.distributed as dist
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from reswork.datasets.dataset import Dataset, Split
from reswork.datasets.facts import data_of, facts_of
from reswork.datasets.mapped import Rows
from reswork.errors import InvalidSetting
from reswork.experiment.processes.connection import SOCKET_FILE, check_system
from reswork.experiment.processes.portable import config_of, recorder_specs
from reswork.models.config import ResNetConfig
from reswork.models.network import ResNet, resnet
from reswork.store.moment_keeper import DEFAULT_BYTES
from reswork.tasks import TASKS, Task
from reswork.training.checks import check_shares
from reswork.training.cores import CORES
from reswork.training.pace import EVERY_S
from reswork.training.progress import TrainingState
from reswork.training.recipe import Recipe

JOB_FILE = "job.json"
RANKS_FILE = "ranks"  # in which ranks find each other
_MOST_RANKS = 64
WEIGHTS, DATA, STATE = "model.safetensors", "data.safetensors", "state.safetensors"

Engine = Literal["thread", "process", "torchrun"]
WhenKernelEnds = Literal["stop", "go_on"]


@dataclass(frozen=True)
class ProcessSettings:
    """How a process of its own is used.

    Args:
        engine: ``"process"`` or ``"torchrun"``.
        when_kernel_ends: whether it stops, or goes on, when the kernel that started it ends.
        recorders: factories of the catalogue, `default_recorders`, `tensorboard` and `mlflow`; None: the default ones.
        save_every_s: seconds between two checkpoints.
        moments_bytes: disk for the weights of earlier steps.
        state: where to begin instead of at step 0.
        resumes: go on with what is in the run's folder; recorders are then those that come to its own.
        step: go on from the newest checkpoint at or before this step; None: the newest.
        task: what is learned, one of those that reswork has; None: as the data's targets say.
        ranks: processes that torchrun starts; None: one for each GPU, at least two.
        restarts: how often such a run goes on from its last checkpoint by itself where a rank fails or dies.
    """

    engine: Engine = "process"
    when_kernel_ends: WhenKernelEnds = "stop"
    recorders: Sequence[Any] | None = None
    save_every_s: float = EVERY_S
    moments_bytes: int = DEFAULT_BYTES
    state: TrainingState | None = None
    resumes: bool = False
    step: int | None = None
    task: Task | None = None
    ranks: int | None = None
    restarts: int = 0

    @property
    def count(self) -> int:
        """Of ranks; 0 where torchrun has nothing to do with it."""
        if self.engine != "torchrun":
            return 0
        return self.ranks or max(2, torch.cuda.device_count())

    def check(self, model: nn.Module, data: Dataset, recipe: Recipe) -> None:
        """Refuse what a process of its own cannot do, before anything is written.

        Raises:
            InvalidSetting: with what to do instead.
        """
        check_engine(self.engine)
        check_ranks(self.engine, self.ranks, self.restarts)
        check_shares(data, recipe, max(1, self.count))
        if self.when_kernel_ends not in get_args(WhenKernelEnds):
            raise InvalidSetting(
                "when_kernel_ends",
                f"when_kernel_ends={self.when_kernel_ends!r} is unknown; choose 'stop' or 'go_on'",
            )
        config_of(model)
        recorder_specs(self.recorders)
        if self.task is not None and TASKS.get(self.task.kind) != self.task:
            raise InvalidSetting(
                "task",
                f"engine='process' makes its task anew from its kind, and {self.task.kind!r} is not one of "
                f"{', '.join(map(repr, TASKS))}; use engine='thread'",
            )


def check_engine(engine: str) -> None:
    """Refuse an engine that there is not, or not here.

    Raises:
        InvalidSetting: with what to do instead.
    """
    if engine not in get_args(Engine):
        raise InvalidSetting(
            "engine", f"engine={engine!r} is unknown; choose 'thread', 'process' or 'torchrun'"
        )
    if engine != "thread":
        check_system()
    if engine == "torchrun" and not (dist.is_available() and dist.is_gloo_available()):
        raise InvalidSetting(
            "engine", "engine='torchrun' needs gloo, without which this torch was built; use engine='process'"
        )


def check_ranks(engine: str, ranks: object, restarts: object) -> None:
    """Refuse numbers of processes and restarts that cannot be.

    Raises:
        InvalidSetting: with what to do instead.
    """
    for name, value, least in (("ranks", ranks, 1), ("restarts", restarts, 0)):
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= _MOST_RANKS:
            raise InvalidSetting(
                name, f"{name}={value!r} must be a whole number from {least} to {_MOST_RANKS}"
            )
    if engine != "torchrun" and (ranks is not None or restarts):
        name = "ranks" if ranks is not None else "restarts"
        raise InvalidSetting(name, f"{name}= is for engine='torchrun', and this is engine={engine!r}")


@dataclass(frozen=True)
class Job:
    """What to train and how, as JSON values; weights and images lie beside it.

    Attributes:
        config: of the network.
        frozen: names of the weights that are not trained.
        recipe: of the training.
        recorders: names in the catalogue, ``default_recorders``, or the options of one that sends the record; None:
            the default ones.
        description: what stands in the run's ``run.json``.
        save_every_s: seconds between two checkpoints.
        moments_bytes: disk for the weights of earlier steps.
        resumes: whether it goes on with what is in the run's folder, and then only the recorders above are used.
        step: from which it goes on at the latest.
        state: step and values of the state to begin with, whose tensors lie beside the job; None: step 0.
        task: kind of what is learned.
        kernel: number of the process that started it.
        when_kernel_ends: whether it stops then, or goes on.
        threads: that torch may use in each process.
        matmul_precision: torch's setting.
    """

    config: dict[str, Any]
    frozen: list[str]
    recipe: dict[str, Any]
    recorders: list[str | dict[str, Any]] | None
    description: dict[str, Any]
    save_every_s: float
    moments_bytes: int
    resumes: bool
    step: int | None
    state: dict[str, Any] | None
    task: str
    kernel: int
    when_kernel_ends: WhenKernelEnds
    threads: int
    matmul_precision: str


def private_folder() -> Path:
    """A new folder that nobody else can read, for the job and the socket; its path is short, as sockets need."""
    return Path(tempfile.mkdtemp(prefix="reswork-"))


def make_job(
    model: nn.Module, task: Task, recipe: Recipe, description: Mapping[str, Any], settings: ProcessSettings
) -> Job:
    """The job that this process gives to a new one."""
    state = settings.state
    return Job(
        config=config_of(model).to_dict(),
        frozen=[name for name, weight in model.named_parameters() if not weight.requires_grad],
        recipe=recipe.to_dict(),
        recorders=recorder_specs(settings.recorders),
        description=dict(description),
        save_every_s=settings.save_every_s,
        moments_bytes=settings.moments_bytes,
        resumes=settings.resumes,
        step=settings.step,
        state=None if state is None else {"step": state.step, "values": dict(state.values)},
        task=task.kind,
        kernel=os.getpid(),
        when_kernel_ends=settings.when_kernel_ends,
        threads=max(1, CORES.count // max(1, settings.count)),
        matmul_precision=torch.get_float32_matmul_precision(),
    )


def write_job(
    folder: Path, job: Job, model: nn.Module, data: Dataset, state: TrainingState | None = None
) -> None:
    """Put a job into a private folder.

    Raises:
        OSError: if it cannot be written.
    """
    if state is not None:
        save_tensors(
            folder / STATE, {name: value.detach().cpu().contiguous() for name, value in state.tensors.items()}
        )
    weights = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    save_tensors(folder / WEIGHTS, weights)
    write_dataset(folder / DATA, data)
    (folder / JOB_FILE).write_text(json.dumps(asdict(job)))


def read_job(folder: Path, *, keep: bool = False) -> tuple[Job, ResNet, Dataset, TrainingState | None]:
    """The job, the network with its weights, the data set, and where to begin; their files are removed.

    Args:
        folder: the private one.
        keep: leave them, as others read them too.
    """
    job = Job(**json.loads((folder / JOB_FILE).read_text()))
    model = resnet(ResNetConfig.from_dict(job.config))
    model.load_state_dict(load_file(folder / WEIGHTS))
    for name, weight in model.named_parameters():
        weight.requires_grad_(name not in job.frozen)
    data = read_dataset(folder / DATA)
    state = None
    if job.state is not None:
        tensors = {name: value.clone() for name, value in load_file(folder / STATE).items()}
        state = TrainingState(tensors=tensors, **job.state)
    for name in () if keep else (WEIGHTS, DATA, STATE):
        (folder / name).unlink(missing_ok=True)
    return job, model, data, state


def remove_private_folder(folder: Path) -> None:
    """Delete what a killed worker left: the files that belong there, and the folder if nothing else is in it."""
    with contextlib.suppress(OSError):
        for name in (JOB_FILE, WEIGHTS, DATA, STATE, SOCKET_FILE, RANKS_FILE):
            (folder / name).unlink(missing_ok=True)
        for path in folder.glob("snapshot-*.safetensors"):
            path.unlink()
        folder.rmdir()


def write_dataset(path: Path, data: Dataset) -> None:
    """A data set in one file; images that lie in a file already stay there, and every process opens that one.

    Raises:
        OSError: if it cannot be written.
    """
    tensors: dict[str, Tensor] = {}
    rows = {}
    for split in ("train", "test"):
        files = getattr(data, split).files
        for index, part in enumerate(("inputs", "targets")):
            name = f"{split}_{part}"
            if index < len(files):
                rows[name] = asdict(files[index])
            else:
                tensor = getattr(getattr(data, split), part).cpu().contiguous()
                place = tensor.untyped_storage().data_ptr()
                shared = any(place == each.untyped_storage().data_ptr() for each in tensors.values())
                tensors[name] = (
                    tensor.clone() if shared else tensor
                )  # such as test images cut from the others
    save_tensors(path, tensors, {"dataset": json.dumps({"facts": facts_of(data), "rows": rows})})


def read_dataset(path: Path) -> Dataset:
    """The data set that `write_dataset` wrote."""
    with safe_open(path, "pt") as file:
        about = json.loads(file.metadata()["dataset"])
    tensors: dict[str, Any] = {name: value.clone() for name, value in load_file(path).items()}
    rows = {name: Rows(**{**each, "shape": tuple(each["shape"])}) for name, each in about["rows"].items()}
    everything = tensors | rows
    splits = []
    for split in ("train", "test"):
        inputs, targets = everything[f"{split}_inputs"], everything[f"{split}_targets"]
        splits.append(Split.mapped(inputs, targets) if isinstance(inputs, Rows) else Split(inputs, targets))
    return data_of(about["facts"], *splits)


def save_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """A safetensors file that is there whole or not at all.

    Raises:
        OSError: if it cannot be written.
    """
    part = path.with_suffix(".part")
    try:
        save_file(dict(tensors), part, dict(metadata or {}))
    except SafetensorError as error:  # a full disk comes as this one
        part.unlink(missing_ok=True)
        raise OSError(str(error)) from error
    part.replace(path)
