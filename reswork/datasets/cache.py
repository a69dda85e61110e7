"""Decoded images kept beside the user's caches, so that a folder of images is decoded only once.

A cached file is an npz of plain arrays, never a pickle; its checksums are verified when it is read, and
whatever is wrong with it, it counts as absent and is written anew.
"""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from reswork.datasets.places import cache_root

VERSION = 3  # raise it when decoding changes
MOST_BYTES = 8 * 1024**3
STALE_S = 24 * 3600


def cache_file(settings: Mapping[str, Any]) -> Path:
    """Where images read with these settings (path, size ...) are kept."""
    key = hashlib.sha256(json.dumps([VERSION, dict(settings)], sort_keys=True).encode()).hexdigest()
    return cache_root() / f"images-{key[:32]}.npz"


def recalled(file: Path, signature: str) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
    """Arrays and description from the cache; None where there are none, old or damaged ones."""
    try:
        with file.open("rb") as raw, np.load(raw, allow_pickle=False) as archive:
            about = json.loads(archive["about"].tobytes())
            if about.pop("signature") != signature:
                return None
            return {name: archive[name] for name in archive.files if name != "about"}, about
    except Exception:  # a damaged file can fail in any layer below; it is rebuilt
        return None


def remember(file: Path, signature: str, arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> str:
    """Write to the cache, whole or not at all; returns why it was not written, else nothing."""
    size = sum(array.nbytes for array in arrays.values())
    if size > MOST_BYTES:
        return f"{size / 1024**3:.1f} GiB are more than the 8 GiB that are cached"
    temporary = None
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        for part in file.parent.glob("images-*.part"):  # what a killed process left behind
            with contextlib.suppress(OSError):
                if time.time() - part.stat().st_mtime > STALE_S:
                    part.unlink()
        if shutil.disk_usage(file.parent).free < 1.5 * size + 100 * 1024**2:
            return f"{file.parent} is nearly full"
        text = json.dumps({**about, "signature": signature}).encode()
        handle, temporary = tempfile.mkstemp(dir=file.parent, prefix="images-", suffix=".part")
        with os.fdopen(handle, "wb") as target:
            np.savez(target, allow_pickle=False, about=np.frombuffer(text, np.uint8), **arrays)
        os.replace(temporary, file)
    except OSError as error:
        return f"{file.parent}: {error.strerror or error}"
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
    return ""
