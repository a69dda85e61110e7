"""`Service`: the HTTP application that answers with one artefact, and takes another in its place while it runs."""

import asyncio
import hmac
import logging
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fastapi import FastAPI, Query, Request
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.requests import ClientDisconnect

from reswork.datasets.decoding import Unreadable, reason_of
from reswork.errors import InvalidSetting
from reswork.results.answers import ClassAnswers, MaskAnswers
from reswork.shipping.artefact import Artefact, open_artefact
from reswork.shipping.batcher import Batcher
from reswork.shipping.check import check_artefact
from reswork.shipping.engines import Engine
from reswork.shipping.requests import Refused, check_picture, pictures_of
from reswork.shipping.server_settings import Limits
from reswork.tasks import Task, task_of_kind

_LOG = logging.getLogger("reswork.serve")
_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
_FILE = {"type": "string", "format": "binary"}
_TEXTS = {"type": "array", "items": {"type": "string", "format": "byte"}}
_FORMS = {
    "image/*": {"schema": _FILE},
    "multipart/form-data": {"schema": {"properties": {"files": {"type": "array", "items": _FILE}}}},
    "application/json": {"schema": {"required": ["images"], "properties": {"images": _TEXTS}}},
}


@dataclass(frozen=True, eq=False)
class _Served:
    """An artefact with its engine, checked and warm."""

    artefact: Artefact
    engine: Engine
    task: Task

    @classmethod
    def checked(cls, folder: Path, threads: int | None) -> "_Served":
        """Open a folder.

        Raises:
            InvalidSetting: it is no longer what was exported, or answers otherwise.
        """
        artefact = open_artefact(folder)
        found = check_artefact(artefact, threads=threads)
        if not found.holds:
            raise InvalidSetting(
                "folder",
                f"{str(folder)!r} is not as it was exported and is not served: {'; '.join(found.sentences)}",
            )
        engine = artefact.open(threads)
        engine(np.zeros((1, *artefact.decoder.shape), np.float32))
        return cls(artefact, engine, task_of_kind(str(artefact.facts["task"])))

    def inputs(self, data: bytes) -> np.ndarray:
        """(1, C, H, W) float32 of one picture's file."""
        return self.artefact.inputs(self.artefact.decoder.pixels(data)[None])

    def answers(self, output: np.ndarray, top: int) -> tuple[list[dict[str, Any]], list[float]]:
        """For each image what is said about it, and how sure that is."""
        classes, found = self.artefact.classes, self.task.answers(torch.from_numpy(output))
        if isinstance(found, ClassAnswers):
            said = []
            for row in found.probabilities:
                best = np.argsort(-row, kind="stable")[:top]
                said.append(
                    {
                        "top": [{"class": classes[k], "probability": float(row[k])} for k in best],
                        "probabilities": [float(each) for each in row],
                    }
                )
            return said, [float(each) for each in found.sure]
        assert isinstance(found, MaskAnswers)  # nothing else is exported
        shares = [np.bincount(mask.reshape(-1), minlength=len(classes)) / mask.size for mask in found.masks]
        said = [
            {"shares": {classes[k]: float(row[k]) for k in np.argsort(-row, kind="stable")[:top] if row[k]}}
            for row in shares
        ]
        return said, [float(each) for each in found.sure]


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
        self._served = _Served.checked(folder, threads)
        self._folder = folder
        self._reloading = asyncio.Lock()
        self._metrics = _Metrics(self)
        self._computing = ThreadPoolExecutor(1, thread_name_prefix="reswork-engine")
        self._decoding = ThreadPoolExecutor(2, thread_name_prefix="reswork-decode")
        self._batcher = Batcher(most_batch, self._computing, self._metrics.batch.observe)
        self.app = self._app()

    @property
    def version(self) -> str:
        """Of the artefact that answers now."""
        return self._served.artefact.version

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
                    self._decoding, _Served.checked, place, self._threads
                )
            except InvalidSetting:
                self._metrics.reloads.labels("refused").inc()
                raise
            self._served, self._folder = served, place
            self._metrics.reloads.labels("done").inc()
            return self.version

    async def _predict(self, request: Request, top: int) -> dict[str, Any]:
        served, loop = self._served, asyncio.get_running_loop()
        pictures = await pictures_of(request, self.limits)
        if self.waiting + len(pictures) > self.limits.most_waiting:
            raise Refused(429, f"{self.waiting} images wait already; try again in a second")
        self.waiting += len(pictures)
        try:
            inputs = np.concatenate(
                [
                    await loop.run_in_executor(self._decoding, self._read, served, data, index)
                    for index, data in enumerate(pictures)
                ]
            )
            output = await self._batcher.answer(served.engine, inputs)
            answers, sure = served.answers(output, top)
        finally:
            self.waiting -= len(pictures)
        self._metrics.answers.inc(len(answers))
        for each in sure:
            self._metrics.sure.observe(each)
        return {"version": served.artefact.version, "answers": answers}

    def _read(self, served: _Served, data: bytes, index: int) -> np.ndarray:
        check_picture(data, self.limits, index)
        try:
            return served.inputs(data)
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
            self._computing.shutdown()
            self._decoding.shutdown()

        facts = self._served.artefact.facts
        app = FastAPI(
            title=f"{facts['label']} on {facts['data']['name']}", lifespan=life, version=self.version
        )

        @app.exception_handler(Refused)
        async def refused(_request: Request, error: Refused) -> JSONResponse:
            headers = {429: {"Retry-After": "1"}, 401: {"WWW-Authenticate": "Bearer"}}.get(error.status)
            return JSONResponse({"error": error.sentence}, error.status, headers)

        @app.post("/predict", openapi_extra={"requestBody": {"required": True, "content": _FORMS}})
        async def predict(request: Request, top: int = Query(3, ge=1, le=1000)) -> JSONResponse:
            """What the model says about one or several pictures."""
            begin, status = time.perf_counter(), 500
            try:
                self._let_in(request)
                async with asyncio.timeout(self.limits.timeout_s):
                    found = await self._predict(request, top)
                status = 200
                return JSONResponse(found)
            except Refused as error:
                status = error.status
                raise
            except TimeoutError:
                status = 504
                raise Refused(504, f"no answer within {self.limits.timeout_s:g} s") from None
            except ClientDisconnect:
                status = 499  # nobody is there to read it
                raise Refused(400, "the request ended in the middle") from None
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
