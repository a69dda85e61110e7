"""The process of a server: ``python -m reswork.shipping.server_process JSON``; steered by lines of JSON on stdin."""

import asyncio
import json
import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

import torch
import uvicorn

from reswork.errors import InvalidSetting
from reswork.shipping.server_settings import TOKEN, Limits, ServerSettings
from reswork.shipping.service import Service


def run_server(settings: ServerSettings, token: str | None) -> int:
    """Serve until a signal or the end of stdin, of which each line is answered by one on stdout; the exit status.

    Args:
        settings: how.
        token: that requests must have; None: none.

    Raises:
        InvalidSetting: the folder is not as it was exported, or the port is in use.
    """
    listening = _listening(settings.host, settings.port)
    with listening:
        threads = settings.threads or torch.get_num_threads()
        torch.set_num_threads(1)  # this process only reads pictures; its threads would disturb the engine's
        service = Service(
            Path(settings.folder),
            settings.limits,
            token=token,
            most_batch=settings.most_batch,
            threads=threads,
        )
        for each in (signal.SIGTERM, signal.SIGINT):  # uvicorn sends itself the signal again when all is done
            signal.signal(each, lambda _number, _frame: None)
        asyncio.run(_serve(service, listening, settings.limits))
    return 0


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Answer what came, take no more."""
        self._service.stopping = True
        super().handle_exit(sig, frame)


async def _serve(service: Service, listening: socket.socket, limits: Limits) -> None:
    config = uvicorn.Config(
        service.app, log_level="warning", access_log=False, ws="none", server_header=False, timeout_keep_alive=5,
        timeout_graceful_shutdown=max(1, round(limits.timeout_s) + 1), limit_concurrency=2 * limits.most_waiting + 64,
    )  # fmt: skip
    server = _Server(config, service)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started and not serving.done():
        await asyncio.sleep(0.005)
    host, port = listening.getsockname()[:2]
    where = f"[{host}]" if ":" in host else host
    _say({"url": f"http://{where}:{port}", "version": service.version})
    steering = asyncio.create_task(_steer(service, server))
    await serving
    steering.cancel()
    with suppress(asyncio.CancelledError):
        await steering


async def _steer(service: Service, server: _Server) -> None:
    """Do what the lines on stdin ask; their end ends the server, because whoever started it is gone."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        asked = json.loads(line)
        await _reload(service, Path(asked["reload"]) if asked["reload"] else None)
    service.stopping = True
    server.should_exit = True


async def _reload(service: Service, folder: Path | None) -> None:
    try:
        _say({"version": await service.reload(folder)})
    except InvalidSetting as error:
        _say({"error": f"{error.message}; {service.version} goes on"})


def _say(values: dict[str, Any]) -> None:
    print(json.dumps(values), flush=True)


def _listening(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        found = socket.socket(family, kind, protocol)
    except (OSError, OverflowError) as error:
        raise InvalidSetting("host", f"host={host!r} is no address of this machine: {error}") from error
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        found.set_inheritable(True)
    except OSError as error:
        found.close()
        raise InvalidSetting(
            "port",
            f"port={port} of {host} cannot be taken ({error.strerror or error}): choose another one, or 0 for any free",
        ) from error
    return found


def main(arguments: list[str]) -> int:
    """Serve, steered by stdin."""
    try:
        return run_server(ServerSettings.from_json(arguments[0]), os.environ.get(TOKEN))
    except InvalidSetting as error:
        _say({"error": error.message, "field": error.field})
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
