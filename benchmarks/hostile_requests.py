"""Requests that mean harm or are broken, in hundreds of forms: a server has to refuse each and go on."""

import argparse
import base64
import http.client
import io
import json
import socket
import struct
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import torch
from PIL import Image

from benchmarks.report import Report, verdict
from benchmarks.server_memory import Memory
from reswork.datasets import digits
from reswork.models.network import resnet
from reswork.shipping.export import export
from reswork.shipping.server_settings import Limits
from reswork.shipping.serving import Server, serve

ROUNDS = 1
REQUESTS = 300
_TEXT, _PNG = "application/json", "image/png"
_LIMITS = Limits(most_bytes=200_000, most_images=4, most_pixels=10_000, most_waiting=64, timeout_s=10)


@dataclass(frozen=True)
class Harm:
    """One request.

    Attributes:
        kind: what it tries.
        body: of it.
        headers: of it.
        path: with its query.
        method: of HTTP.
    """

    kind: str
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    path: str = "/predict"
    method: str = "POST"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--requests", type=int, default=REQUESTS, help=f"in all ({REQUESTS})")


def measure(options: argparse.Namespace) -> Report:
    torch.manual_seed(0)
    data = digits().subset(200, 100)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        made = export(resnet(depth=8, width=4, in_channels=1), Path(folder) / "one", data=data)
        good = (made.folder / "examples" / "00.png").read_bytes()
        with serve(made, limits=_LIMITS, token="secret") as server:
            server.ask(good)
            memory, expected = Memory(server), server.ask(good)
            harms = [each for each, _ in zip(harmful(good), range(options.requests), strict=False)]
            with ThreadPoolExecutor(4) as pool:
                found = list(pool.map(lambda harm: _sent(server, harm), harms))
            slow = _slow_senders(server)
            kinds = {harm.kind for harm in harms}
            for kind in sorted(kinds):
                statuses = Counter(
                    status for harm, status in zip(harms, found, strict=True) if harm.kind == kind
                )
                told = ", ".join(
                    f"{status or 'cut off'}: {count}" for status, count in sorted(statuses.items())
                )
                rows.append((kind, str(sum(statuses.values())), told))
            rows.append(("slow senders, who never finish", str(len(slow)), _told_slow(slow)))
            numbers = server.metrics()
            same = server.ask(good) == expected
            alive = server.process is not None and server.process.poll() is None
            restarts, failures = numbers["reswork_engine_restarts_total"], numbers["reswork_errors_total"]
            accepted = sum(status == 200 for status in found)
            grown = memory.grown()
            waiting = numbers["reswork_queue"]
    bad = sum(status >= 500 and status != 504 for status in found) + accepted
    notes = [
        f"{len(found) + len(slow)} requests in {len(kinds) + 1} kinds, four at a time: {bad} answered with 200 or a "
        f"failure of the server ({verdict(bad, most=0)}); {failures:.0f} failures in its own count, {restarts:.0f} "
        f"engines died, {waiting:.0f} images still wait; it {'lives' if alive else 'IS DEAD'} and gives "
        f"{'the same answer' if same else 'ANOTHER ANSWER'} as before. Memory of its processes: {grown}.",
        "Cut off: the server closed the connection, as HTTP lets it where a request is none.",
    ]
    return Report(
        "Hostile requests", ("kind", "requests", "answered with"), rows, notes, ["fastapi", "uvicorn"]
    )


def harmful(good: bytes) -> Iterator[Harm]:
    """Kind after kind, then each once more with other numbers, without an end."""
    draw = _Draw()
    while True:
        yield from _of_each_kind(good, draw)


class _Draw:
    """Chance, the same in every round."""

    def __init__(self) -> None:
        self._generator = np.random.default_rng(0)

    def size(self, low: int, high: int) -> int:
        return int(self._generator.integers(low, high))

    def bytes(self, low: int, high: int) -> bytes:
        return self._generator.bytes(self.size(low, high))

    def one(self, *choices: Any) -> Any:
        return choices[self.size(0, len(choices))]


def _json(values: object, kind: str) -> Harm:
    return Harm(kind, json.dumps(values).encode(), {"Content-Type": _TEXT})


def _image(body: bytes, kind: str, type_: str = _PNG) -> Harm:
    return Harm(kind, body, {"Content-Type": type_})


def _png(height: int, width: int) -> bytes:
    """A picture that says it has so many pixels and has almost no bytes: a bomb."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = zlib.compress(b"\0" * min(height * (width + 1), 1_000_000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def _saved(form: str, size: tuple[int, int]) -> bytes:
    out = io.BytesIO()
    Image.new("L", size).save(out, form)
    return out.getvalue()


def _flipped(good: bytes, draw: _Draw) -> bytes:
    """The good picture with its head damaged, so that it is none any more."""
    found = bytearray(good)
    for place in range(draw.size(0, 6), 24, 6):
        found[place] ^= draw.size(1, 256)
    return bytes(found)


def _form(boundary: str, *parts: bytes) -> bytes:
    lines = [f"--{boundary}\r\n".encode() + part for part in parts]
    return b"".join([*lines, f"--{boundary}--\r\n".encode()])


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


_NAMES = (
    "../../etc/passwd", "/etc/shadow", "..\\..\\windows\\win.ini", "file:///etc/passwd", "http://169.254.169.254/latest",
    "|id", "$(id)", "%00", "con", "a" * 5000,
)  # fmt: skip
_FORM = {"Content-Type": "multipart/form-data; boundary=x"}
_JSON = {"Content-Type": _TEXT}


def _of_each_kind(good: bytes, draw: _Draw) -> Iterator[Harm]:
    yield _image(_png(draw.size(101, 60_000), draw.size(101, 60_000)), "bomb of pixels")
    yield _image(_saved("GIF", (draw.size(101, 400), 200)), "bomb as GIF", "image/gif")
    yield _image(_saved("TIFF", (draw.size(101, 400), 110)), "bomb as TIFF", "image/tiff")
    yield _image(bytes(draw.size(200_001, 900_000)), "too long")
    yield _image(good[: draw.size(0, 40)], "cut short")
    yield _image(_flipped(good, draw), "damaged head")
    yield _image(draw.bytes(1, 5000), "noise")
    yield _image(
        draw.one(b"%PDF-1.4", b"PK\3\4", b"\x7fELF", b"GIF89a", b"RIFF0000WEBP", b"<svg/>"), "other files"
    )
    yield _image(good, "wrong type", draw.one("text/html", "", "application/xml", "image", "a" * 5000))
    yield Harm("deep JSON", b"[" * draw.size(1000, 190_000), _JSON)
    yield Harm("no JSON", draw.one(b"{", b"\xff\xfe", b"NaN", b"'", b'{"images":'), _JSON)
    yield Harm("huge numbers in JSON", b'{"images": [1' + b"0" * draw.size(5000, 100_000) + b"]}", _JSON)
    yield _json({"images": draw.one(1, {}, None, [1], [[]], True, "x")}, "JSON of another form")
    yield _json(draw.one(None, 1, [], {}, [good.hex()]), "JSON without images")
    yield _json({"images": [draw.one(*_NAMES)]}, "names of files as pictures")
    yield _json({"images": ["A" * draw.size(1, 50)] * 2}, "base64 of nothing")
    yield _json({"images": [_base64(good)] * draw.size(5, 300)}, "too many pictures")
    yield _json({"images": [_base64(good), _base64(draw.bytes(10, 50))]}, "one bad among good")
    yield Harm("broken form", b"--x\r\n" + draw.bytes(1, 500), _FORM)
    yield Harm("form without a boundary", b"--x", {"Content-Type": "multipart/form-data"})
    named = f'Content-Disposition: form-data; name="files"; filename="{draw.one(*_NAMES)}"\r\n\r\nno\r\n'
    yield Harm("form with names of paths", _form("x", named.encode()), _FORM)
    field = b'Content-Disposition: form-data; name="a"\r\n\r\n1\r\n'
    yield Harm("form of many fields", _form("x", *[field] * draw.size(9, 900)), _FORM)
    token = {"Content-Type": _PNG, "Authorization": f"Bearer {'x' * draw.size(0, 4000)}"}
    yield Harm("wrong token", good, token)
    asked = draw.one("top=0", "top=-1", "top=x", "explain=999", "explain=-3", "top=1e9", "top=%00")
    yield Harm("settings that cannot be", good, {"Content-Type": _PNG}, f"/predict?{asked}")
    place = draw.one(
        "/../../etc/passwd", "/%2e%2e/etc/passwd", "/predict/../../x", "/" + "a" * 9000, "//", "/.git/x"
    )
    yield Harm("other addresses", b"", {}, place, draw.one("GET", "PUT", "DELETE"))
    yield Harm("other methods", good, {}, "/predict", draw.one("GET", "PUT", "DELETE", "TRACE"))
    lie = draw.one(str(draw.size(10**6, 10**15)), "-1", "x", "1e3")
    yield Harm("length that lies", b"", {"Content-Type": _PNG, "Content-Length": lie})
    many = {f"x-{k}": "y" * 400 for k in range(draw.size(100, 300))}
    yield Harm("too many headers", good, {"Content-Type": "text/plain", **many})


def _sent(server: Server, harm: Harm) -> int:
    """Status of the answer; 0 where the connection was closed without one."""
    headers = {"Authorization": "Bearer secret", **harm.headers}
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=60)
    try:
        connection.putrequest(harm.method, harm.path, skip_accept_encoding=True)
        for name, value in {"Content-Length": str(len(harm.body)), **headers}.items():
            connection.putheader(name, value)
        connection.endheaders()
        with suppress(OSError):  # refused before all was read: the answer may be there all the same
            connection.send(harm.body)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def _slow_senders(server: Server, count: int = 12) -> list[float]:
    """Seconds until the server gives up each of some connections that send a byte now and then."""
    place = urlsplit(server.url)
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret\r\n"
    head += b"Content-Type: image/png\r\nContent-Length: 999\r\n\r\n"

    def one(_index: int) -> float:
        begin = time.perf_counter()
        with socket.create_connection((place.hostname, place.port), 60) as connection:
            connection.sendall(head)
            connection.settimeout(0.5)
            while time.perf_counter() - begin < 60:
                try:
                    connection.sendall(b"x")
                    if connection.recv(100):
                        break
                except TimeoutError:
                    continue
                except OSError:
                    break
        return time.perf_counter() - begin

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def _told_slow(seconds: list[float]) -> str:
    return f"given up after {min(seconds):.0f} to {max(seconds):.0f} s, wanted {_LIMITS.timeout_s:g}"
