"""Inert objects in place of the classes that a checkpoint names: the file is read, and nothing of it is run."""

import re
import warnings
from collections import OrderedDict
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from torch import Tensor

_MOST_CLASSES = 500
_UNKNOWN = re.compile(r"Unsupported global: GLOBAL (\S+) was not an allowed global")
_MAPPING = re.compile(r"Can only SETITEMS? for dict.*but got <class '.*StandIn\[(\S+)\]'>")
_PLAIN = {
    each.__name__: each
    for each in (set, frozenset, list, dict, tuple, slice, range, complex, bytearray, object)
}  # builtins that only hold values
_NUMBER = re.compile(r"^[<>|=]?[bifuc](1|2|4|8|16)$")


class StandIn:
    """Takes the place of an object of an unknown class; keeps what was to be put into it.

    Attributes:
        label: the dotted name of the class.
    """

    label = ""

    def __new__(cls, *given: object, **_options: object) -> "StandIn":
        """Whatever it is made of."""
        made = super().__new__(cls)
        made.__dict__["given"] = given
        return made

    def __init__(self, *_given: object, **_options: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        """What was to become its attributes."""
        for part in state if isinstance(state, tuple) else (state,):
            if isinstance(part, dict):
                self.__dict__.update({str(name): value for name, value in part.items()})

    def extend(self, _items: object) -> None:
        """Elements are left out."""

    def append(self, _item: object) -> None:
        """Likewise."""


def load_inertly(path: Path) -> tuple[Any, tuple[str, ...]]:
    """What a file of ``torch.save`` holds, with torch's guard on, and the classes that were left as stand-ins.

    Args:
        path: a checkpoint in either of PyTorch's forms.

    Raises:
        UnpicklingError: for what even a stand-in must not take the place of, such as functions of ``os``.
        Exception: whatever torch raises for a damaged file.
    """
    known: dict[str, Any] = {
        "collections.defaultdict": lambda *_given: {},
        "numpy.dtype": _stand_in("numpy.dtype"),
        "numpy.core.multiarray.scalar": _number,
        "numpy._core.multiarray.scalar": _number,
        **{f"builtins.{name}": each for name, each in _PLAIN.items()},
    }
    unknown: list[str] = []
    for _ in range(_MOST_CLASSES):
        try:
            allowed = torch.serialization.safe_globals([(each, name) for name, each in known.items()])
            with allowed, warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about the pickle's version
                return torch.load(path, map_location="cpu", weights_only=True), tuple(unknown)
        except UnpicklingError as error:
            text = str(error)
            if (named := _MAPPING.search(text)) is not None:
                known[named.group(1)] = OrderedDict
                continue
            if (named := _UNKNOWN.search(text)) is None:
                raise
            name = named.group(1) if "." in named.group(1) else f"builtins.{named.group(1)}"
            if name in known or name.startswith("builtins."):  # a function such as getattr
                raise
            known[name] = _stand_in(name)
            unknown.append(name)
    raise UnpicklingError(f"it names more than {_MOST_CLASSES} classes")


def tensors_of_module(found: StandIn) -> dict[str, Tensor]:
    """The state dict of a whole network that was saved as an object, from the stand-ins of its modules."""
    state: dict[str, Tensor] = {}
    for kind in ("_parameters", "_buffers"):
        own = found.__dict__.get(kind)
        for name, value in own.items() if isinstance(own, dict) else ():
            if isinstance(value, Tensor):
                state[str(name)] = value
    children = found.__dict__.get("_modules")
    for name, child in children.items() if isinstance(children, dict) else ():
        if isinstance(child, StandIn):
            state |= {f"{name}.{inner}": value for inner, value in tensors_of_module(child).items()}
    return state


def _stand_in(name: str) -> type[StandIn]:
    return type(f"StandIn[{name}]", (StandIn,), {"label": name})


def _number(dtype: object, data: object = b"") -> object:
    """A NumPy scalar as a Python number; what is no plain number stays out."""
    given = getattr(dtype, "given", ())
    code = str(given[0]) if given else ""
    raw = data.encode("latin1") if isinstance(data, str) else data
    if not _NUMBER.match(code) or not isinstance(raw, bytes) or len(raw) != np.dtype(code).itemsize:
        return None
    return np.frombuffer(raw, code)[0].item()
