"""`Service`: the HTTP application that answers with one artefact, and takes another in its place while it runs."""

import asyncio
import base64
import hmac
import logging
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fastapi import FastAPI, Query, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.requests import ClientDisconnect

from reswork.datasets.decoding import Unreadable, reason_of
from reswork.errors import InvalidSetting
from reswork.models.tiles import tile_steps
from reswork.results.answers import ClassAnswers
from reswork.shipping.answering import MOST_GRID, covered, drops, pictured, said, tile_bytes
from reswork.shipping.artefact import Artefact, open_artefact
from reswork.shipping.batcher import Batcher
from reswork.shipping.check import check_artefact
from reswork.shipping.drift import Drift, traits
from reswork.shipping.engine_process import EngineDied, EngineProcess
from reswork.shipping.engines import Engine
from reswork.shipping.requests import Refused, check_picture, pictures_of
from reswork.shipping.server_settings import Limits
from reswork.tasks import Task, task_of_kind

_LOG = logging.getLogger("reswork.serve")
_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
_FILE = {"type": "string", "format": "binary"}
_ANSWERED = {"image/png": {"schema": _FILE}}  # beside JSON
_TEXTS = {"type": "array", "items": {"type": "string", "format": "byte"}}
_FORMS = {
    "image/*": {"schema": _FILE},
    "multipart/form-data": {"schema": {"properties": {"files": {"type": "array", "items": _FILE}}}},
    "application/json": {"schema": {"required": ["images"], "properties": {"images": _TEXTS}}},
}


@dataclass(eq=False)
class _Served:
    """An artefact with its engine, checked and warm.

    Attributes:
        users: requests that it is answering.
    """

    artefact: Artefact
    process: EngineProcess
    engine: Engine
    task: Task
    drift: Drift
    users: int = 0

    @classmethod
    def checked(cls, folder: Path, threads: int | None, restarted: Callable[[], None]) -> "_Served":
        """Open a folder.

        Raises:
            InvalidSetting: it is no longer what was exported, or answers otherwise.
        """
        artefact, begun = open_artefact(folder), list[EngineProcess]()
        artefact.check_answered()

        def opens(path: Path, threads: int | None) -> Engine:
            begun.append(EngineProcess(path, threads, restarted))
            return begun[-1].engine

        try:
            found = check_artefact(artefact, threads=threads, opens=opens)
            if not found.holds:
                raise InvalidSetting(
                    "folder",
                    f"{str(folder)!r} is not as it was exported and is not served: {'; '.join(found.sentences)}",
                )
            (process,) = begun
            process.engine(np.zeros((1, *artefact.decoder.shape), np.float32))
            task, drift = (
                task_of_kind(str(artefact.facts["task"])),
                Drift(artefact.facts.get("reference", {})),
            )
        except BaseException:
            for each in begun:
                each.close()
            raise
        return cls(artefact, process, process.engine, task, drift)


def _wants_png(request: Request) -> bool:
    return "image/png" in request.headers.get("accept", "")


def _reply(request: Request, found: dict[str, Any]) -> Response:
    """A picture's file where that is asked for, else JSON, in which files stand in base64."""
    answers = found["answers"]
    if "png" in answers[0] and _wants_png(request):
        return Response(answers[0]["png"], media_type="image/png")
    for each in answers:
        if "png" in each:
            each["png"] = base64.b64encode(each["png"]).decode()
    return JSONResponse(found)


def _error(artefact: Artefact) -> float:
    """Share of the test images that it answers wrong; NaN where that is not known."""
    right = artefact.facts["metrics"].get("top1")
    return float("nan") if right is None else 1 - float(right)


class _Metrics:
    """What ``/metrics`` tells; for one service."""

    def __init__(self, service: "Service") -> None:
        self.registry = CollectorRegistry()
        made: dict[str, Any] = {"registry": self.registry}
        begin = time.monotonic()
        self.seconds = Histogram(
            "reswork_request_seconds", "From a request to its answer", buckets=_BUCKETS, **made
        )
        self.requests = Counter(
            "reswork_requests", "Requests for answers, by status of HTTP", ["status"], **made
        )
        self.answers = Counter("reswork_answers", "Images answered", **made)
        self.errors = Counter("reswork_errors", "Failures of the server itself", **made)
        self.reloads = Counter("reswork_reloads", "Other versions that were asked for", ["result"], **made)
        self.batch = Histogram(
            "reswork_batch_images", "Images in a call", buckets=(1, 2, 4, 8, 16, 32, 64, 128), **made
        )
        self.sure = Histogram(
            "reswork_confidence",
            "Probability of the class that is named",
            buckets=[k / 10 for k in range(1, 11)],
            **made,
        )
        self.restarts = Counter("reswork_engine_restarts", "Engines that died and were started again", **made)
        drift = Gauge(
            "reswork_drift",
            "Population stability index of the latest 1,000 images against those it was trained and judged on",
            ["of"],
            **made,
        )
        chance = Gauge("reswork_drift_by_chance", "What it stays below in 95 of 100 cases", ["of"], **made)
        for name in ("brightness", "contrast", "confidence"):
            drift.labels(name).set_function(partial(service.drift, name))
            chance.labels(name).set_function(partial(service.drift, name, by_chance=True))
        errors = Gauge(
            "reswork_test_error", "Share of the test images that is answered wrong", ["version"], **made
        )
        errors.labels("now").set_function(lambda: service.errors[0])
        errors.labels("before").set_function(lambda: service.errors[1])
        Gauge("reswork_queue", "Images that wait or are being answered", **made).set_function(
            lambda: service.waiting
        )
        Gauge("reswork_uptime_seconds", "Since the start", **made).set_function(
            lambda: time.monotonic() - begin
        )
        Gauge("reswork_ready", "1: takes requests", **made).set_function(lambda: float(not service.stopping))


class Service:
    """Answers requests with the artefact of a folder.

    Args:
        folder: that was exported.
        limits: of a request.
        token: that a request must have; None: none.
        most_batch: images in a call of the engine.
        threads: of the engine; None: as many as torch takes.

    Raises:
        InvalidSetting: the folder does not hold what was exported.
    """

    def __init__(
        self, folder: Path, limits: Limits | None = None, *, token: str | None = None, most_batch: int = 32,
        threads: int | None = None,
    ) -> None:  # fmt: skip
        self.limits, self.waiting, self.stopping = limits or Limits(), 0, False
        self._token, self._threads = token, threads
        self._folder = folder
        self._metrics = _Metrics(self)
        self._served = _Served.checked(folder, threads, self._metrics.restarts.inc)
        self._before: Artefact | None = None
        self._reloading = asyncio.Lock()
        self._computing = ThreadPoolExecutor(1, thread_name_prefix="reswork-engine")
        self._decoding = ThreadPoolExecutor(2, thread_name_prefix="reswork-decode")
        self._loading = ThreadPoolExecutor(1, thread_name_prefix="reswork-load")
        self._batcher = Batcher(most_batch, self._computing, self._metrics.batch.observe)
        self.app = self._app()

    @property
    def version(self) -> str:
        """Of the artefact that answers now."""
        return self._served.artefact.version

    @property
    def errors(self) -> tuple[float, float]:
        """Shares of the test images that this version and the one before answer wrong; NaN where that is not known.

        The one before counts only where it was judged on the same images.
        """
        before, now = self._before, self._served.artefact
        same = before is not None and before.facts["data"]["hash"] == now.facts["data"]["hash"]
        return _error(now), _error(before) if before is not None and same else float("nan")

    def drift(self, name: str, *, by_chance: bool = False) -> float:
        """How far the latest images are from what is usual; NaN where that is not known."""
        found = self._served.drift
        return found.chance(name) if by_chance else found.index(name)

    async def reload(self, folder: Path | None = None) -> str:
        """Take another artefact once it is open, checked and warm; what came before is answered by the old one.

        Args:
            folder: None: the same, in which something else lies by now.

        Returns:
            The new version.

        Raises:
            InvalidSetting: its check fails; the old one goes on.
        """
        async with self._reloading:
            place = folder or self._folder
            try:
                served = await asyncio.get_running_loop().run_in_executor(
                    self._loading, _Served.checked, place, self._threads, self._metrics.restarts.inc
                )
            except InvalidSetting:
                self._metrics.reloads.labels("refused").inc()
                raise
            old, self._served, self._folder = self._served, served, place
            self._before = old.artefact
            self._metrics.reloads.labels("done").inc()
            self._let_go(old)
            return self.version

    async def _predict(self, request: Request, top: int, grid: int) -> dict[str, Any]:
        served = self._served
        served.users += 1
        try:
            pictures = await pictures_of(request, self.limits)
            count = len(pictures) + grid * grid
            if grid and (len(pictures) > 1 or served.artefact.facts["task"] != "classification"):
                raise Refused(400, "explain is for one picture and a model that names classes; leave it out")
            if served.artefact.form.is_picture and _wants_png(request) and len(pictures) > 1:
                raise Refused(
                    400,
                    f"image/png is one picture and {len(pictures)} came: send one, or accept application/json",
                )
            if self.waiting + count > self.limits.most_waiting:
                raise Refused(429, f"{self.waiting} images wait already; try again in a second")
            self.waiting += count
            try:
                return await self._answered(served, pictures, top, grid)
            finally:
                self.waiting -= count
        finally:
            served.users -= 1
            self._let_go(served)

    async def _answered(self, served: _Served, pictures: list[bytes], top: int, grid: int) -> dict[str, Any]:
        loop, classes = asyncio.get_running_loop(), served.artefact.classes
        read = [
            await loop.run_in_executor(self._decoding, self._read, served, data, index)
            for index, data in enumerate(pictures)
        ]
        if served.artefact.form.is_picture:
            answers = [await self._restored(served, each) for each in read]
            self._metrics.answers.inc(len(answers))
            return {"version": served.artefact.version, "answers": answers}
        pixels = np.stack(read)
        inputs = served.artefact.inputs(pixels)
        output = await self._batcher.answer(served.engine, inputs)
        answers, sure = said(classes, served.task, output, top, served.artefact.decoder.size)
        if grid:
            parts = await self._batcher.answer(served.engine, covered(inputs, grid))
            found = [served.task.answers(torch.from_numpy(each)) for each in (output, parts)]
            whole, hidden = (each.probabilities for each in found if isinstance(each, ClassAnswers))
            answers[0]["attribution"] = drops(classes, whole[0], hidden)
        self._metrics.answers.inc(len(answers))
        for each in sure:
            self._metrics.sure.observe(each)
        for name, values in (*traits(pixels).items(), ("confidence", np.array(sure))):
            served.drift.see(name, values)
        return {"version": served.artefact.version, "answers": answers}

    async def _restored(self, served: _Served, pixels: np.ndarray) -> dict[str, Any]:
        """One picture, tile by tile, between which others are answered."""
        steps = tile_steps(served.artefact.inputs(pixels[None]))
        part = next(steps)
        while True:
            output = await self._batcher.answer(served.engine, part)
            try:
                part = steps.send(tile_bytes(output))
            except StopIteration as end:
                whole = end.value
                return await asyncio.get_running_loop().run_in_executor(self._decoding, pictured, whole)

    def _let_go(self, served: _Served) -> None:
        """End the engine of a version that another one replaced, once it has answered what it began."""
        if served is not self._served and not served.users:
            self._loading.submit(served.process.close)

    def _read(self, served: _Served, data: bytes, index: int) -> np.ndarray:
        artefact = served.artefact
        check_picture(data, self.limits, index, artefact.scale)
        try:
            return artefact.decoder.pixels(data, whole=artefact.form.is_picture)
        except Unreadable as error:
            raise Refused(400, f"picture {index} cannot be read: {reason_of(error)}") from error

    def _let_in(self, request: Request) -> None:
        if self._token is not None:
            given = request.headers.get("authorization", "")
            if not hmac.compare_digest(given.encode(), f"Bearer {self._token}".encode()):
                raise Refused(
                    401,
                    "send the header 'Authorization: Bearer TOKEN' with the token that the server was given",
                )

    def _app(self) -> FastAPI:
        @asynccontextmanager
        async def life(_app: FastAPI) -> AsyncIterator[None]:
            task = asyncio.create_task(self._batcher.run())
            yield
            self.stopping = True
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            for each in (self._computing, self._decoding, self._loading):
                each.shutdown()
            self._served.process.close()

        facts = self._served.artefact.facts
        app = FastAPI(
            title=f"{facts['label']} on {facts['data']['name']}", lifespan=life, version=self.version
        )

        @app.exception_handler(Refused)
        async def refused(_request: Request, error: Refused) -> JSONResponse:
            again = {"Retry-After": "1"}
            headers = {429: again, 503: again, 401: {"WWW-Authenticate": "Bearer"}}.get(error.status)
            return JSONResponse({"error": error.sentence}, error.status, headers)

        @app.post(
            "/predict",
            openapi_extra={"requestBody": {"required": True, "content": _FORMS}},
            responses={200: {"content": _ANSWERED}},
        )
        async def predict(
            request: Request,
            top: int = Query(3, ge=1, le=1000),
            explain: int = Query(0, ge=0, le=MOST_GRID),
        ) -> Response:
            """What the model says about one or several pictures, and on request where it sees that.

            A model that gives pictures answers one with a PNG where the request accepts ``image/png``.
            """
            begin, status = time.perf_counter(), 500
            try:
                self._let_in(request)
                async with asyncio.timeout(self.limits.timeout_s):
                    found = await self._predict(request, top, explain)
                status = 200
                return _reply(request, found)
            except Refused as error:
                status = error.status
                raise
            except TimeoutError:
                status = 504
                raise Refused(504, f"no answer within {self.limits.timeout_s:g} s") from None
            except ClientDisconnect:
                status = 499  # nobody is there to read it
                raise Refused(400, "the request ended in the middle") from None
            except EngineDied:
                status = 503
                self._metrics.errors.inc()
                raise Refused(
                    503, "the engine died at this request, twice; the next ones are answered"
                ) from None
            except Exception:
                _LOG.exception("a request failed")
                self._metrics.errors.inc()
                raise Refused(500, "the server failed at this request; its log says why") from None
            finally:
                self._metrics.requests.labels(str(status)).inc()
                self._metrics.seconds.observe(time.perf_counter() - begin)

        @app.get("/health")
        async def health() -> dict[str, str]:
            """Whether the process lives."""
            return {"status": "alive"}

        @app.get("/ready")
        async def ready() -> JSONResponse:
            """Whether it takes requests, and with which version."""
            state = "stopping" if self.stopping else "ready"
            return JSONResponse({"status": state, "version": self.version}, 503 if self.stopping else 200)

        @app.get("/metrics")
        async def metrics(request: Request) -> PlainTextResponse:
            """Counts and times, as Prometheus reads them."""
            self._let_in(request)
            return PlainTextResponse(
                generate_latest(self._metrics.registry), media_type="text/plain; version=0.0.4"
            )

        return app
