"""Files that are either the old one or the new one, never half of one: temporary file, fsync, rename."""

import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Replace a JSON file at once."""
    text = json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_text(path: Path, text: str) -> None:
    """Replace a text file at once."""
    with replacing(path) as temporary:
        temporary.write_bytes(text.encode())


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Replace a safetensors file at once; copies to the processor, one tensor after another."""
    copies = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    with replacing(path) as temporary:
        try:
            save_file(copies, temporary, dict(metadata))
        except SafetensorError as error:  # a full disk comes as this one
            raise OSError(str(error)) from error


def read_text(path: Path, most_bytes: int) -> str:
    """Text of a regular file below a size; anything else is refused instead of waited for.

    Raises:
        ValueError: for a pipe, a device or a folder, too many bytes, or bytes that are not UTF-8.
        OSError: if it cannot be opened.
    """
    with open_regular(path) as fileno:
        size = os.fstat(fileno).st_size
        if size > most_bytes:
            raise ValueError(f"{path.name} has {size:,} bytes; at most {most_bytes:,} are read")
        return os.read(fileno, most_bytes + 1).decode("utf-8")


def sweep(folder: Path) -> None:
    """Delete the temporary files that a process that died in the middle of a write left in a folder."""
    for path in folder.glob(".*.*"):
        if path.suffix[1:].isdecimal() and path.is_file() and not path.is_symlink():
            with suppress(OSError):
                path.unlink()


def read_json(path: Path, most_bytes: int) -> Any:
    """What a JSON file holds, if it can be written and shown again as it is.

    Raises:
        ValueError: for no JSON, infinities, halves of characters, and what `read_text` refuses.
        OSError: if it cannot be opened.
    """
    values = json.loads(read_text(path, most_bytes))
    try:
        json.dumps(values, ensure_ascii=False, allow_nan=False).encode()
    except ValueError as error:
        raise ValueError(f"{path.name} holds what JSON cannot say: {error}") from error
    return values


@contextmanager
def open_regular(path: Path) -> Iterator[int]:
    """File number of a regular file, opened without waiting (a named pipe would wait for ever)."""
    fileno = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(fileno).st_mode):
            raise ValueError(f"{path.name} is not a regular file")
        yield fileno
    finally:
        os.close(fileno)


def synchronise(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    fileno = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fileno)
    finally:
        os.close(fileno)


@contextmanager
def replacing(path: Path, *, lasting: bool = True) -> Iterator[Path]:
    """A temporary file beside `path` that takes its place when the body succeeds.

    Args:
        path: the file.
        lasting: wait until it is on the disk, so that no power cut can take it.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.open("wb").close()
        mode = stat.S_IMODE(temporary.stat().st_mode)  # as the umask wants it; safetensors would make it 0600
        yield temporary
        temporary.chmod(mode)
        if lasting:
            synchronise(temporary)
        temporary.replace(path)
        if lasting:
            synchronise(path.parent)
    finally:
        with suppress(OSError):
            temporary.unlink()
