"""Reading weights that somebody else saved, without running anything that is in the file."""

import os
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from reswork.errors import InvalidSetting
from reswork.store.atomic_files import open_regular
from reswork.store.file_kinds import kind_of_file
from reswork.store.stand_ins import load_inertly

_LONGEST_HEADER = 4 * 1024**2  # bytes; about 40,000 tensors
_PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.", "backbone.")


def read_weights(path: Path, most_bytes: int) -> tuple[Any, tuple[str, ...]]:
    """What a ``.pt``, ``.pth``, ``.th`` or ``.safetensors`` file holds, and the classes that were not made.

    Nothing in the file is run: objects of classes that PyTorch does not know as harmless become stand-ins.

    Args:
        path: the file.
        most_bytes: a larger file is refused unread.

    Raises:
        InvalidSetting: for a file that is missing, too large, truncated, no checkpoint, or holds code.
    """
    _check_size(path, most_bytes)
    try:
        if _is_safetensors(path):
            return load_file(path), ()
        other = kind_of_file(path)
        if other is not None:
            raise InvalidSetting("path", other)
        _check_unpacked_size(path, most_bytes)
        return load_inertly(path)
    except InvalidSetting:
        raise
    except pickle.UnpicklingError as error:
        raise InvalidSetting("path", _refusal(path, error)) from error
    except (SafetensorError, RuntimeError, EOFError, OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidSetting(
            "path", f"{path.name!r} is truncated or no checkpoint: {_reason(error)}; get the file anew"
        ) from error
    except Exception as error:  # torch raises whatever a damaged file makes it stumble over
        raise InvalidSetting(
            "path", f"{path.name!r} is damaged or no checkpoint ({type(error).__name__}); get the file anew"
        ) from error


def plain_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors under names without what wrappers put before all of them.

    Example:
        >>> import torch
        >>> list(plain_names({"module.fc.weight": torch.zeros(2, 3)}))
        ['fc.weight']
    """
    found = dict(tensors)
    for _ in range(len(_PREFIXES)):
        for prefix in _PREFIXES:
            if found and all(name.startswith(prefix) for name in found):
                found = {name.removeprefix(prefix): value for name, value in found.items()}
    return found


def entries_in(content: Any) -> dict[str, int | float | str]:
    """Plain values beside the weights, such as the epoch and the accuracy."""
    if not isinstance(content, Mapping):
        return {}
    plain = {str(name): value for name, value in content.items() if isinstance(value, int | float | str)}
    numbers = {
        str(name): value.item()
        for name, value in content.items()
        if isinstance(value, Tensor) and value.dim() == 0 and len(content) < 20
    }
    return {**plain, **numbers}


def _check_size(path: Path, most_bytes: int) -> None:
    try:
        with open_regular(path) as fileno:
            size = os.fstat(fileno).st_size
    except FileNotFoundError:
        raise InvalidSetting(
            "path", f"there is no file {str(path)!r}; give the path of a checkpoint"
        ) from None
    except (OSError, ValueError) as error:
        raise InvalidSetting("path", f"{str(path)!r} cannot be read: {error}") from error
    if size > most_bytes:
        raise InvalidSetting(
            "path",
            f"{path.name!r} has {size:,} bytes, more than the limit of {most_bytes:,}; "
            "raise most_bytes if you trust it",
        )


def _check_unpacked_size(path: Path, most_bytes: int) -> None:
    """A zip archive may claim to be small."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    if size > most_bytes:
        raise InvalidSetting(
            "path", f"{path.name!r} would unpack to {size:,} bytes, more than the limit of {most_bytes:,}"
        )


def _is_safetensors(path: Path) -> bool:
    """By its beginning: the length of a JSON header, then that header.

    Raises:
        InvalidSetting: for a header so long that it would take minutes, such as of a hundred thousand tensors.
    """
    with path.open("rb") as file:
        head = file.read(9)
    if len(head) < 9 or head[8:] != b"{" or zipfile.is_zipfile(path):
        return False
    size = int.from_bytes(head[:8], "little")
    if size > _LONGEST_HEADER:
        raise InvalidSetting(
            "path",
            f"{path.name!r} claims a list of tensors of {size:,} bytes; at most {_LONGEST_HEADER:,} are read",
        )
    return True


def _refusal(path: Path, error: pickle.UnpicklingError) -> str:
    text = str(error)
    if "lobal" in text and "Unpickler might not support" not in text:  # a global that no stand-in may replace
        return (
            f"{path.name!r} holds more than tensors and plain values, and opening it would run code from the "
            "file; ask for its state_dict, saved with torch.save(model.state_dict(), ...)"
        )
    return f"{path.name!r} is truncated or no checkpoint: {_reason(error)}; get the file anew"


def _reason(error: BaseException) -> str:
    """What a library says of a file, without its advice to switch the guard off."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    lines = [line for line in lines if "weights_only" not in line and "add_safe_globals" not in line]
    return (
        lines[0].removeprefix("WeightsUnpickler error: ")
        if lines
        else "it ends too early or is another format"
    )
