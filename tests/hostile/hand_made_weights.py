"""Hostile checkpoints, made by hand."""

import io
import json
import math
import os
import pickle
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from reswork.models.network import resnet
from tests.hostile.names import NAMES
from tests.hostile.opening import Case


class Runs:
    """A pickle that calls something when it is opened without care."""

    def __init__(self, call: Any, *arguments: Any) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call, self.arguments


def calls(sentinel: Path) -> dict[str, Any]:
    """What hostile pickles call; each would make the sentinel."""
    import builtins
    import runpy
    import shutil
    import subprocess

    text = f"open({str(sentinel)!r}, 'w').close()"
    return {
        "system": Runs(os.system, f"touch {sentinel}"),
        "mkdir": Runs(os.mkdir, str(sentinel)),
        "eval": Runs(builtins.eval, text.replace(".close()", "")),
        "exec": Runs(builtins.exec, text),
        "open": Runs(builtins.open, str(sentinel), "w"),
        "popen": Runs(subprocess.check_call, ["touch", str(sentinel)]),
        "path": Runs(Path.touch, sentinel),
        "copy": Runs(shutil.copy, "/etc/hostname", str(sentinel)),
        "run": Runs(runpy.run_path, str(sentinel)),
        "getattr": Runs(builtins.getattr, os, "system"),
        "load": Runs(torch.load, str(sentinel)),
        "import": Runs(builtins.__import__, "antigravity"),
    }


def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return dict(resnet(depth=8, width=2, in_channels=1, num_classes=2).state_dict())


def weights(folder: Path, sentinel: Path) -> Iterator[Case]:
    """All cases."""
    for name, content in (*_pickles(sentinel), *_headers(), *_archives(), *_odd_tensors()):
        path = folder / f"{len(os.listdir(folder)):04}.pt"
        path.write_bytes(content)
        yield Case(name, "checkpoint", path)
    yield from _no_files(folder)


def _torch(content: Any, zipped: bool = True) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


def _pickles(sentinel: Path) -> Iterator[tuple[str, bytes]]:
    for name, call in calls(sentinel).items():
        if name == "getattr":
            yield f"{name} as a raw pickle", _by_hand(sentinel)
            continue
        content = {"state_dict": state(), "more": call}
        yield f"{name} in a zip", _torch(content)
        yield f"{name} in an old file", _torch(content, zipped=False)
        yield f"{name} alone", _torch(call)
        for protocol in (0, 2, 4, 5):
            yield f"{name} as a pickle of protocol {protocol}", pickle.dumps(call, protocol)
    deep = b"\x80\x02" + b"]" * 200_000 + b"a" * 199_999 + b"."
    yield "a deep pickle", deep
    yield "a wide pickle", b"\x80\x02" + b"(" * 100_000 + b"t" * 100_000 + b"."
    yield "a pickle that doubles", b"\x80\x02]q\x00" + b"h\x00h\x00e" * 50 + b"."
    yield "a pickle with a huge string", b"\x80\x04\x8d" + struct.pack("<Q", 2**62) + b"x."
    yield "a pickle with a huge number", b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b"1."
    yield "a pickle with a huge memo", b"\x80\x02Nr" + struct.pack("<I", 2**32 - 1) + b"."
    yield "a pickle of nothing", b"\x80\x02."


def _by_hand(sentinel: Path) -> bytes:
    return b"cos\nsystem\n(S'touch " + str(sentinel).encode() + b"'\ntR."


def _header(header: Any, data: bytes = b"", size: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if size is None else size) + text + data


def _headers() -> Iterator[tuple[str, bytes]]:
    one = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    for size in (0, 1, 2**31, 2**40, 2**63, 2**64 - 1):
        yield f"a header of {size} bytes", _header({"a": one}, bytes(8), size)
    changes: list[dict[str, Any]] = [
        {"shape": [2**40]},
        {"shape": [2**32, 2**32]},
        {"shape": [-2]},
        {"shape": "2"},
        {"shape": [2.5]},
        {"shape": None},
        {"shape": [1] * 5000},
        {"shape": [0, 2**62]},
        {"dtype": "F31"},
        {"dtype": 7},
        {"dtype": None},
        {"dtype": "BOOL"},
        {"dtype": "F8_E4M3"},
        {"dtype": "I64"},
        {"data_offsets": [8, 0]},
        {"data_offsets": [0, 2**63]},
        {"data_offsets": [-8, 0]},
        {"data_offsets": [0]},
        {"data_offsets": "08"},
        {"data_offsets": [4, 12]},
        {"data_offsets": None},
        {"more": 1},
    ]
    for change in changes:
        yield f"a tensor with {str(change)[:60]}", _header({"a": one | change}, bytes(8))
    yield "tensors over each other", _header({"a": one, "b": one | {"data_offsets": [4, 12]}}, bytes(12))
    yield "a hole between tensors", _header({"a": one, "b": one | {"data_offsets": [16, 24]}}, bytes(24))
    yield (
        "the same twice",
        _header(b'{"a":' + json.dumps(one).encode() + b',"a":' + json.dumps(one).encode() + b"}", bytes(8)),
    )
    yield "a deep header", _header(b'{"a":' * 100_000 + b"1" + b"}" * 100_000)
    yield "a header that is a list", _header([one], bytes(8))
    yield "a header that is no JSON", _header(b"{not json at all", bytes(8))
    yield "a header in UTF-16", _header(json.dumps({"a": one}).encode("utf-16"), bytes(8))
    for metadata in ({"a": 1}, [], "x", {"a": {"b": "c"}}, None):
        yield f"metadata {metadata!r}", _header({"__metadata__": metadata, "a": one}, bytes(8))
    yield (
        "a hundred thousand tensors",
        _header(
            {
                f"layer1.{place}.conv1.weight": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
                for place in range(100_000)
            }
        ),
    )
    for name in NAMES:
        yield f"a tensor called {name[:30]!r}", _header({name: one}, bytes(8))
    yield "a hole and a tail", _header({"a": one}, bytes(800))
    yield "nothing in it", _header({})


def _odd_tensors() -> Iterator[tuple[str, bytes]]:
    plain = state()
    for value in (math.nan, math.inf, -math.inf, 1e38):
        yield (
            f"weights that are {value}",
            save(
                {
                    name: torch.full_like(each, value) if each.is_floating_point() else each
                    for name, each in plain.items()
                }
            ),
        )
    shapes: list[tuple[str, torch.Tensor]] = [
        ("conv1.weight", torch.zeros(2)),
        ("conv1.weight", torch.zeros(())),
        ("conv1.weight", torch.zeros(0, 1, 3, 3)),
        ("conv1.weight", torch.zeros(2, 0, 3, 3)),
        ("fc.weight", torch.zeros(0, 8)),
        ("fc.weight", torch.zeros(1).expand(10**9, 8)),
        ("layer1.0.conv1.weight", torch.zeros(2, 2, 3, 3, 3)),
        ("layer1.0.conv2.weight", torch.zeros(1, 1, 1, 1)),
        ("bn1.running_mean", torch.zeros(3)),
        ("conv1.weight", torch.zeros(2, 1, 3, 3, dtype=torch.complex64)),
        ("conv1.weight", torch.zeros(2, 1, 3, 3).to_sparse()),
        ("conv1.weight", torch.zeros(2, 1, 3, 3, device="meta")),
        ("conv1.weight", torch.quantize_per_tensor(torch.zeros(2, 1, 3, 3), 1.0, 0, torch.qint8)),
        ("layer99999999.0.conv1.weight", torch.zeros(2)),
        ("layer1.-1.conv1.weight", torch.zeros(2)),
        ("layerX.0.conv1.weight", torch.zeros(2)),
        ("layer1", torch.zeros(2)),
        ("layer", torch.zeros(2)),
        ("", torch.zeros(2)),
    ]
    for name, value in shapes:
        yield f"{name!r} of the shape {tuple(value.shape)} {value.layout}", _torch({**plain, name: value})
    for name in NAMES:
        yield (
            f"weights below {name[:30]!r}",
            _torch({"state_dict": {f"{name}.{key}": value for key, value in plain.items()}, name: name}),
        )
    for key in (1, 2.5, None, (1, 2), b"x", True):
        yield f"weights below {key!r}", _torch({key: plain, "epoch": float("nan")})
    nested: Any = plain
    for _ in range(400):
        nested = {"state_dict": nested}
    yield "weights four hundred dicts deep", _torch(nested)
    loop: dict[str, Any] = dict(plain)
    loop["state_dict"] = loop
    yield "a dict in itself", _torch(loop)


def _archives() -> Iterator[tuple[str, bytes]]:
    plain = _torch(state())
    entries = {}
    with zipfile.ZipFile(io.BytesIO(plain)) as archive:
        for entry in archive.infolist():
            entries[entry.filename] = archive.read(entry)
    first = next(name for name in entries if "/data/" in name)
    yield "a tensor's data missing", _zipped({name: data for name, data in entries.items() if name != first})
    yield "a tensor's data cut", _zipped({**entries, first: entries[first][:3]})
    yield "a tensor's data empty", _zipped({**entries, first: b""})
    yield "a wrong byte order", _zipped({**entries, next(n for n in entries if "byteorder" in n): b"middle"})
    for name in ("../../../tmp/evil", "/etc/evil", "C:\\evil", "a/" * 2000, *NAMES):
        yield f"an archive with {name[:30]!r}", _zipped({**entries, name: b"evil"})
    yield (
        "an archive that unpacks to much",
        _zipped({**entries, "archive/bomb": bytes(64 * 1024**2)}, zipfile.ZIP_DEFLATED),
    )
    yield "an empty archive", _zipped({})
    yield "an archive of a text", _zipped({"hello.txt": b"hello"})
    yield (
        "an archive with no data.pkl",
        _zipped({name: data for name, data in entries.items() if "data.pkl" not in name}),
    )
    changed = bytearray(plain)
    place = changed.rfind(b"PK\x01\x02")
    changed[place + 24 : place + 28] = b"\xff\xff\xff\xff"  # the size that the last entry claims
    yield "an entry that claims 4 GiB", bytes(changed)
    yield "an archive behind a text", b"hello" * 1000 + plain


def _zipped(entries: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in entries.items():
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return buffer.getvalue()


def _no_files(folder: Path) -> Iterator[Case]:
    place = folder / "odd"
    place.mkdir()
    os.mkfifo(place / "pipe.pt")
    (place / "loop.pt").symlink_to(place / "loop.pt")
    (place / "zero.pt").symlink_to("/dev/zero")
    (place / "secret.pt").symlink_to("/etc/passwd")
    (place / "folder.pt").mkdir()
    with (place / "sparse.pt").open("wb") as file:
        file.truncate(5 * 1024**3)
    with (place / "zeros.pt").open("wb") as file:
        file.truncate(64 * 1024**2)
    for path in sorted(place.iterdir()):
        yield Case(path.name, "checkpoint", path)
    for name in ("", "missing.pt", "a\0b", "x" * 5000, "../" * 50):
        yield Case(f"a path {name[:20]!r}", "checkpoint", f"{place}/{name}")
