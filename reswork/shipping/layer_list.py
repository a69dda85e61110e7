"""A network as a list of plain layers, each with its weights, for a library that is not torch.

torch.export writes down which operators a network runs at rest. Each is named here as a layer that other libraries
have, with channels last; one that they lack is refused by its name.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

INPUT_NAME = "images"


class Unknown(Exception):
    """A network that has no such list; says why."""


@dataclass(frozen=True)
class Layer:
    """One layer.

    Attributes:
        name: of its module in the network, such as ``layer1_0_conv1``, and of itself; only once in a list.
        kind: such as ``conv``; what `reswork.shipping.keras_build` can build.
        inputs: names of the layers before it.
        settings: plain values.
        weights: by the names of that layer, (kh, kw, in, out) for a convolution and (in, out) for a linear layer.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    settings: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, np.ndarray] = field(default_factory=dict)


def layers_of(network: nn.Module, inputs: Tensor) -> list[Layer]:
    """Its layers in the order in which they run; the last one gives the output.

    Args:
        network: at rest, on the processor.
        inputs: (N, C, H, W) with N of at least 2.

    Raises:
        Unknown: an operator that is not known here, or one that is used in an unknown way.
        Exception: whatever torch.export raises for a network that it cannot follow.
    """
    shapes = ({0: torch.export.Dim("batch")},)
    with torch.no_grad():
        program = torch.export.export(network, (inputs.clone(),), dynamic_shapes=shapes)
    return _Reader(program).layers()


class _Reader:
    """Reads one exported program."""

    def __init__(self, program: torch.export.ExportedProgram) -> None:
        self._program, signature = program, program.graph_signature
        held = {**program.state_dict, **program.constants}
        named = {
            **signature.inputs_to_parameters,
            **signature.inputs_to_buffers,
            **signature.inputs_to_lifted_tensor_constants,
        }
        self._held = {name: held[key].detach() for name, key in named.items()}
        self._given = signature.user_inputs
        self._outputs = signature.user_outputs
        self._layers: list[Layer] = []
        self._names: dict[str, str] = {}  # of nodes -> of the layers that give their value

    def layers(self) -> list[Layer]:
        """All of them."""
        for node in self._program.graph.nodes:
            if node.op == "placeholder" and node.name in self._given:
                self._names[node.name] = INPUT_NAME
            elif node.op == "call_function":
                self._read(node)
        if len(self._outputs) != 1 or self._names.get(str(self._outputs[0])) in (None, INPUT_NAME):
            raise Unknown("it does not give one tensor that its layers compute")
        last = self._names[str(self._outputs[0])]
        while self._layers[-1].name != last:  # nobody reads those behind it
            self._layers.pop()
        return self._layers

    def _read(self, node: Any) -> None:
        if not isinstance(node.meta.get("val"), Tensor):  # a size, or a check of one
            return
        plain = str(getattr(node.target, "__name__", "")).partition(".")[0].removesuffix("_")
        read = _OPERATORS.get(plain)
        if read is None:
            raise Unknown(f"its operator aten.{plain} is not known there")
        self._names[node.name] = read(self, node)

    def arguments(self, node: Any) -> dict[str, Any]:
        """By the operator's own names, with its defaults."""
        schema = node.target._schema.arguments
        found = {each.name: each.default_value for each in schema if each.has_default_value()}
        found |= {each.name: value for each, value in zip(schema, node.args, strict=False)}
        return found | dict(node.kwargs)

    def source(self, node: Any) -> str:
        """The layer that gives a value."""
        name = self._names.get(getattr(node, "name", ""))
        if name is None:
            raise Unknown("it computes with a tensor that comes neither from the images nor from one layer")
        return name

    def held(self, node: Any) -> Tensor | None:
        """A weight; None where it is none."""
        return self._held.get(getattr(node, "name", ""))

    def add(
        self, node: Any, kind: str, *inputs: str, weights: dict[str, Any] | None = None, **settings: Any
    ) -> str:
        """A layer more; its name."""
        stack = list((node.meta.get("nn_module_stack") or {}).values())
        path = stack[-1][0] if stack else ""
        base = re.sub(r"\W+", "_", path.removeprefix("L['self']").strip(".")) or kind
        names = {each.name for each in self._layers} | {INPUT_NAME}
        name = next(
            found
            for found in _numbered(base if base not in names else f"{base}_{kind}")
            if found not in names
        )
        arrays = {key: np.ascontiguousarray(value.float().numpy()) for key, value in (weights or {}).items()}
        self._layers.append(Layer(name, kind, inputs, settings, arrays))
        return name

    def layer(self, name: str) -> Layer:
        """By its name."""
        return next(each for each in self._layers if each.name == name)


def _numbered(name: str) -> Iterator[str]:
    yield name
    number = 1
    while True:
        number += 1
        yield f"{name}_{number}"


def _shape(node: Any) -> list[int]:
    """Without the batch."""
    return [int(each) for each in node.meta["val"].shape[1:]]


def _two(value: Any) -> list[int]:
    found = [int(each) for each in value] if isinstance(value, list | tuple) else [int(value)]
    return found * 2 if len(found) == 1 else found


def _same(reader: _Reader, node: Any) -> str:
    return reader.source(node.args[0])


def _dropout(reader: _Reader, node: Any) -> str:
    if reader.arguments(node)["train"]:
        raise Unknown("it drops values at rest, too")
    return reader.source(node.args[0])


def _conv(reader: _Reader, node: Any) -> str:
    given = reader.arguments(node)
    weight, bias = reader.held(given["weight"]), reader.held(given["bias"])
    if weight is None or (given["bias"] is not None and bias is None):
        raise Unknown("it computes the weights of a convolution")
    if isinstance(given["padding"], str):
        raise Unknown(f"a convolution has padding={given['padding']!r}")
    weights = {"kernel": weight.permute(2, 3, 1, 0)} | ({} if bias is None else {"bias": bias})
    return reader.add(
        node, "conv", reader.source(given["input"]), weights=weights,
        strides=_two(given["stride"]), padding=_two(given["padding"]), dilation=_two(given["dilation"]),
        groups=int(given["groups"]),
    )  # fmt: skip


def _linear(reader: _Reader, node: Any) -> str:
    given = reader.arguments(node)
    weight, bias = reader.held(given["weight"]), reader.held(given["bias"])
    if weight is None or (given["bias"] is not None and bias is None):
        raise Unknown("it computes the weights of a linear layer")
    if len(node.args[0].meta["val"].shape) != 2:
        raise Unknown("a linear layer takes more than a row for each image")
    weights = {"kernel": weight.T} | ({} if bias is None else {"bias": bias})
    return reader.add(node, "linear", reader.source(given["input"]), weights=weights)


def _batch_norm(reader: _Reader, node: Any) -> str:
    given = reader.arguments(node)
    if given["training"]:
        raise Unknown("a batch norm counts with the batch at rest, too")
    known = {"gamma": "weight", "beta": "bias", "mean": "running_mean", "variance": "running_var"}
    weights = {name: reader.held(given[ours]) for name, ours in known.items()}
    if weights["mean"] is None or weights["variance"] is None:
        raise Unknown("a batch norm has no running statistics")
    held = {name: each for name, each in weights.items() if each is not None}
    return reader.add(
        node, "batch_norm", reader.source(given["input"]), weights=held, epsilon=float(given["eps"])
    )


def _group_norm(reader: _Reader, node: Any) -> str:
    given = reader.arguments(node)
    weights = {"gamma": reader.held(given["weight"]), "beta": reader.held(given["bias"])}
    held = {name: each for name, each in weights.items() if each is not None}
    return reader.add(
        node, "group_norm", reader.source(given["input"]), weights=held, epsilon=float(given["eps"]),
        groups=int(given["num_groups"]),
    )  # fmt: skip


def _activation(name: str) -> Callable[[_Reader, Any], str]:
    def read(reader: _Reader, node: Any) -> str:
        given = reader.arguments(node)
        if name == "gelu" and given.get("approximate", "none") != "none":
            raise Unknown("its gelu is approximate")
        if name == "relu6" and (float(given["min_val"]), float(given["max_val"])) != (0.0, 6.0):
            raise Unknown("its operator aten.hardtanh has other limits than 0 and 6")
        return reader.add(node, "activation", reader.source(node.args[0]), function=name)

    return read


def _add(reader: _Reader, node: Any) -> str:
    given = reader.arguments(node)
    if float(given.get("alpha", 1)) != 1:
        raise Unknown("an addition multiplies one of its parts")
    return _combined(reader, node, "add", given["self"], given["other"])


def _multiply(reader: _Reader, node: Any) -> str:
    given = reader.arguments(node)
    return _combined(reader, node, "multiply", given["self"], given["other"])


def _combined(reader: _Reader, node: Any, kind: str, first: Any, second: Any) -> str:
    for one, other in ((first, second), (second, first)):
        held = reader.held(other)
        value = (
            other
            if isinstance(other, int | float)
            else held.item()
            if held is not None and held.numel() == 1
            else None
        )
        if value is not None:
            scale, offset = (1.0, float(value)) if kind == "add" else (float(value), 0.0)
            return reader.add(node, "rescale", reader.source(one), scale=scale, offset=offset)
    if any(reader.held(each) is not None for each in (first, second)):
        raise Unknown(f"it has a weight of many numbers in an operator aten.{kind}")
    if len(first.meta["val"].shape) != len(second.meta["val"].shape):
        raise Unknown(f"its operator aten.{kind} takes tensors of different numbers of axes")
    return reader.add(node, kind, reader.source(first), reader.source(second))


def _max_pool(reader: _Reader, node: Any) -> str:
    given = reader.arguments(node)
    kernel, padding = _two(given["kernel_size"]), _two(given["padding"])
    source = reader.source(given["self"])
    if given["ceil_mode"] or _two(given["dilation"]) != [1, 1]:
        raise Unknown("a max pooling rounds up or has gaps")
    if padding != [0, 0] and not _is_positive(reader, source):
        raise Unknown("a max pooling with padding takes numbers that may be negative")
    return reader.add(
        node, "max_pool", source, size=kernel, strides=_two(given["stride"] or kernel), padding=padding
    )


def _is_positive(reader: _Reader, name: str) -> bool:
    """Whether a layer gives no number below zero; of others it is not known."""
    positive = ("relu", "relu6", "sigmoid")
    return name != INPUT_NAME and reader.layer(name).settings.get("function") in positive


def _average_pool(reader: _Reader, node: Any) -> str:
    given = reader.arguments(node)
    kernel = _two(given["kernel_size"])
    strides = _two(given["stride"] or kernel)
    whole = all((side - size) % stride == 0 for side, size, stride in
                zip(_shape(given["self"])[1:], kernel, strides, strict=True))  # fmt: skip
    if _two(given["padding"]) != [0, 0] or (given["ceil_mode"] and not whole) or given["divisor_override"]:
        raise Unknown("an average pooling has padding or rounds up")
    return reader.add(node, "average_pool", reader.source(given["self"]), size=kernel, strides=strides)


def _to_one(reader: _Reader, node: Any) -> str:
    given = reader.arguments(node)
    if _two(given["output_size"]) != [1, 1]:
        raise Unknown("an adaptive pooling gives more than one number for each channel")
    return reader.add(node, "mean", reader.source(given["self"]), keep=True)


def _mean(reader: _Reader, node: Any) -> str:
    given = reader.arguments(node)
    if sorted(axis % 4 for axis in given["dim"] or ()) != [2, 3] or len(node.args[0].meta["val"].shape) != 4:
        raise Unknown("it takes a mean over other axes than height and width")
    return reader.add(node, "mean", reader.source(given["self"]), keep=bool(given["keepdim"]))


def _flatten(reader: _Reader, node: Any) -> str:
    before, after = _shape(node.args[0]), _shape(node)
    if before == after:
        return reader.source(node.args[0])
    if len(after) != 1 or len(before) != 3:
        raise Unknown("it puts values into another shape than a row for each image")
    return reader.add(node, "flatten", reader.source(node.args[0]), permute=before[1:] != [1, 1])


def _slice(reader: _Reader, node: Any) -> str:
    given = reader.arguments(node)
    before, after, step = _shape(node.args[0]), _shape(node), int(given["step"])
    if before == after:
        return reader.source(node.args[0])
    if (
        (given["start"] or 0) != 0
        or given["dim"] not in (2, 3)
        or after[given["dim"] - 1] != -(-before[given["dim"] - 1] // step)
    ):
        raise Unknown("it cuts a part out of a tensor")
    return reader.add(
        node, "every", reader.source(node.args[0]), strides=[step, 1] if given["dim"] == 2 else [1, step]
    )


def _pad(reader: _Reader, node: Any) -> str:
    given = reader.arguments(node)
    pad = [int(each) for each in given["pad"]]
    if (
        given.get("mode", "constant") != "constant"
        or float(given["value"] or 0) != 0
        or min(pad) < 0
        or len(pad) > 6
    ):
        raise Unknown("it pads with something else than zeros")
    pad += [0] * (6 - len(pad))
    return reader.add(
        node,
        "pad",
        reader.source(node.args[0]),
        width=pad[:2],
        height=pad[2:4],
        channels=pad[4:],
        to=_shape(node),
    )


def _nearest(reader: _Reader, node: Any) -> str:
    before, after = _shape(node.args[0])[1:], _shape(node)[1:]
    times = [-(-new // old) for old, new in zip(before, after, strict=True)]
    for old, new, each in zip(before, after, times, strict=True):
        if any(int(index * old / new) != index // each for index in range(new)):
            raise Unknown(f"it enlarges {old} pixels to {new}, which is no whole number of times")
    return reader.add(node, "enlarge", reader.source(node.args[0]), times=times, size=after)


def _join(reader: _Reader, node: Any) -> str:
    given = reader.arguments(node)
    if int(given["dim"]) % 4 != 1 or len(node.meta["val"].shape) != 4:
        raise Unknown("it joins tensors along another axis than channels")
    return reader.add(node, "join", *(reader.source(each) for each in given["tensors"]))


_OPERATORS: dict[str, Callable[[_Reader, Any], str]] = {
    "conv2d": _conv,
    "linear": _linear,
    "batch_norm": _batch_norm,
    "group_norm": _group_norm,
    "relu": _activation("relu"),
    "hardtanh": _activation("relu6"),
    "sigmoid": _activation("sigmoid"),
    "silu": _activation("silu"),
    "gelu": _activation("gelu"),
    "tanh": _activation("tanh"),
    "add": _add,
    "mul": _multiply,
    "max_pool2d": _max_pool,
    "avg_pool2d": _average_pool,
    "adaptive_avg_pool2d": _to_one,
    "mean": _mean,
    "flatten": _flatten,
    "view": _flatten,
    "reshape": _flatten,
    "slice": _slice,
    "pad": _pad,
    "constant_pad_nd": _pad,
    "upsample_nearest2d": _nearest,
    "cat": _join,
    "dropout": _dropout,
    "feature_dropout": _dropout,
    "alias": _same,
    "clone": _same,
    "contiguous": _same,
    "detach": _same,
    "lift_fresh_copy": _same,
}
