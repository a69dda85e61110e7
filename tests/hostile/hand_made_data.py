"""Hostile settings and data sets, made by hand."""

import io
import json
import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from reswork.models.config import ResNetConfig
from reswork.training.recipe import Recipe
from tests.datasets.image_files import encoded, picture, png_of_claimed_size
from tests.hostile.hand_made_runs import ODD, paths, put
from tests.hostile.hand_made_weights import calls
from tests.hostile.names import NAMES
from tests.hostile.opening import Case

TEXTS = (
    "",
    "[",
    "[" * 100_000,
    '{"a":' * 50_000,
    "null",
    "1",
    '"x"',
    "[]",
    "{}x",
    '{"depth": 1' + "0" * 5000 + "}",
    "\ud800",
    "\0",
    "NaN",
)


def settings() -> Iterator[Case]:
    """Every setting with every odd value."""
    for kind, values in (("config", ResNetConfig().to_dict()), ("recipe", Recipe().to_dict())):
        for place in paths(values):
            for odd in ODD:
                yield Case(f"{kind} {place} is {str(odd)[:20]}", kind, json.dumps(put(values, place, odd)))
        for text in TEXTS:
            yield Case(f"{kind} {text[:20]!r}", kind, text)
        for name in NAMES:
            yield Case(f"{kind} with {name[:20]!r}", kind, json.dumps({**values, name: name}))
    for many in (
        {"stage_blocks": [1] * 100_000},
        {"depth": None, "stage_blocks": [10**9]},
        {"width": 10**15},
        {"depth": 6 * 10**12 + 2},
        {"num_classes": 10**15},
        {"widen_factor": 10**12},
        {"shortcuts_off": ["layer1.0"] * 100_000},
        {"groups": 10**12, "block": "bottleneck", "depth": 50},
    ):
        yield Case(f"config {str(many)[:40]}", "config", json.dumps(many))


def data_sets(folder: Path, sentinel: Path) -> Iterator[Case]:
    """Archives, arrays and folders."""
    for name, ending, content in (*_archives(), *_arrays(sentinel)):
        path = folder / f"{len(os.listdir(folder)):04}{ending}"
        path.write_bytes(content)
        yield Case(name, "dataset", path)
    yield from _folders(folder)


def images() -> dict[str, bytes]:
    """Four good images in two classes."""
    return {f"{label}/{number}.png": encoded(picture(number)) for label in "ab" for number in range(2)}


def zipped(entries: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """An archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in entries.items():
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return buffer.getvalue()


def odd_images() -> dict[str, bytes]:
    """Images that are none, or too much."""
    big = Image.new("1", (9000, 9000))
    frames = io.BytesIO()
    Image.new("P", (8, 8)).save(
        frames, "GIF", save_all=True, append_images=[Image.new("P", (8, 8), n % 256) for n in range(200)]
    )
    text = zlib.compress(bytes(100 * 1024**2))
    chunk = b"zTXtkey\0\0" + text
    bomb = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    plain = encoded(picture())
    return {
        "a pixel bomb": encoded(big),
        "a claim of 2^31 pixels a side": png_of_claimed_size(2**31 - 1, 2**31 - 1),
        "a claim of no pixels": png_of_claimed_size(0, 0),
        "a text bomb": plain[:33] + bomb + plain[33:],
        "many frames": frames.getvalue(),
        "a huge BMP": b"BM"
        + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 2**31 - 1, 2**31 - 1, 1, 24, 0, 0, 0, 0, 0, 0),
        "a huge PPM": b"P6 99999999 99999999 255\n" + bytes(10),
        "a PPM of text": b"P1 " + b"9" * 100_000,
        "a TIFF that points to itself": b"II*\0\x08\0\0\0"
        + struct.pack("<HHHII", 1, 256, 3, 1, 8)
        + struct.pack("<I", 8),
        "a TIFF with many tags": b"II*\0\x08\0\0\0" + struct.pack("<H", 65535) + bytes(12) * 65535,
        "a JPEG cut off": encoded(picture(), "JPEG")[:100],
        "an SVG": b'<svg xmlns="http://www.w3.org/2000/svg" onload="window.__pwned=1"/>',
        "an EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/tmp/evil) (w) file\n",
        "a text": b"hello",
        "nothing": b"",
        "a WebP with a false size": b"RIFF\xff\xff\xff\xffWEBPVP8L\xff\xff\xff\xff/" + bytes(20),
    }


def _archives() -> Iterator[tuple[str, str, bytes]]:
    good = images()
    for name, content in odd_images().items():
        yield f"a zip with {name}", ".zip", zipped({**good, "a/odd.png": content, "b/odd.gif": content})
        yield f"a zip of nothing but {name}", ".zip", zipped({"a/odd.png": content, "b/odd.png": content})
    for name in (
        "../../evil.png",
        "/etc/evil.png",
        "C:\\evil.png",
        "a/../../evil.png",
        "a//b.png",
        "a/" * 3000 + "b.png",
        "\\\\host\\x.png",
        ".png",
    ):
        yield f"a zip with {name[:20]!r}", ".zip", zipped({**good, name: encoded(picture())})
    for name in NAMES:
        yield (
            f"a zip with a class {name[:20]!r}",
            ".zip",
            zipped({**good, f"{name.replace('/', '_')}/1.png": encoded(picture())}),
        )
    yield "a zip bomb", ".zip", zipped({**good, "a/bomb.png": bytes(300 * 1024**2)}, zipfile.ZIP_DEFLATED)
    yield "a zip in a zip", ".zip", zipped({"inner.zip": zipped(good)})
    yield "many files", ".zip", zipped({f"a/{number}.txt": b"" for number in range(20_000)})
    yield "many classes", ".zip", zipped({f"{number}/1.png": b"" for number in range(3_000)})
    link = zipfile.ZipInfo("a/link.png")
    link.external_attr = 0o120777 << 16
    buffer = io.BytesIO(zipped(good))
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    yield "a link in a zip", ".zip", buffer.getvalue()
    plain = bytearray(zipped(good))
    for place, value in (
        (8, b"\x63"),
        (10, b"\x63\x63"),
        (20, b"\xff" * 8),
        (42, b"\xff\xff\xff\xff"),
        (42, b"\0\0\0\0"),
    ):
        changed = bytearray(plain)
        start = changed.rfind(b"PK\x01\x02") + place
        changed[start : start + len(value)] = value
        yield f"an entry with {value!r} at {place}", ".zip", bytes(changed)
    yield "no zip", ".zip", b"PK\x03\x04" + bytes(100)


def _arrays(sentinel: Path) -> Iterator[tuple[str, str, bytes]]:
    good = {"images": np.zeros((6, 8, 8), np.uint8), "labels": np.arange(6) % 2}

    def saved(**arrays: Any) -> bytes:
        buffer = io.BytesIO()
        np.savez(buffer, **{**good, **arrays})
        return buffer.getvalue()

    for name, call in calls(sentinel).items():
        if name != "getattr":
            value = np.empty(1, object)
            value[0] = call
            yield f"{name} in an npz", ".npz", saved(labels=value)
            yield (
                f"{name} in place of an array",
                ".npz",
                zipped({"images.npy": pickle.dumps(call), "labels.npy": pickle.dumps(call)}),
            )
    for name, array in (
        ("images", np.zeros((6, 8, 8), np.complex64)),
        ("images", np.full((6, 8, 8), np.nan)),
        ("images", np.zeros(0)),
        ("images", np.zeros((6, 0, 8))),
        ("images", np.zeros((6, 8, 8), "M8[s]")),
        ("images", np.zeros((6, 8, 8), "V8")),
        ("images", np.full((6, 8, 8), "x")),
        ("images", np.array(3)),
        ("images", np.full((6, 8, 8), np.inf)),
        ("images", np.zeros((6, 8, 8, 3, 1))),
        ("labels", np.full(6, 2**62)),
        ("labels", np.full(6, -1)),
        ("labels", np.full(6, np.nan)),
        ("labels", np.zeros((6, 2))),
        ("labels", np.array(0)),
        ("labels", np.zeros(5, int)),
        ("labels", np.array(["\ud800".encode("utf-8", "surrogatepass")] * 6)),
        ("labels", np.array([*NAMES[:6]])),
        ("classes", np.array([*NAMES[:2]])),
        ("classes", np.array(3)),
        ("classes", np.array([["a", "b"]])),
        ("classes", np.zeros(0)),
        ("classes", np.full(100_000, "x")),
        ("labels", np.full(6, 1e300)),
        ("labels", np.full(6, np.inf)),
        ("labels", np.array([True, False] * 3)),
        ("labels", np.arange(6) * 99_999 % 100_000),
        ("labels", np.array([np.timedelta64(1)] * 6)),
    ):
        yield f"{name} {array.dtype} {array.shape}", ".npz", saved(**{name: array})
    for header in (
        "{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999, 99999999), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (-6, 8, 8), }",
        "{'descr': '|O', 'fortran_order': False, 'shape': (6,), }",
        "{'descr': [('a', '|u1', (99999, 99999))], 'fortran_order': False, 'shape': (6,), }",
        "__import__('os').system('true')",
        "(" * 5000,
        "{" * 50_000,
        "{'descr': '" + "x" * 5000 + "'}",
        "9" * 9000,
        "",
    ):
        text = header.encode()
        array = b"\x93NUMPY\x01\x00" + struct.pack("<H", min(len(text), 65535)) + text[:65535] + bytes(100)
        yield f"an array with {header[:30]!r}", ".npz", zipped({"images.npy": array, "labels.npy": array})
    yield (
        "an array bomb",
        ".npz",
        zipped({"images.npy": bytes(200 * 1024**2), "labels.npy": b""}, zipfile.ZIP_DEFLATED),
    )
    yield "no arrays", ".npz", zipped({"images.npy": b"", "labels.npy": b""})


def _folders(folder: Path) -> Iterator[Case]:
    def filled(name: str) -> Path:
        root = folder / name
        for file, data in images().items():
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            (root / file).write_bytes(data)
        return root

    for number, (name, content) in enumerate(odd_images().items()):
        root = filled(f"image-{number}")
        (root / "a" / "odd.png").write_bytes(content)
        yield Case(f"a folder with {name}", "dataset", root)
    root = filled("odd")
    os.mkfifo(root / "a" / "pipe.png")
    for name, target in (
        ("zero", "/dev/zero"),
        ("loop", "loop.png"),
        ("out", "/etc/passwd"),
        ("up", "../../.."),
        ("gone", "nowhere"),
    ):
        (root / "a" / f"{name}.png").symlink_to(target)
    (root / "c").symlink_to("..")
    with (root / "b" / "sparse.png").open("wb") as file:
        file.truncate(300 * 1024**2)
    yield Case("a folder of pipes, devices and links", "dataset", root)
    root = filled("deep")
    deep = root / "a" / "/".join(["d"] * 500)
    deep.mkdir(parents=True)
    (deep / "1.png").write_bytes(encoded(picture()))
    yield Case("a deep folder", "dataset", root)
    root = filled("names")
    for name in (*NAMES, "\udcff\udcfe"):
        if "/" not in name and len(name.encode("utf-8", "surrogateescape")) < 200:
            (root / name).mkdir()
            (root / name / "1.png").write_bytes(encoded(picture()))
    yield Case("hostile folder names", "dataset", root)
    for name in (
        "",
        "/dev/zero",
        "/dev/null",
        "/proc/self/mem",
        "a\0b",
        "x" * 5000,
        "~" * 300,
        "/etc/passwd",
        "\ud800",
    ):
        yield Case(f"a path {name[:20]!r}", "dataset", name)
