"""`latency`: how long a model takes to answer, each engine in a process of its own, in turns."""

import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from reswork.errors import InvalidSetting
from reswork.models.anatomy import residual_blocks
from reswork.probes.layer_costs import layer_table
from reswork.results.latency import CallTimes, EngineCost, Latency, Load
from reswork.results.layer_costs import LayerCost, LayerTable
from reswork.shipping.artefact import Artefact, open_artefact
from reswork.shipping.engines import FILES, Format, require
from reswork.shipping.formats import OPSET, write_model
from reswork.shipping.subject import network_of
from reswork.store.saved_run import SavedRun
from reswork.training.live_run import LiveRun

EngineName = Literal["torch", "onnxruntime"]
_FORMATS: dict[EngineName, Format] = {"torch": "torch", "onnxruntime": "onnx"}
_ROUNDS = 5  # turns that each engine has at each size of batch
_LEAST = 4  # calls in a turn
_WARM_S = 0.2
_PAUSE_S = 0.03  # until the threads of the engine before have gone to sleep


def latency(
    model: Any,
    input_shape: Sequence[int] | None = None,
    batch_sizes: Sequence[int] = (1, 8, 32),
    *,
    engines: Sequence[EngineName] | None = None,
    threads: int | None = None,
    seconds: float = 2.0,
    deadline_ms: float | None = None,
    rate: float | None = None,
) -> Latency:
    """How long one or several models take to answer on this processor.

    Each engine runs in a process of its own, warmed up, with the same number of threads, and they take turns, so that
    a machine that is slower for a while is so for all of them. Read p50 for what is usual and p99 for what a user
    notices; their intervals say whether the difference of two is one.

    Args:
        model: a network, a run or an opened checkpoint, which each engine gets as an exported file; an exported folder
            or what `reswork.export` returned, which its own engine runs; or a dict of these by name.
        input_shape: (C, H, W) of an image; None: as the run or the artefact has it.
        batch_sizes: images in a call.
        engines: ``"torch"`` (the program of ``torch.export``), ``"onnxruntime"``; None: those that are installed.
        threads: for one call; None: as many as torch takes here.
        seconds: of calls, for each engine and size of batch.
        deadline_ms: milliseconds after which an answer is late: the share of those is told.
        rate: requests in a second that come by chance, one image each, after all turns: waiting counts. None: none.

    Returns:
        The times; print it for a table, draw it with ``rw.figures.latency`` and ``rw.figures.latency_tail``.

    Raises:
        InvalidSetting: no shape, an engine that is not installed, a network that cannot be exported or cannot take the
            shape, in one sentence.
    """
    named = _named(model)
    _check(batch_sizes, threads, seconds, deadline_ms, rate)
    chosen = _chosen(engines)
    shape = _shape(named.values(), input_shape)
    threads = threads or torch.get_num_threads()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="reswork-latency-")))
        networks = {name: network_of(each) for name, each in named.items() if not isinstance(each, Artefact)}
        files: dict[str, Path] = {}
        for name, each in named.items():
            if isinstance(each, Artefact):
                each.check_model()
                files[name or each.open(threads).name] = each.path
                continue
            for engine in chosen:
                label = f"{name} in {engine}" if name else engine
                files[label] = folder / f"{len(files)}-{FILES[_FORMATS[engine]]}"
                _write(networks[name], shape, files[label], _FORMATS[engine])
        workers = {
            label: stack.enter_context(_worker(path, threads, shape, batch_sizes[0]))
            for label, path in files.items()
        }
        times = _in_turns(workers, batch_sizes, seconds)
        loads = []
        for label, worker in workers.items() if rate else ():
            time.sleep(_PAUSE_S)
            found = worker.ask(batch=1, rate=rate, seconds=max(seconds, 20 / (rate or 1)))
            loads.append(Load(label, 1, found, float(rate or 0)))
        costs = tuple(worker.cost(label) for label, worker in workers.items())
    blocks = _by_block(next(iter(networks.values())), shape) if networks else None
    return Latency(
        times,
        costs,
        tuple(loads),
        shape,
        _machine(),
        None if deadline_ms is None else deadline_ms / 1e3,
        blocks,
    )


class _Worker:
    """One process with one engine."""

    def __init__(self, path: Path, threads: int, shape: tuple[int, ...], batch: int) -> None:
        self._path, self._memory = path, 0
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115, closed in `end`; a pipe nobody reads would stop it
        words = [str(path), str(threads), ",".join(map(str, shape)), str(batch)]
        begin = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "reswork.shipping.timing_worker", *words], env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said,
        )  # fmt: skip
        try:
            self._known = self._answer()
        except BaseException:
            self.end()
            raise
        self._cold_start_s = time.perf_counter() - begin

    def ask(self, **asked: Any) -> Any:
        """Seconds of each call, float64, (N,)."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        found = self._answer()
        self._memory = int(found["memory_bytes"])
        return np.array(found["seconds"], np.float64)

    def cost(self, label: str) -> EngineCost:
        """What is known beside the calls."""
        known = self._known
        return EngineCost(
            label, str(known["engine"]), int(known["threads"]), self._path.stat().st_size, self._cold_start_s,
            float(known["import_s"]), float(known["load_s"]), float(known["first_s"]), self._memory,
        )  # fmt: skip

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            status = self.process.wait()
            self._said.seek(0)
            said = [each.strip() for each in self._said if each.strip()]
            reason = said[-1][:300] if said else f"exit status {status}"
            raise InvalidSetting("input_shape", f"{self._path.name} could not be run here: {reason}")
        found: dict[str, Any] = json.loads(line)
        return found

    def end(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.communicate()
        self._said.close()


@contextmanager
def _worker(path: Path, threads: int, shape: tuple[int, ...], batch: int) -> Iterator[_Worker]:
    worker = _Worker(path, threads, shape, batch)
    try:
        yield worker
    finally:
        worker.end()


def _in_turns(
    workers: Mapping[str, _Worker], batch_sizes: Sequence[int], seconds: float
) -> tuple[CallTimes, ...]:
    parts: dict[tuple[str, int], list[Any]] = {}
    for turn in range(_ROUNDS + 1):
        for size in batch_sizes:
            for label, worker in workers.items():
                time.sleep(_PAUSE_S)
                warm = turn == 0
                found = worker.ask(
                    batch=size, seconds=min(_WARM_S, seconds) if warm else seconds / _ROUNDS, least=_LEAST
                )
                if not warm:
                    parts.setdefault((label, size), []).append(found)
    return tuple(CallTimes(label, size, np.concatenate(each)) for (label, size), each in parts.items())


def _by_block(network: nn.Module, shape: tuple[int, ...]) -> LayerTable:
    """Time of one image by residual block; what lies outside of blocks by layer."""
    table = layer_table(network, torch.randn(1, *shape))
    names = [each.name for each in residual_blocks(network)]
    rows: dict[str, LayerCost] = {}
    for row in table.layers:
        block = next((name for name in names if row.name == name or row.name.startswith(f"{name}.")), None)
        known = rows.get(block) if block is not None else None
        if block is None or known is None:
            rows[block or row.name] = row if block is None else replace(row, name=block, kind="block", uses=1)
        else:
            rows[block] = replace(
                known,
                output_shape=row.output_shape,
                parameters=known.parameters + row.parameters,
                macs=known.macs + row.macs,
                activation_bytes=known.activation_bytes + row.activation_bytes,
                output_bytes=row.output_bytes,
                seconds=known.seconds + row.seconds,
            )
    return replace(table, layers=tuple(rows.values()))


def _machine() -> str:
    """The processor's name, as far as the system tells it, and its cores."""
    name = platform.processor() or platform.machine()
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    return f"{name}, {os.cpu_count()} cores, {platform.system()}"


def _write(network: nn.Module, shape: tuple[int, ...], path: Path, format: Format) -> None:
    images: Tensor = torch.randn(2, *shape)
    try:
        with torch.no_grad():
            network(images)
    except (RuntimeError, TypeError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise InvalidSetting(
            "input_shape", f"the network cannot take images of shape {shape}: {reason}; give (C, H, W)"
        ) from error
    write_model(network, images, path, format, OPSET)


def _named(model: Any) -> dict[str, Any]:
    given = dict(model) if isinstance(model, Mapping) else {"": model}
    if not given:
        raise InvalidSetting("model", "no model was given; give one, or a dict of them by name")
    return {
        str(name): open_artefact(each) if isinstance(each, str | Path) else each
        for name, each in given.items()
    }


def _shape(models: Any, given: Sequence[int] | None) -> tuple[int, ...]:
    found: set[tuple[int, ...]] = set() if given is None else {tuple(given)}
    for each in models if given is None else ():
        if isinstance(each, Artefact):
            found.add(each.decoder.shape)
        elif isinstance(each, SavedRun):
            found.add(tuple(each.input_shape))
        elif isinstance(each, LiveRun):
            found.add(each.data.input_shape)
    if len(found) != 1:
        what = "is not known" if not found else f"differs: {', '.join(map(str, sorted(found)))}"
        raise InvalidSetting("input_shape", f"the shape of an image {what}; give input_shape=(C, H, W)")
    (shape,) = found
    if len(shape) != 3 or any(isinstance(n, bool) or not isinstance(n, int) or n < 1 for n in shape):
        raise InvalidSetting("input_shape", f"input_shape={shape} is none of an image; give (C, H, W)")
    return shape


def _chosen(engines: Sequence[EngineName] | None) -> tuple[EngineName, ...]:
    if engines is None:
        exporters = ("onnx", "onnxscript", "onnxruntime")
        return ("torch", "onnxruntime") if all(find_spec(each) for each in exporters) else ("torch",)
    for each in engines:
        if each not in _FORMATS:
            raise InvalidSetting("engines", f"{each!r} is no engine; choose {', '.join(map(repr, _FORMATS))}")
        if each == "onnxruntime":
            require("engines", "onnx", "onnxscript", "onnxruntime")
    if not engines:
        raise InvalidSetting("engines", "no engine was given; choose 'torch', 'onnxruntime' or both")
    return tuple(dict.fromkeys(engines))


def _check(
    batch_sizes: Sequence[int],
    threads: int | None,
    seconds: float,
    deadline_ms: float | None,
    rate: float | None,
) -> None:
    for size in batch_sizes:
        if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= 4096:
            raise InvalidSetting(
                "batch_sizes", f"batch_sizes={tuple(batch_sizes)}: give whole numbers, 1 to 4096"
            )
    if not batch_sizes:
        raise InvalidSetting("batch_sizes", "batch_sizes is empty; give one size at least, such as (1,)")
    if threads is not None and (isinstance(threads, bool) or not isinstance(threads, int) or threads < 1):
        raise InvalidSetting("threads", f"threads={threads!r}: give a whole number from 1, or None")
    for name, value, most in (
        ("seconds", seconds, 600),
        ("deadline_ms", deadline_ms, math.inf),
        ("rate", rate, 1e6),
    ):
        if value is not None and not 0 < value <= most:
            raise InvalidSetting(
                name, f"{name}={value!r}: give a number above 0" + f", {most:g} at most" * (most < 1e9)
            )
