"""Where reswork keeps what it writes: the folder of runs, the cache of decoded images, what a person chose once."""

import os
from pathlib import Path


def runs_folder(root: str | os.PathLike[str] | None = None) -> Path:
    """The folder of all runs.

    Args:
        root: a folder; None: what the environment variable ``RESWORK_RUNS`` says (``reswork lab`` sets it,
            so that every notebook finds the same runs), else ``runs`` in the working folder.
    """
    return Path(root if root is not None else os.environ.get("RESWORK_RUNS") or "runs")


def cache_root() -> Path:
    """The folder of decoded images: ``RESWORK_CACHE``, else ``~/.cache/reswork``."""
    return Path(os.environ.get("RESWORK_CACHE") or "~/.cache/reswork").expanduser()


def config_root() -> Path:
    """The folder of what a person chose once and for all: ``RESWORK_CONFIG``, else ``~/.config/reswork``."""
    return Path(os.environ.get("RESWORK_CONFIG") or "~/.config/reswork").expanduser()
