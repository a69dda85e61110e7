"""The files of a folder or a zip archive, read one at a time; nothing is ever unpacked to disk.

An archive is only listed and read into memory, so that it cannot write anywhere; a folder is not left through
links unless that is asked for. Whatever is refused is named with its reason.
"""

import hashlib
import io
import os
import stat
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol

from reswork.datasets.dataset import Skipped
from reswork.datasets.zip_names import check_encoding, encoding_of, raw_name
from reswork.errors import InvalidSetting

MOST_FILE_BYTES = 256 * 1024**2  # of one image, packed or not
MOST_FILES = 5_000_000
SYSTEM_NAMES = frozenset(
    (
        "__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "lost+found", "system volume information",
        "$recycle.bin", "recycler", "recycled", "#recycle", "#snapshot", "@recycle", "@recently-snapshot", "@eadir",
        "@sharebin", "@tmp", "~snapshot", "network trash folder", "temporary items",
    )
)  # fmt: skip


class Files(Protocol):
    """Named files that can be read; names are relative, with slashes."""

    names: list[str]
    folders: list[str]
    refused: list[Skipped]
    notes: list[str]

    def read(self, name: str) -> bytes:
        """The file's content.

        Raises:
            OSError: it cannot be read; the message is a reason to show.
        """
        ...

    def open(self, name: str) -> BinaryIO:
        """The file, of which only the beginning may be needed.

        Raises:
            OSError: it cannot be read; the message is a reason to show.
        """
        ...


@dataclass
class FolderFiles:
    """The files below a folder.

    Args:
        root: the folder.
        follow_links: also through links to folders and links that leave the folder, which are refused otherwise.
    """

    root: Path
    follow_links: bool = False

    def __post_init__(self) -> None:
        self.root = self.root.resolve()
        self.names: list[str] = []
        self.folders: list[str] = []
        self.refused: list[Skipped] = []
        self.notes: list[str] = []
        digest = hashlib.sha256()
        for name, entry in sorted(self._walk(self.root, ""), key=lambda found: found[0]):
            status = self._looked_at(entry)
            if isinstance(status, str):
                self.refused.append(Skipped(readable(name), status))
                continue
            self.names.append(name)
            digest.update(
                f"{name}\0{status.st_size}\0{status.st_mtime_ns}\0".encode(errors="surrogateescape")
            )
        self.signature = digest.hexdigest()

    def _walk(self, folder: Path, prefix: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
        """All entries but folders, hidden ones left out."""
        waiting = [(str(folder), prefix)]
        seen: set[tuple[int, int]] = set()
        while waiting:
            place, prefix = waiting.pop()
            try:
                if self.follow_links:
                    status = os.stat(place)
                    if (status.st_dev, status.st_ino) in seen:
                        self.refused.append(
                            Skipped(readable(prefix), "a link to a folder that is read already")
                        )
                        continue
                    seen.add((status.st_dev, status.st_ino))
                with os.scandir(place) as entries:
                    found = list(entries)
            except OSError as error:
                self.refused.append(Skipped(readable(prefix), f"folder cannot be read ({error.strerror})"))
                continue
            for entry in found:
                if is_hidden(entry.name):
                    continue
                if entry.is_dir(follow_symlinks=self.follow_links):
                    self.folders.append(prefix + entry.name)
                    waiting.append((entry.path, f"{prefix}{entry.name}/"))
                else:
                    yield prefix + entry.name, entry

    def _looked_at(self, entry: os.DirEntry[str]) -> os.stat_result | str:
        """An entry's status, or why it is refused."""
        try:
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISLNK(status.st_mode):
                target = Path(entry.path).resolve(strict=True)
                if not self.follow_links and not target.is_relative_to(self.root):
                    return "a link that leaves the folder"
                status = target.stat()
        except (OSError, RuntimeError):  # RuntimeError: links in a circle
            return "leads to nothing that can be read"
        if stat.S_ISDIR(status.st_mode):
            return "a link to a folder"
        if not stat.S_ISREG(status.st_mode):
            return "not a regular file"
        return "larger than 256 MiB" if status.st_size > MOST_FILE_BYTES else status

    def read(self, name: str) -> bytes:
        """The file's content."""
        return read_below(self.root, name)

    def open(self, name: str) -> BinaryIO:
        """The file."""
        return open(self.root / name, "rb")

    def close(self) -> None:
        """Nothing is open."""


class ZipFiles:
    """The files of a zip archive, read in memory; names that lead out of it are refused.

    Args:
        path: of the archive.
        encoding: of names that are not marked as UTF-8; None finds it, and `notes` tell it.
    """

    def __init__(self, path: Path, encoding: str | None = None) -> None:
        check_encoding(encoding)
        try:
            self._archive = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise InvalidSetting("path", f"{path} is not a zip archive that can be read ({error})") from error
        entries = self._archive.infolist()
        if len(entries) > MOST_FILES:
            raise InvalidSetting("path", f"{path} has {len(entries):,} entries; the limit is {MOST_FILES:,}")
        self._entries: dict[str, zipfile.ZipInfo] = {}
        self.folders: list[str] = []
        self.refused: list[Skipped] = []
        self.notes: list[str] = []
        raw = [name for name in map(raw_name, entries) if name is not None]
        chosen = encoding or encoding_of(raw)
        if raw and chosen != "utf-8":
            self.notes.append(
                f"{len(raw):,} names in the archive are not marked as UTF-8 and were read as {chosen}; "
                "encoding='...' reads them otherwise."
            )
        for entry in entries:
            self._take(entry, chosen)
        self.names = sorted(self._entries)

    def _take(self, entry: zipfile.ZipInfo, encoding: str) -> None:
        raw = raw_name(entry)
        text = entry.filename if raw is None else raw.decode(encoding, "surrogateescape")
        name = text.replace("\\", "/")
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or (path.parts and path.parts[0].endswith(":")):
            self.refused.append(Skipped(readable(name), "its name leads out of the archive"))
        elif not path.parts or any(is_hidden(part) for part in path.parts):
            return
        elif entry.is_dir() or name.endswith("/"):
            self.folders.append(str(path))
        elif reason := _refusal(entry):
            self.refused.append(Skipped(readable(str(path)), reason))
        else:
            self._entries[str(path)] = entry

    def read(self, name: str) -> bytes:
        """The file's content."""
        try:
            with self._archive.open(self._entries[name]) as file:
                return _limited(file.read(MOST_FILE_BYTES + 1))
        except OSError:
            raise
        except Exception as error:  # zlib.error, BadZipFile, NotImplementedError, EOFError, lzma's own ...
            raise OSError(f"damaged in the archive ({error})") from error

    def open(self, name: str) -> BinaryIO:
        """The file, in memory."""
        return io.BytesIO(self.read(name))

    def close(self) -> None:
        """Close the archive."""
        self._archive.close()


def files_at(place: Path, follow_links: bool = False, encoding: str | None = None) -> FolderFiles | ZipFiles:
    """The files of a folder, or of a zip archive."""
    return FolderFiles(place, follow_links) if place.is_dir() else ZipFiles(place, encoding)


def read_below(root: Path, name: str) -> bytes:
    """The content of a file below a folder.

    Raises:
        OSError: it cannot be read; the message is a reason to show.
    """
    with open(root / name, "rb") as file:
        return _limited(file.read(MOST_FILE_BYTES + 1))


def is_hidden(part: str) -> bool:
    """Files and folders that systems leave behind and nobody means."""
    return part.startswith(".") or part.lower() in SYSTEM_NAMES


def readable(name: str) -> str:
    r"""A name as text that can be stored; bytes that are no UTF-8 become escapes such as ``\xff``."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _refusal(entry: zipfile.ZipInfo) -> str:
    """Why an entry is not read, else nothing."""
    if stat.S_ISLNK(entry.external_attr >> 16):
        return "a link"
    if entry.flag_bits & 1:
        return "encrypted"
    return "larger than 256 MiB" if entry.file_size > MOST_FILE_BYTES else ""


def _limited(data: bytes) -> bytes:
    if len(data) > MOST_FILE_BYTES:
        raise OSError("larger than 256 MiB")
    return data
