"""The process in which one engine is timed: ``python -m reswork.shipping.timing_worker FILE THREADS SHAPE BATCH``.

A line of JSON on stdin asks, a line on stdout answers; the end of stdin ends it. It imports torch only where torch is
the engine, because two engines with threads in one process disturb each other.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from reswork.shipping.engines import Engine, load_package, open_engine


def main(arguments: list[str]) -> int:
    """Open the engine, answer once, then do what is asked."""
    path, threads = Path(arguments[0]), int(arguments[1])
    shape = tuple(map(int, arguments[2].split(",")))
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    begin = time.perf_counter()
    load_package(path)
    imported = time.perf_counter()
    engine = open_engine(path, threads)
    opened = time.perf_counter()
    generator = np.random.default_rng(0)
    engine(_images(generator, shape, int(arguments[3])))
    first = time.perf_counter()
    known: dict[str, Any] = {
        "engine": f"{engine.name} {engine.version}", "threads": engine.threads,
        "import_s": imported - begin, "load_s": opened - imported, "first_s": first - opened,
    }  # fmt: skip
    _say(out, known)
    for line in sys.stdin:
        asked = json.loads(line)
        inputs = _images(generator, shape, asked["batch"])
        seconds = list(
            _under_load(engine, inputs, asked["rate"], asked["seconds"], generator)
            if asked.get("rate")
            else _calls(engine, inputs, asked["seconds"], asked["least"])
        )
        _say(out, {"seconds": seconds, "memory_bytes": _most_memory()})
    return 0


def _images(generator: np.random.Generator, shape: tuple[int, ...], batch: int) -> np.ndarray:
    return generator.standard_normal((batch, *shape)).astype(np.float32)


def _calls(engine: Engine, inputs: np.ndarray, seconds: float, least: int) -> Iterator[float]:
    """Time calls one after the other for some seconds, and at least so many."""
    end, done = time.perf_counter() + seconds, 0
    while done < least or time.perf_counter() < end:
        begin = time.perf_counter()
        engine(inputs)
        yield time.perf_counter() - begin
        done += 1


def _under_load(
    engine: Engine, inputs: np.ndarray, rate: float, seconds: float, generator: np.random.Generator
) -> Iterator[float]:
    """Requests that come by chance (Poisson); what comes while another is answered waits, and the waiting counts."""
    count = max(1, round(rate * seconds))
    arrivals = time.perf_counter() + np.cumsum(generator.exponential(1 / rate, count))
    for arrival in arrivals:
        if (wait := arrival - time.perf_counter()) > 0:
            time.sleep(wait)
        engine(inputs)
        yield time.perf_counter() - arrival


def _most_memory() -> int:
    """Bytes that this process had in memory at most."""
    with suppress(OSError):  # on Linux the other number has what the process had before it became this one
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _say(out: Any, values: dict[str, Any]) -> None:
    out.write(json.dumps(values) + "\n")
    out.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
