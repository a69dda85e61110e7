"""Decoded images kept on disk, so that a folder of images is decoded only once, and may be larger than the memory.

Each data set is a folder of plain bytes, never a pickle, under ``RESWORK_CACHE`` or ``~/.cache/reswork``. What was used
longest ago is deleted where all of them would take more than ``RESWORK_CACHE_LIMIT`` GiB (64), unless a place was told.
Whatever is wrong with one, it counts as absent and is made anew.
"""

import contextlib
import hashlib
import json
import math
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from filelock import FileLock, Timeout

from reswork.datasets.dataset import Dataset, Split
from reswork.datasets.facts import data_of, facts_of
from reswork.datasets.mapped import Rows
from reswork.datasets.places import cache_root
from reswork.datasets.progress import EVERY_S, Ticker
from reswork.errors import InvalidSetting

VERSION = 4  # raise it when decoding changes
LIMIT_GIB = 64.0
GIB = 1024**3
STALE_S = 24 * 3600
SPARE_BYTES = 256 * 1024**2  # left free on the disk
ABOUT, IMAGES, MASKS, LABELS, JOURNAL = "about.json", "images.u8", "masks.u8", "labels.npy", "journal.jsonl"

CacheChoice = bool | Literal["disk"] | str | os.PathLike[str]


@dataclass(frozen=True)
class Entry:
    """A data set in the cache, whole or being made.

    Args:
        folder: of its files.
        is_limited: whether it counts towards the limit of the cache and may be deleted for others.
    """

    folder: Path
    is_limited: bool = True

    def recalled(self, signature: str) -> "Kept | None":
        """What was kept under this signature; None where there is nothing, or something old or damaged."""
        try:
            outer = json.loads((self.folder / ABOUT).read_bytes())
            about = outer["about"]
            if outer["sha256"] != _digest(about) or about["signature"] != signature:
                return None
            kept = Kept(self.folder, about)
            kept.check()
            os.utime(self.folder / ABOUT)  # when it was used last
            return kept
        except Exception:  # a damaged file can fail in any layer below; it is made anew
            return None

    def keep(self, data: Dataset, signature: str) -> str:
        """Write a data set that is in memory, whole or not at all; returns why it was not written, else nothing."""
        part = None
        try:
            size = sum(split.images.nbytes + split.targets.nbytes for split in (data.train, data.test))
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            if problem := self.room_for(size):
                return problem
            part = Path(tempfile.mkdtemp(dir=self.folder.parent, prefix="images-", suffix=".part"))
            splits = (data.train, data.test)
            with (part / IMAGES).open("wb") as file:
                for split in splits:
                    file.write(np.ascontiguousarray(split.images.numpy()).data)
            if data.target_kind == "masks":
                with (part / MASKS).open("wb") as file:
                    for split in splits:
                        file.write(np.ascontiguousarray(split.masks.numpy()).data)
            write_about(part, data, signature)
            shutil.rmtree(self.folder, ignore_errors=True)
            with contextlib.suppress(FileExistsError):  # another process was faster
                os.rename(part, self.folder)
        except OSError as error:
            return f"{self.folder.parent}: {error.strerror or error}"
        finally:
            if part is not None:
                shutil.rmtree(part, ignore_errors=True)
        return ""

    def room_for(self, size: int) -> str:
        """Delete what was used longest ago until so many bytes fit; returns why they do not, else nothing."""
        others = [each for each in _entries(self.folder.parent) if each.folder != self.folder]
        _remove_stale(self.folder.parent)
        if self.is_limited:
            limit = limit_bytes()
            if size > limit:
                return (
                    f"{size / GIB:,.1f} GiB are more than the {limit / GIB:,.1f} GiB of RESWORK_CACHE_LIMIT"
                )
            for other in others:
                if sum(each.size for each in others if each.folder.exists()) + size <= limit:
                    break
                other.delete()
        free = shutil.disk_usage(self.folder.parent).free + _size(self.folder)
        if free < size + SPARE_BYTES:
            return (
                f"{self.folder.parent} has {free / GIB:,.1f} GiB free, and {size / GIB:,.1f} GiB are needed"
            )
        return ""

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Only one process makes it at a time; others wait, and say so.

        Raises:
            InvalidSetting: its place cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(_lock_of(self.folder))
            _acquire(lock)
        except OSError as error:
            raise InvalidSetting(
                "cache",
                f"{self.folder.parent} cannot be written ({error.strerror or error}): give another place with "
                "cache='/some/folder', or set RESWORK_CACHE",
            ) from error
        try:
            yield
        finally:
            lock.release()


@dataclass(frozen=True)
class Kept:
    """A whole data set in the cache."""

    folder: Path
    about: Mapping[str, Any]

    @property
    def counts(self) -> tuple[int, int]:
        """Training and test images."""
        return int(self.about["train"]), int(self.about["test"])

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of an image."""
        channels, height, width = map(int, self.about["shape"])
        return channels, height, width

    @property
    def has_masks(self) -> bool:
        """Whether its targets are masks."""
        return self.about["kind"] == "masks"

    @property
    def image_bytes(self) -> int:
        """Of all images and masks, decoded."""
        each = math.prod(self.shape) + (math.prod(self.shape[1:]) if self.has_masks else 0)
        return sum(self.counts) * each

    def check(self) -> None:
        """Whether its files can hold what they shall.

        Raises:
            ValueError: they are too short.
        """
        count = sum(self.counts)
        if (self.folder / IMAGES).stat().st_size < count * math.prod(self.shape):
            raise ValueError("too short")
        if self.has_masks and (self.folder / MASKS).stat().st_size < count * math.prod(self.shape[1:]):
            raise ValueError("too short")

    def in_memory(self) -> Dataset | None:
        """The data set, read; None where it is damaged."""
        try:
            images = torch.from_numpy(np.fromfile(self.folder / IMAGES, np.uint8)).view(-1, *self.shape)
            if self.has_masks:
                targets = torch.from_numpy(np.fromfile(self.folder / MASKS, np.uint8)).view(
                    -1, *self.shape[1:]
                )
            else:
                targets = self._labels()
            train, whole = self.counts[0], sum(self.counts)
            splits = [Split(images[part], targets[part]) for part in (slice(train), slice(train, whole))]
            data = data_of(self.about["facts"], *splits)
            del data.__dict__["fingerprint"]
            return data if data.fingerprint == self.about["facts"]["fingerprint"] else None
        except Exception:  # a damaged file can fail in any layer below; it is made anew
            return None

    def in_file(self) -> Dataset:
        """The data set, whose images stay on disk and are read as they are needed."""
        train, whole = self.counts[0], sum(self.counts)
        splits = []
        for start, stop in ((0, train), (train, whole)):
            images = Rows(str(self.folder / IMAGES), self.shape, start, stop)
            if self.has_masks:
                splits.append(
                    Split.mapped(images, Rows(str(self.folder / MASKS), self.shape[1:], start, stop))
                )
            else:
                splits.append(Split.mapped(images, self._labels()[start:stop]))
        return data_of(self.about["facts"], *splits)

    def _labels(self) -> torch.Tensor:
        return torch.from_numpy(np.load(self.folder / LABELS, allow_pickle=False))


@dataclass(frozen=True)
class CacheEntry:
    """A folder in the cache, for those who want to see what is there.

    Args:
        folder: of its files.
        name: of the data set; empty while it is being made.
        size: in bytes.
        used: when it was used last, in seconds since 1970.
    """

    folder: Path
    name: str
    size: int
    used: float

    def delete(self) -> bool:
        """Delete it; False where a process is making it just now."""
        lock = FileLock(_lock_of(self.folder), timeout=0)
        try:
            with lock:
                shutil.rmtree(self.folder, ignore_errors=True)
        except (Timeout, OSError):
            return False
        _lock_of(self.folder).unlink(missing_ok=True)
        return True

    def __str__(self) -> str:
        used = time.strftime("%Y-%m-%d %H:%M", time.localtime(self.used))
        return f"{self.name or 'not whole yet'}: {self.size / GIB:,.2f} GiB, used {used}, in {self.folder}"


def entry_for(settings: Mapping[str, Any], place: Path | None = None) -> Entry:
    """Where images read with these settings (path, size ...) are kept; in a place that was told without a limit."""
    key = hashlib.sha256(json.dumps([VERSION, dict(settings)], sort_keys=True).encode()).hexdigest()
    return Entry((place or cache_root()).absolute() / f"images-{key[:32]}", is_limited=place is None)


def cached(place: str | os.PathLike[str] | None = None) -> list[CacheEntry]:
    """Decoded data sets on disk, the one that was used longest ago first.

    Args:
        place: a folder that was told as ``cache=``; None: the usual one.
    """
    return _entries(cache_root() if place is None else Path(place))


def clear_cache(place: str | os.PathLike[str] | None = None) -> int:
    """Delete all decoded data sets; those that are being made stay. They are decoded anew when they are wanted.

    Args:
        place: a folder that was told as ``cache=``; None: the usual one.

    Returns:
        Bytes that are free now.
    """
    root = cache_root() if place is None else Path(place)
    freed = sum(entry.size for entry in _entries(root) if entry.delete())
    for rest in (*root.glob("images-*.part"), *root.glob("images-*.npz")):
        shutil.rmtree(rest) if rest.is_dir() else rest.unlink(missing_ok=True)
    return freed


def limit_bytes() -> int:
    """Of all data sets in the usual place.

    Raises:
        InvalidSetting: ``RESWORK_CACHE_LIMIT`` is no number.
    """
    told = os.environ.get("RESWORK_CACHE_LIMIT") or str(LIMIT_GIB)
    try:
        limit = float(told)
        if not 0 <= limit < math.inf:
            raise ValueError
    except ValueError as error:
        raise InvalidSetting(
            "cache", f"RESWORK_CACHE_LIMIT={told!r}: give the GiB that decoded images may take, such as 64"
        ) from error
    return int(limit * GIB)


def write_about(folder: Path, data: Dataset, signature: str) -> None:
    """The last files of an entry, its labels and its description; with that, it is whole."""
    if data.target_kind == "labels":
        labels = torch.cat([split.labels for split in (data.train, data.test)])
        np.save(folder / LABELS, labels.numpy(), allow_pickle=False)
    about = {
        "signature": signature,
        "kind": data.target_kind,
        "shape": list(data.input_shape),
        "train": len(data.train),
        "test": len(data.test),
        "facts": facts_of(data),
    }
    part = folder / f"{ABOUT}.part"
    with part.open("w") as file:
        json.dump({"about": about, "sha256": _digest(about)}, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, folder / ABOUT)


def _digest(about: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def _acquire(lock: FileLock) -> None:
    with Ticker("Waiting for another program, which decodes the same images", total=0) as ticker:
        while True:
            try:
                lock.acquire(timeout=EVERY_S)
            except Timeout:
                ticker.advance(0)
            else:
                return


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def _size(folder: Path) -> int:
    with contextlib.suppress(OSError):
        return sum(file.stat().st_size for file in folder.iterdir())
    return 0


def _entries(root: Path) -> list[CacheEntry]:
    found = []
    for folder in root.glob("images-*"):
        with contextlib.suppress(OSError):
            if not folder.is_dir() or folder.suffix == ".part":
                continue
            name, used = "", folder.stat().st_mtime
            if (folder / ABOUT).exists():
                used = (folder / ABOUT).stat().st_mtime
                with contextlib.suppress(ValueError, KeyError, TypeError):
                    name = str(json.loads((folder / ABOUT).read_bytes())["about"]["facts"]["name"])
            found.append(CacheEntry(folder, name, _size(folder), used))
    return sorted(found, key=lambda entry: entry.used)


def _remove_stale(root: Path) -> None:
    """Remove what a killed process left behind."""
    for part in root.glob("images-*.part"):
        with contextlib.suppress(OSError):
            if time.time() - part.stat().st_mtime > STALE_S:
                shutil.rmtree(part) if part.is_dir() else part.unlink()
