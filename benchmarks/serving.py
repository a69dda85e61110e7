"""A server under load: clients that each ask again as soon as they have an answer, and a version swapped amid it."""

import argparse
import http.client
import json
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import psutil
import torch

from benchmarks.report import Report, verdict
from benchmarks.server_memory import Memory
from benchmarks.turns import percentile
from reswork.datasets import fashion
from reswork.models.network import resnet
from reswork.shipping.artefact import Artefact
from reswork.shipping.check import picture_name
from reswork.shipping.export import export
from reswork.shipping.serving import Server, serve

ROUNDS = 1
CLIENTS, REQUESTS = 16, 2_000


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--requests", type=int, default=REQUESTS, help=f"of all clients ({REQUESTS:,})")
    parser.add_argument("--clients", type=int, default=CLIENTS, help=f"at once ({CLIENTS})")


def measure(options: argparse.Namespace) -> Report:
    torch.manual_seed(0)
    data, network = fashion(), resnet(depth=20, in_channels=1)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        one = export(network, Path(folder) / "one", data=data)
        other = export(resnet(depth=8, in_channels=1), Path(folder) / "other", data=data)
        pictures = [
            (one.folder / picture_name(index)).read_bytes() for index in range(len(one.examples.pixels))
        ]
        logits = one.examples.outputs.astype(np.float64)
        chances = np.exp(logits - logits.max(1, keepdims=True))
        chances /= chances.sum(1, keepdims=True)
        for name, disturb in (
            ("one version", lambda _server: time.sleep(0.5)),
            ("versions swapped all the time", lambda server: _swap(server, one, other)),
            ("engine killed all the time", _kill),
        ):
            with serve(one) as server:
                _asked(server, pictures, 10 * options.clients, options.clients)  # warm
                memory, begin, disturbed = Memory(server), time.perf_counter(), 0
                with ThreadPoolExecutor(1) as pool:
                    later = pool.submit(_asked, server, pictures, options.requests, options.clients)
                    while not later.done():
                        disturb(server)
                        memory.look()
                        disturbed += 1
                    found = later.result()
                seconds, grown = time.perf_counter() - begin, memory.grown()
                name += f" ({disturbed} times)" if disturb is _kill or "swapped" in name else ""
                good = [each for each in found if each[1] == 200]
                known = [each for each in good if each[3] == one.version]
                wrong = sum(np.abs(each[4] - chances[each[2]]).max() > 1e-5 for each in known)
                times = [1e3 * each[0] for each in found]
                rows.append(
                    (
                        name,
                        f"{len(found) - len(good)} of {len(found):,}",
                        verdict(len(found) - len(good), most=0),
                        f"{wrong} of {len(known):,}",
                        verdict(int(wrong), most=0),
                        f"{percentile(times, 0.5):.1f}, {percentile(times, 0.99):.1f}",
                        f"{len(found) / seconds:,.0f}",
                        grown,
                    )
                )
    return Report(
        "A server under load",
        ("", "lost", "target", "wrong", "target", "ms, p50 and p99", "answers a second", "memory"),
        rows,
        [
            f"ResNet-20 on 28x28 in onnxruntime, {options.clients} clients, one picture (PNG) in a request, from this "
            "machine, which also computes the answers. Wrong: other than the network's own probabilities by more than "
            "1e-5; answers of the other version are not looked at. Memory: of the process that listens and of the "
            "engine's; a new version and an engine that died are new processes."
        ],
        ["fastapi", "uvicorn", "onnxruntime"],
    )


def _swap(server: Server, one: Artefact, other: Artefact) -> None:
    server.reload(other if server.version == one.version else one)


def _kill(server: Server) -> None:
    """End the engine in the middle of what it does, and wait until there is another one."""
    assert server.process is not None
    front = psutil.Process(server.process.pid)
    for each in front.children():
        each.kill()
        each.wait()
    while not front.children():
        time.sleep(0.02)
    time.sleep(0.3)


def _asked(
    server: Server, pictures: list[bytes], count: int, clients: int
) -> list[tuple[float, int, int, str, np.ndarray]]:
    """Seconds, status, number of the picture, version and probabilities of each request."""

    def client(first: int) -> list[tuple[float, int, int, str, np.ndarray]]:
        connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=120)
        found = []
        for index in range(first, count, clients):
            picture, begin = index % len(pictures), time.perf_counter()
            connection.request("POST", "/predict", pictures[picture], {"Content-Type": "image/png"})
            reply = connection.getresponse()
            values = json.loads(reply.read())
            seconds = time.perf_counter() - begin
            if reply.status == 200:
                said = np.array(values["answers"][0]["probabilities"])
                found.append((seconds, 200, picture, str(values["version"]), said))
            else:
                found.append((seconds, reply.status, picture, "", np.zeros(0)))
        connection.close()
        return found

    with ThreadPoolExecutor(clients) as pool:
        return [each for part in pool.map(client, range(clients)) for each in part]
