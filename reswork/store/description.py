"""What a run was made of: the settings and versions that stand in its ``run.json``."""

import platform
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from torch import Tensor, nn

from reswork.datasets.dataset import Dataset
from reswork.models.config import ResNetConfig
from reswork.models.gates import has_gates
from reswork.tasks import Task, task_for
from reswork.training.recipe import Recipe

FORMAT = 1
_PACKAGES = ("torch", "torchvision", "torchmetrics", "numpy", "safetensors")


def describe(
    model: nn.Module,
    data: Dataset,
    recipe: Recipe,
    parent: Mapping[str, Any] | None = None,
    task: Task | None = None,
    transfer: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Everything about a run that is known before it starts, as JSON values.

    Args:
        model: that is trained.
        data: that it learns from.
        recipe: how.
        parent: for a branch, the ``run`` that it left, at which ``step``, and the ``changes``: each setting's old
            and new value.
        task: what is learned; None: as the data's targets say.
        transfer: where its weights came from and how they were fitted, as `reswork.transfer.Fitted.settings` says it.
    """
    config = None if has_gates(model) else getattr(model, "config", None)  # gates are in no settings
    return {
        "format": FORMAT,
        "created": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "config": config.to_dict() if isinstance(config, ResNetConfig) else None,
        "model": {
            "class": f"{type(model).__module__}.{type(model).__qualname__}",
            "label": model_label(model),
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
        },
        "task": (task or task_for(data)).kind,
        "recipe": recipe.to_dict(),
        "data": {
            "name": data.name,
            "hash": data.fingerprint,
            "classes": list(data.classes),
            "input_shape": list(data.input_shape),
            "train": len(data.train),
            "test": len(data.test),
            "decoder": _decoder(data),
        },
        "versions": versions(),
        "parent": dict(parent) if parent is not None else None,
        "transfer": dict(transfer) if transfer is not None else None,
    }


def _decoder(data: Dataset) -> dict[str, Any] | None:
    """How pictures are read for it; nothing where its inputs are no pictures."""
    is_picture = data.input_kind == "images" and data.input_shape[0] in (1, 3)
    return data.decoder.to_dict() if is_picture else None


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """The state of a model under its own names, whether it is compiled or not; the tensors in use."""
    state = model.state_dict()
    return {
        name.replace("_orig_mod.", ""): value for name, value in state.items() if isinstance(value, Tensor)
    }


def model_label(model: nn.Module) -> str:
    """Such as ``ResNet-20``; of a network that was not built here the name of its class."""
    config = getattr(model, "config", None)
    return config.label if isinstance(config, ResNetConfig) else type(model).__name__


def versions() -> dict[str, str]:
    """Of reswork, Python, the system and the packages that decide a run's numbers."""
    return {
        "reswork": _version("reswork"),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()} ({sys.platform})",
        **{package: _version(package) for package in _PACKAGES},
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
