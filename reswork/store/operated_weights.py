"""A network that was operated on as one file: weights that say as much as weights can, and the rest beside them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from reswork.errors import InvalidSetting
from reswork.models.blocks import Scale
from reswork.models.config import ResNetConfig
from reswork.models.gates import Gate, gate_records, gates_of, layers_off
from reswork.store.atomic_files import write_tensors

FORMAT = 1
_KEY = "reswork.operated"
_LINEAR = (
    nn.modules.conv._ConvNd,
    nn.Linear,
    nn.modules.batchnorm._BatchNorm,
    nn.GroupNorm,
    Scale,
)  # whose output is as large as weight and bias together are


@dataclass(frozen=True)
class OperatedNote:
    """What stands beside the weights.

    Attributes:
        sentences: what was done, in words.
        operations: the last list of it, as JSON values.
        gates: what no weights could say, for `restore_gates`.
        config: settings of the network; None where it was not built here.
        off: layers whose zeros are those of a branch that was switched off, so that a drawing can show it.
    """

    sentences: tuple[str, ...]
    operations: tuple[Mapping[str, Any], ...]
    gates: tuple[Mapping[str, Any], ...]
    config: ResNetConfig | None
    off: tuple[str, ...] = ()


def write_operated(
    path: Path,
    model: nn.Module,
    sentences: Sequence[str],
    operations: Sequence[Mapping[str, Any]],
    config: ResNetConfig | None,
) -> Path:
    """Write a network whose layers may have gates.

    A gate goes into the weights of its layer where they can say it: a branch that was switched off ends with a layer of
    zeros, so that the plain network gives the same answers, whoever loads it. So do factors (equal up to rounding) and
    the order of a convolution's channels. What has no weights, such as an identity shortcut, or the order of a norm's
    channels, stands beside them in the file's metadata, and `open_checkpoint` does it again.

    Args:
        path: ending with ``.safetensors``.
        model: that was operated on; not changed.
        sentences: what was done, in words.
        operations: likewise, as JSON values.
        config: settings of the network, where it was built here.

    Raises:
        InvalidSetting: for another ending, or a file that cannot be written.
    """
    if path.suffix != ".safetensors":
        raise InvalidSetting(
            "path", f"{str(path)!r} ends with {path.suffix!r}; choose a name that ends with .safetensors"
        )
    state, left = _baked(model)
    note = {
        "format": FORMAT,
        "sentences": list(sentences),
        "operations": list(operations),
        "gates": left,
        "config": None if config is None else config.to_dict(),
        "off": layers_off(model),
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_tensors(path, state, {"format": "pt", _KEY: json.dumps(note)})
    except OSError as error:
        raise InvalidSetting("path", f"{str(path)!r} cannot be written: {error.strerror or error}") from error
    return path


def read_operated(path: Path) -> OperatedNote | None:
    """What stands beside the weights of a file; None where nothing of the kind does.

    Raises:
        InvalidSetting: if it is damaged, or of a newer format.
    """
    try:
        with safe_open(path, "pt") as file:
            text = (file.metadata() or {}).get(_KEY)
    except (SafetensorError, OSError, ValueError):  # no such file; whoever reads the weights says so
        return None
    if text is None:
        return None
    try:
        values = json.loads(text)
        if values["format"] != FORMAT:
            raise InvalidSetting(
                "path", f"{path.name!r} was operated on by another version (format {values['format']!r})"
            )
        config = values["config"]
        return OperatedNote(
            tuple(str(one) for one in values["sentences"]),
            tuple(values["operations"]),
            tuple(values["gates"]),
            None if config is None else ResNetConfig.from_dict(config),
            tuple(str(one) for one in values.get("off", ())),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        if isinstance(error, InvalidSetting):
            raise
        raise InvalidSetting(
            "path", f"what {path.name!r} says of its operations is damaged: {error}"
        ) from None


def _baked(model: nn.Module) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
    """The state with all gates in it that weights can say, and the records of the others."""
    state = {name: value.detach().clone() for name, value in model.state_dict().items()}
    left = []
    for record in gate_records(model):
        name = record["layer"]
        layer = model.get_submodule(name)
        own = {
            each: state[f"{name}.{each}"]
            for each in ("weight", "bias")
            if layer._parameters.get(each) is not None
        }
        gates = gates_of(layer)
        if "weight" in own and all(_goes_in(layer, gate) for gate in gates):
            for gate in gates:
                own = {each: _through(value, gate) for each, value in own.items()}
            state.update({f"{name}.{each}": value for each, value in own.items()})
        else:
            left.append(record)
    return state, left


def _goes_in(layer: nn.Module, gate: Gate) -> bool:
    if (
        not isinstance(layer, _LINEAR)
        or gate.passes_by
        or isinstance(layer, nn.modules.conv._ConvTransposeNd)
    ):
        return False
    if isinstance(layer, Scale):
        return not gate.channels and gate.shuffle is None
    if (
        gate.shuffle is not None
    ):  # a norm's channels would need those of the layer before it in the same order
        grouped = isinstance(layer, nn.modules.conv._ConvNd) and layer.groups > 1
        return isinstance(layer, nn.modules.conv._ConvNd | nn.Linear) and not grouped
    return True


def _through(value: Tensor, gate: Gate) -> Tensor:
    """Weight (C, ...) or bias (C,) of a layer whose output passes a gate."""
    if gate.shuffle is not None:
        value = value[torch.as_tensor(gate.order(len(value)))]
    chosen = list(gate.channels) or slice(None)
    value = value.clone()
    value[chosen] = 0 if gate.factor == 0 else value[chosen] * gate.factor
    return value
