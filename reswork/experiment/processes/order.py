"""What a worker is told before it begins: settings as JSON, weights and images as safetensors, in a private folder."""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from reswork.datasets.dataset import Dataset, Split
from reswork.errors import InvalidSetting
from reswork.models.config import ResNetConfig
from reswork.models.network import ResNet, resnet
from reswork.recorders import CATALOGUE
from reswork.training.recipe import Recipe

ORDER_FILE = "order.json"
WEIGHTS, DATA = "model.safetensors", "data.safetensors"

WhenKernelEnds = Literal["stop", "go_on"]


@dataclass(frozen=True)
class Order:
    """What to train and how, as JSON values; weights and images lie beside it.

    Attributes:
        config: of the network.
        frozen: names of the weights that are not trained.
        recipe: of the training.
        recorders: names in the catalogue; None: the default ones.
        description: what stands in the run's ``run.json``.
        save_every_s: seconds between two checkpoints.
        resumes: whether it goes on with what is in the run's folder.
        kernel: number of the process that started it.
        when_kernel_ends: whether it stops then, or goes on.
        threads: that torch may use.
        matmul_precision: torch's setting.
    """

    config: dict[str, Any]
    frozen: list[str]
    recipe: dict[str, Any]
    recorders: list[str] | None
    description: dict[str, Any]
    kernel: int
    when_kernel_ends: WhenKernelEnds
    threads: int
    matmul_precision: str


def private_folder() -> Path:
    """A new folder that nobody else can read, for the order and the socket; its path is short, as sockets need."""
    return Path(tempfile.mkdtemp(prefix="reswork-"))


def write_order(folder: Path, order: Order, model: nn.Module, data: Dataset) -> None:
    """Put an order into a private folder.

    Raises:
        OSError: if it cannot be written.
    """
    weights = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    save_tensors(folder / WEIGHTS, weights)
    write_dataset(folder / DATA, data)
    (folder / ORDER_FILE).write_text(json.dumps(asdict(order)))


def read_order(folder: Path) -> tuple[Order, ResNet, Dataset]:
    """The order, the network with its weights, and the data set; their files are removed."""
    order = Order(**json.loads((folder / ORDER_FILE).read_text()))
    model = resnet(ResNetConfig.from_dict(order.config))
    model.load_state_dict(load_file(folder / WEIGHTS))
    for name, weight in model.named_parameters():
        weight.requires_grad_(name not in order.frozen)
    data = read_dataset(folder / DATA)
    for name in (WEIGHTS, DATA):
        (folder / name).unlink()
    return order, model, data


def config_of(model: nn.Module) -> ResNetConfig:
    """The settings from which a worker can build this very network.

    Raises:
        InvalidSetting: if it was not built by `resnet`, or changed since.
    """
    if type(model) is not ResNet:
        raise _only_here(f"{type(model).__name__} was not built by rw.resnet")
    with torch.device("meta"):
        fresh = ResNet(model.config)
    parts = list(model.modules())
    if repr(fresh) != repr(model) or _kinds(fresh) != _kinds(model):
        raise _only_here(f"this {model.config.label} was changed after rw.resnet had built it")
    if any(part._forward_hooks or part._forward_pre_hooks or part._backward_hooks for part in parts):
        raise _only_here(f"this {model.config.label} has hooks")
    return model.config


def catalogue_names(factories: Any) -> list[str] | None:
    """Names of recorders that were given as factories of the catalogue; None stays None.

    Raises:
        InvalidSetting: for one that is not in it.
    """
    if factories is None:
        return None
    names = {kind.make: kind.name for kind in CATALOGUE}
    for factory in factories:
        if factory not in names:
            raise _only_here(
                f"the recorder {getattr(factory, '__name__', factory)!r} is not in rw.recorders.CATALOGUE"
            )
    return [names[factory] for factory in factories]


def settings_of(model: nn.Module, config: ResNetConfig, recipe: Recipe) -> dict[str, Any]:
    """Those parts of an order that follow from the model, the recipe and this process."""
    return {
        "config": config.to_dict(),
        "frozen": [name for name, weight in model.named_parameters() if not weight.requires_grad],
        "recipe": recipe.to_dict(),
        "threads": torch.get_num_threads(),
        "matmul_precision": torch.get_float32_matmul_precision(),
    }


def write_dataset(path: Path, data: Dataset) -> None:
    """Images, labels and names of classes of a data set in one file.

    Raises:
        OSError: if it cannot be written.
    """
    facts = {
        "name": data.name,
        "classes": data.classes,
        "mean": data.mean,
        "std": data.std,
        "source": data.source,
        "notes": data.notes,
    }
    tensors = {
        f"{split}_{part}": getattr(getattr(data, split), part).cpu().contiguous()
        for split in ("train", "test")
        for part in ("images", "labels")
    }
    save_tensors(path, tensors, {"dataset": json.dumps(facts)})


def read_dataset(path: Path) -> Dataset:
    """The data set that `write_dataset` wrote."""
    with safe_open(path, "pt") as file:
        facts = json.loads(file.metadata()["dataset"])
    tensors = {name: value.clone() for name, value in load_file(path).items()}
    for name in ("classes", "mean", "std", "notes"):
        facts[name] = tuple(facts[name])
    train, test = (
        Split(tensors[f"{split}_images"], tensors[f"{split}_labels"]) for split in ("train", "test")
    )
    return Dataset(train=train, test=test, **facts)


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


def _kinds(model: nn.Module) -> list[tuple[str, torch.dtype]]:
    return [(name, value.dtype) for name, value in model.state_dict().items()]


def _only_here(what: str) -> InvalidSetting:
    return InvalidSetting(
        "engine",
        f"engine='process' builds its network anew from its settings, and {what}; use engine='thread'",
    )
