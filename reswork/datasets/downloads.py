"""Fetching a file once, checked, under a time limit; and saying what to do where there is no internet."""

import hashlib
import os
import shutil
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

TIMEOUT_S = 20


def fetch(urls: list[str], target: Path, md5: str) -> None:
    """Write the file that one of the addresses gives, if its md5 is the expected one.

    A file appears whole or not at all; one that is there already is left alone.

    Raises:
        OSError: no address gave it; the message says why.
    """
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    reasons = []
    for url in urls:
        try:
            _fetch_from(url, target, md5)
            return
        except (OSError, ValueError) as error:  # URLError is an OSError
            reasons.append(f"{url}: {getattr(error, 'reason', None) or error}")
    raise OSError("; ".join(reasons))


def _fetch_from(url: str, target: Path, md5: str) -> None:
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file, urllib.request.urlopen(url, timeout=TIMEOUT_S) as response:
            shutil.copyfileobj(response, file, 1024 * 1024)
        with open(name, "rb") as file:
            found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        if found != md5:
            raise ValueError(f"what came has the md5 {found}, not {md5}")
        os.chmod(name, 0o644)  # mkstemp makes it readable for its owner only
        os.replace(name, target)
    finally:
        Path(name).unlink(missing_ok=True)


def by_hand(what: str, error: OSError, files: str, folder: Path) -> FileNotFoundError:
    """The error for a set that is neither here nor to be had."""
    return FileNotFoundError(
        f"{what} is not in {folder} and could not be downloaded ({error}). Without internet: put {files} "
        f"into {folder.resolve()}, or give root=... or the environment variable RESWORK_DATA"
    )
