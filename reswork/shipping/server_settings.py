"""How a server shall answer, and what a request may have; needs neither torch nor fastapi."""

import json
from dataclasses import asdict, dataclass, field
from ipaddress import ip_address

TOKEN = "RESWORK_SERVE_TOKEN"  # of the environment: arguments can be seen by other users


@dataclass(frozen=True)
class Limits:
    """What a request may have.

    Args:
        most_bytes: of its body.
        most_images: in it.
        most_pixels: of one picture, before it is scaled.
        most_waiting: images that are being answered or wait for it; a request beyond that is refused with 429.
        timeout_s: from the first byte of a body to the answer.
    """

    most_bytes: int = 10 * 1024**2
    most_images: int = 32
    most_pixels: int = 16 * 1024**2
    most_waiting: int = 128
    timeout_s: float = 10.0


@dataclass(frozen=True)
class ServerSettings:
    """How to serve.

    Args:
        folder: of an artefact.
        host: address to listen on.
        port: 0: any that is free.
        most_batch: images in a call of the engine.
        threads: of the engine; None: as many as torch takes.
        limits: of requests.
    """

    folder: str
    host: str = "127.0.0.1"
    port: int = 0
    most_batch: int = 32
    threads: int | None = None
    limits: Limits = field(default_factory=Limits)

    def to_json(self) -> str:
        """As text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "ServerSettings":
        """From what `to_json` gave."""
        values = json.loads(text)
        return cls(**{**values, "limits": Limits(**values["limits"])})


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
