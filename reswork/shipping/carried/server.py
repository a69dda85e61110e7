"""Answers over HTTP in a container, for Vertex AI, SageMaker and plain Docker; needs starlette and uvicorn.

``AIP_HTTP_PORT``, ``AIP_HEALTH_ROUTE``, ``AIP_PREDICT_ROUTE`` and ``AIP_STORAGE_URI`` are Vertex AI's; without them it
listens on port 8080 with ``/health`` and ``/predict`` and takes the model that lies beside it.
"""

import asyncio
import json
import logging
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from reswork.shipping.carried.predictor import Predictor, Refused, pictures_of, top_of

MOST_BYTES = 10 * 1024**2  # of a request; Vertex AI itself takes 1.5 MB
MOST_WAITING = 64  # requests
ANSWER_S = 30
_LOG = logging.getLogger("server")


class Serving:
    """Answers with one predictor.

    Args:
        predictor: opened and warm.
    """

    def __init__(self, predictor: Predictor) -> None:
        self._predictor, self._waiting = predictor, 0
        self._turn = asyncio.Semaphore(2)  # one is read while another is computed

    async def health(self, _request: Request) -> JSONResponse:
        """Whether it can answer, and with which version."""
        return JSONResponse({"status": "ready", "version": self._predictor.version})

    async def predict(self, request: Request) -> JSONResponse:
        """``{"instances": [...], "parameters": {"top": 3}}`` or one picture as it is -> ``{"predictions": [...]}``."""
        if self._waiting >= MOST_WAITING:
            return _refusal("too many requests wait already; try again in a second", 429)
        self._waiting += 1
        try:
            async with asyncio.timeout(ANSWER_S):
                pictures, top = _asked(request.headers.get("content-type", ""), await _body(request))
                async with self._turn:
                    found = await run_in_threadpool(self._predictor.answers, pictures, top)
            return JSONResponse({"predictions": found})
        except Refused as error:
            return _refusal(str(error), error.status)
        except TimeoutError:
            return _refusal(f"no answer within {ANSWER_S} s", 504)
        except ClientDisconnect:
            return _refusal("the request ended in the middle", 400)
        except Exception:
            _LOG.exception("a request failed")
            return _refusal("the server failed at this request; its log says why", 500)
        finally:
            self._waiting -= 1


def application(predictor: Predictor, environment: Mapping[str, str]) -> Starlette:
    """The routes, by what the environment asks for."""
    serving = Serving(predictor)
    health = {environment.get("AIP_HEALTH_ROUTE") or "/health", "/ping"}
    predict = {environment.get("AIP_PREDICT_ROUTE") or "/predict", "/invocations"}
    return Starlette(
        routes=[
            *(Route(path, serving.health, methods=["GET"]) for path in sorted(health)),
            *(Route(path, serving.predict, methods=["POST"]) for path in sorted(predict)),
        ]
    )


def model_folder(uri: str, beside: Path) -> Path:
    """Where the model lies: beside this file, in a folder, or in Google Cloud Storage, from where it is fetched.

    Args:
        uri: ``AIP_STORAGE_URI``; empty: none.
        beside: the folder that came with the image.
    """
    if not uri:
        return beside
    if not uri.startswith("gs://"):
        return Path(uri)
    from google.cloud import storage

    bucket, _, prefix = uri.removeprefix("gs://").partition("/")
    prefix = f"{prefix.rstrip('/')}/" if prefix else ""
    folder = Path(tempfile.mkdtemp(prefix="model-"))
    for blob in storage.Client().list_blobs(bucket, prefix=prefix):
        place = (folder / blob.name.removeprefix(prefix)).resolve()
        if place.is_relative_to(folder.resolve()) and not blob.name.endswith("/"):
            place.parent.mkdir(parents=True, exist_ok=True)
            blob.download_to_filename(str(place))
    return folder


async def _body(request: Request) -> bytes:
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > MOST_BYTES:
            raise Refused(f"the request has more than {MOST_BYTES:,} bytes", 413)
        parts.append(part)
    return b"".join(parts)


def _asked(kind: str, body: bytes) -> tuple[list[bytes], int]:
    kind = kind.partition(";")[0].strip().lower()
    if kind.startswith("image/") or kind in ("application/octet-stream", "application/x-image"):
        return [body], 3
    if kind not in ("application/json", ""):
        raise Refused(f"content type {kind[:60]!r} is not read: send application/json or image/*", 415)
    try:
        values = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refused("the body is no JSON") from error
    if not isinstance(values, dict) or "instances" not in values:
        raise Refused('the JSON has no "instances": send {"instances": [{"b64": "<base64>"}]}')
    parameters: Any = values.get("parameters") or {}
    top = parameters.get("top", 3) if isinstance(parameters, dict) else None
    return pictures_of(values["instances"]), top_of(top)


def _refusal(sentence: str, status: int) -> JSONResponse:
    return JSONResponse({"error": sentence}, status)


def main() -> int:
    """Serve until SIGTERM; what was begun is answered."""
    environment = os.environ
    folder = model_folder(environment.get("AIP_STORAGE_URI", ""), Path(__file__).parent / "model")
    try:
        predictor = Predictor(folder)
    except (OSError, ValueError, KeyError) as error:
        print(f"the model cannot be opened: {error}", file=sys.stderr)
        return 2
    uvicorn.run(
        application(predictor, environment),
        host=environment.get("HOST") or "0.0.0.0",
        port=int(environment.get("AIP_HTTP_PORT") or 8080),
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=65,
        timeout_graceful_shutdown=ANSWER_S + 1,
        limit_concurrency=256,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
