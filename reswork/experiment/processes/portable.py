"""What can go to another process: networks and recorders that it can make anew from their settings."""

from typing import Any

import torch
from torch import nn

from reswork.errors import InvalidSetting
from reswork.history import History
from reswork.models.config import ResNetConfig
from reswork.models.network import ResNet
from reswork.recorders import CATALOGUE, SENDERS, Listener, Timed, default_recorders, timed
from reswork.recorders.forwarder import Forwarder

_DEFAULT = "default_recorders"


def only_here(what: str) -> InvalidSetting:
    """The one sentence about what a process of its own cannot take."""
    return InvalidSetting(
        "engine",
        "engine='process' trains networks of rw.resnet with recorders of rw.recorders.CATALOGUE, tensorboard, mlflow, "
        f"which another process can make anew; {what}; use engine='thread'",
    )


def config_of(model: nn.Module) -> ResNetConfig:
    """The settings from which a worker can build this very network.

    Raises:
        InvalidSetting: if it was not built by `resnet`, or changed since.
    """
    if type(model) is not ResNet:
        raise only_here(f"{type(model).__name__} was not built by rw.resnet")
    with torch.device("meta"):
        fresh = ResNet(model.config)
    parts = list(model.modules())
    if repr(fresh) != repr(model) or _kinds(fresh) != _kinds(model):
        raise only_here(f"this {model.config.label} was changed after rw.resnet had built it")
    if any(part._forward_hooks or part._forward_pre_hooks or part._backward_hooks for part in parts):
        raise only_here(f"this {model.config.label} has hooks")
    return model.config


def recorder_specs(factories: Any) -> list[str | dict[str, Any]] | None:
    """Recorders that were given as factories, as JSON values; None stays None.

    Raises:
        InvalidSetting: for one that another process cannot make.
    """
    if factories is None:
        return None
    names = {kind.make: kind.name for kind in CATALOGUE} | {default_recorders: _DEFAULT}
    specs: list[str | dict[str, Any]] = []
    for factory in factories:
        if isinstance(factory, Forwarder) and factory.label in SENDERS:
            specs.append({"name": factory.label, "options": dict(factory.options)})
        elif factory in names:
            specs.append(names[factory])
        else:
            raise only_here(
                f"the recorder {getattr(factory, '__name__', factory)!r} is not in rw.recorders.CATALOGUE"
            )
    return specs


def catalogue_name(recorder: object) -> str:
    """The name by which another process knows a recorder.

    Raises:
        InvalidSetting: for a recorder or function of this process.
    """
    found = recorder.name if isinstance(recorder, Timed) else recorder
    if not isinstance(found, str):
        raise only_here(f"{getattr(recorder, '__name__', recorder)!r} is of this process, and takes no name")
    return found


def recorders_from_specs(specs: list[str | dict[str, Any]] | None, history: History) -> list[Listener]:
    """The recorders of `recorder_specs`, made in the process of the run."""
    made: list[Listener] = []
    for spec in [_DEFAULT] if specs is None else specs:
        if isinstance(spec, dict):
            made.append(SENDERS[spec["name"]](**spec["options"])(history))
        elif spec == _DEFAULT:
            made += default_recorders(history)
        else:
            made.append(timed(spec, history))
    return made


def _kinds(model: nn.Module) -> list[tuple[str, torch.dtype]]:
    return [(name, value.dtype) for name, value in model.state_dict().items()]
