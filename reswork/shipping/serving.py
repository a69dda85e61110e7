"""`serve`: an HTTP server for a trained network, in a process of its own."""

import base64
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

from reswork.datasets.decoder import Picture
from reswork.errors import InvalidSetting
from reswork.shipping.artefact import Artefact, open_artefact
from reswork.shipping.engines import require
from reswork.shipping.server_settings import TOKEN, Limits, ServerSettings, is_loopback

_PACKAGES = ("fastapi", "uvicorn", "prometheus_client", "python_multipart")
_OPENER = build_opener(ProxyHandler({}))  # to this machine, whatever proxy the system has


class Server:
    """A server that runs; made by `serve`. Leave it as a context manager, or call `stop`.

    It ends with this process, too.

    Attributes:
        url: where it answers.
        token: that requests must have; None: none.
        version: of the artefact that answers.
    """

    def __init__(self, model: Any, data: Any, settings: dict[str, Any], token: str | None) -> None:
        self._data, self.token = data, token
        self._made = Path(tempfile.mkdtemp(prefix="reswork-serve-"))
        self._count = 0
        self.process: subprocess.Popen[str] | None = None
        try:
            chosen = ServerSettings(str(self._folder(model)), **settings)
            environment = {**os.environ, **({TOKEN: token} if token else {})}
            if not token:
                environment.pop(TOKEN, None)
            self.process = subprocess.Popen(
                [sys.executable, "-m", "reswork.shipping.server_process", chosen.to_json()],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True,
            )  # fmt: skip
            known = self._answer()
        except BaseException:
            self.stop()
            raise
        self.url, self.version = str(known["url"]), str(known["version"])

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        state = "stopped" if self.process is None else f"process {self.process.pid}"
        return f"<Server {self.url}, version {self.version}, {state}>"

    def ask(
        self, pictures: Picture | Sequence[Picture], top: int = 3, explain: int = 0
    ) -> list[dict[str, Any]]:
        """What the server says about pictures.

        Args:
            pictures: one or several, each a path or the bytes of a file.
            top: classes to be named.
            explain: of one picture, into so many times so many patches it is cut, up to 10: ``attribution`` then has
                how much less probable the class is with each of them covered, which takes as many more answers.

        Returns:
            For each picture ``top``, a list of classes with their probabilities, and ``probabilities`` of all; of a
            network for masks ``shares``; of one that gives pictures ``png``, the bytes of a file, ``height`` and
            ``width``.

        Raises:
            InvalidSetting: the server refuses, with its reason.
        """
        several = [pictures] if isinstance(pictures, str | bytes | os.PathLike) else list(pictures)
        files = [each if isinstance(each, bytes) else Path(each).read_bytes() for each in several]
        body = json.dumps({"images": [base64.b64encode(each).decode() for each in files]}).encode()
        found = json.loads(
            self._fetch(f"/predict?top={top}&explain={explain}", body, {"Content-Type": "application/json"})
        )
        answers: list[dict[str, Any]] = found["answers"]
        for each in answers:
            if "png" in each:
                each["png"] = base64.b64decode(each["png"])
        return answers

    def metrics(self) -> dict[str, float]:
        """What ``/metrics`` tells, name with labels -> value."""
        from prometheus_client.parser import text_string_to_metric_families

        found = {}
        for family in text_string_to_metric_families(self._fetch("/metrics").decode()):
            for sample in family.samples:
                labels = ",".join(f"{name}={value}" for name, value in sample.labels.items())
                found[f"{sample.name}{{{labels}}}" if labels else sample.name] = float(sample.value)
        return found

    def reload(self, model: Any = None) -> str:
        """Answer with another version once it is checked; no request is lost, and the old one goes on where it is not.

        Args:
            model: as for `serve`; None: what lies in the same folder by now.

        Returns:
            The new version.

        Raises:
            InvalidSetting: its check fails.
        """
        if self.process is None or self.process.stdin is None:
            raise InvalidSetting("server", "the server was stopped; start one: rw.serve(...)")
        folder = "" if model is None else str(self._folder(model))
        self.process.stdin.write(json.dumps({"reload": folder}) + "\n")
        self.process.stdin.flush()
        self.version = str(self._answer()["version"])
        return self.version

    def stop(self) -> int | None:
        """Answer what has come, take no more, end; the exit status, 0 where all went well."""
        status = None
        if self.process is not None:
            self.process.terminate()
            try:
                status = self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                status = self.process.wait()
            for pipe in (self.process.stdin, self.process.stdout):
                if pipe is not None:
                    pipe.close()
            self.process = None
        shutil.rmtree(self._made, ignore_errors=True)
        return status

    def _folder(self, model: Any) -> Path:
        """Where an artefact lies that can be served; a run or a network is exported first."""
        if isinstance(model, Artefact | str | os.PathLike):
            artefact = model if isinstance(model, Artefact) else open_artefact(Path(model))
            artefact.check_answered()
            return artefact.folder.absolute()
        from reswork.shipping.export import export

        self._count += 1
        packages = all(find_spec(each) for each in ("onnx", "onnxscript", "onnxruntime"))
        place = self._made / str(self._count)
        return export(model, place, format="onnx" if packages else "torch", data=self._data).folder

    def _answer(self) -> dict[str, Any]:
        assert self.process is not None and self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise InvalidSetting(
                "server", f"the server ended with status {self.process.wait()}; start it anew"
            )
        found: dict[str, Any] = json.loads(line)
        if "error" in found:
            raise InvalidSetting(str(found.get("field", "folder")), str(found["error"]))
        return found

    def _fetch(self, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> bytes:
        headers = dict(headers or {})
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        try:
            with _OPENER.open(Request(self.url + path, body, headers), timeout=120) as reply:
                found: bytes = reply.read()
                return found
        except HTTPError as error:
            reason = json.loads(error.read() or b"{}").get("error", error.reason)
            raise InvalidSetting("server", f"the server refuses ({error.code}): {reason}") from error
        except OSError as error:
            raise InvalidSetting("server", f"{self.url} does not answer: {error}") from error


def serve(
    model: Any,
    *,
    data: Any = None,
    host: str = "127.0.0.1",
    port: int = 0,
    token: str | None = None,
    most_batch: int = 32,
    threads: int | None = None,
    limits: Limits | None = None,
) -> Server:
    """Answer over HTTP with a trained network: ``/predict``, ``/health``, ``/ready``, ``/metrics``, ``/openapi.json``.

    It runs in a process of its own, and takes only what is still as it was exported. Needs the extra ``serve``.

    Args:
        model: an exported folder, or what `reswork.export` returned; a run, a checkpoint or a module is exported first.
        data: for a checkpoint or a module, as for `reswork.export`.
        host: an address of this machine; other than the loopback, requests must have a token.
        port: 0: any that is free; the server's ``url`` has it.
        token: that requests must have; None: none on the loopback, else a new one, in the server's ``token``.
        most_batch: images in one call of the engine; requests that wait together are answered together.
        threads: of the engine; None: as many as torch takes.
        limits: of requests, `Limits` of `reswork.shipping.server_settings`; None: 10 MiB, 32 pictures of 16 million
            pixels, 128 that wait, 10 s.

    Returns:
        The server, which answers already.

    Raises:
        InvalidSetting: a package that is missing, a port in use, a folder that is no longer what was exported.
    """
    require("server", *_PACKAGES)
    if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= 65535:
        raise InvalidSetting("port", f"port={port!r} is none: choose 1 to 65535, or 0 for any that is free")
    if token is None and not is_loopback(host):
        token = secrets.token_urlsafe(24)
    settings = {
        "host": host,
        "port": port,
        "most_batch": most_batch,
        "threads": threads,
        "limits": limits or Limits(),
    }
    return Server(model, data, settings, token)
