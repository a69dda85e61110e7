"""One part of something that is computed part by part: what it costs before, and took afterwards."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Planned:
    """One section as it stands.

    Attributes:
        name: of the section.
        title: of the section.
        seconds: about how long it takes, or how long it took.
        missing: what would have to be given; empty where all is there.
        done: whether it was computed.
    """

    name: str
    title: str
    seconds: float
    missing: str
    done: bool
