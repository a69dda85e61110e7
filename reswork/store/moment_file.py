"""One moment on disk: all weights of a network in one safetensors file, written from one flat buffer.

The head of the file is the same for all moments of a run but for the step and a checksum, so a moment costs one
copy of the weights and one write.
"""

import json
import os
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from reswork.store.atomic_files import open_regular, replacing

MOST_BYTES = 4 * 1024**3  # a larger file is not read
_NAME = re.compile(r"(\d{8,12})\.safetensors")
_DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


@dataclass(frozen=True, eq=False)
class Slot:
    """Room for the weights of one moment; ``views`` are parts of ``flat``, in the order of the layout."""

    flat: Tensor  # (bytes,) uint8
    views: list[Tensor]


class FlatLayout:
    """Where each tensor of a network lies in the flat buffer, and the head of the file that says so.

    Args:
        state: name -> tensor, as a ``state_dict`` has it.

    Attributes:
        file_bytes: size of each file.

    Raises:
        TypeError: for a tensor that the format cannot hold.
    """

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        for name, tensor in state.items():
            if tensor.dtype not in _DTYPES or tensor.layout is not torch.strided:
                raise TypeError(f"{name} is of type {tensor.dtype}, which a moment cannot hold")
        self._names = sorted(
            state, key=lambda name: (-state[name].element_size(), name)
        )  # so that all is aligned
        self._kinds = [(state[name].dtype, state[name].shape) for name in self._names]
        ends = [0]
        for name in self._names:
            ends.append(ends[-1] + state[name].nbytes)
        self._places = list(pairwise(ends))
        self._device = state[self._names[0]].device if self._names else torch.device("cpu")
        self._bytes = ends[-1]
        self.file_bytes = len(self._head(0, 0)) + self._bytes

    def slot(self) -> Slot:
        """Empty room for one moment, on the device of the weights."""
        flat = torch.empty(self._bytes, dtype=torch.uint8, device=self._device)
        views = [
            flat[begin:end].view(dtype).view(shape)
            for (begin, end), (dtype, shape) in zip(self._places, self._kinds, strict=True)
        ]
        return Slot(flat, views)

    def fill(self, slot: Slot, state: Mapping[str, Tensor]) -> None:
        """Copy the weights into a slot.

        Raises:
            KeyError: if a tensor is missing.
            RuntimeError: if one has another shape.
        """
        with torch.no_grad():
            torch._foreach_copy_(slot.views, [state[name] for name in self._names])

    def write(self, folder: Path, slot: Slot, step: int) -> Path:
        """Write a slot as the moment of a step: a temporary file, renamed when it is whole.

        No fsync: a power cut may cost a moment, and its checksum tells.

        Raises:
            OSError: if that does not work.
        """
        content = slot.flat.cpu().numpy().data
        path = folder / file_name(step)
        with replacing(path, lasting=False) as temporary, temporary.open("wb") as file:
            file.write(self._head(step, zlib.crc32(content)))
            file.write(content)
        return path

    def _head(self, step: int, checksum: int) -> bytes:
        entries: dict[str, object] = {
            "__metadata__": {"format": "pt", "step": f"{step:012}", "crc32": f"{checksum:08x}"}
        }
        for name, offsets, (dtype, shape) in zip(self._names, self._places, self._kinds, strict=True):
            entries[name] = {"dtype": _DTYPES[dtype], "shape": list(shape), "data_offsets": list(offsets)}
        text = json.dumps(entries, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        return len(text).to_bytes(8, "little") + text


def file_name(step: int) -> str:
    """Such as ``00000400.safetensors``."""
    return f"{step:08}.safetensors"


def moments_in(folder: Path) -> dict[int, int]:
    """Step -> bytes of each moment in a folder, growing; other files do not count."""
    found = {}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                named = _NAME.fullmatch(entry.name)
                if named and entry.is_file(follow_symlinks=False):
                    found[int(named[1])] = entry.stat(follow_symlinks=False).st_size
    except OSError:  # no folder, or one that vanishes
        return {}
    return dict(sorted(found.items()))


def read_moment(folder: Path, step: int) -> dict[str, Tensor]:
    """The weights of a moment, on the processor.

    Raises:
        ValueError: for a file that is damaged, too large or no regular file; the message is half a sentence.
        OSError: if it cannot be opened.
    """
    with open_regular(folder / file_name(step)) as fileno:
        size = os.fstat(fileno).st_size
        if size > MOST_BYTES:
            raise ValueError(f"has {size:,} bytes; at most {MOST_BYTES:,} are read")
        with open(fileno, "rb", closefd=False) as file:
            content = file.read(size)
    try:
        tensors = load(content)
        length = int.from_bytes(content[:8], "little")
        told = json.loads(content[8 : 8 + length]).get("__metadata__", {})
    except (SafetensorError, ValueError, AttributeError, RecursionError, KeyError) as error:
        raise ValueError(f"is damaged ({str(error) or type(error).__name__})") from error
    if told.get("crc32") != f"{zlib.crc32(memoryview(content)[8 + length :]):08x}":
        raise ValueError("is damaged (its checksum differs)")
    if told.get("step") != f"{step:012}":
        raise ValueError("is of another step than its name says")
    return tensors
