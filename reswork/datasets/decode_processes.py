"""Many pictures decoded into a file, by several processes; what is done is noted, so that it can go on after a kill.

The processes are children that read orders from a pipe and end with it; nothing of the caller's main module is run.
"""

import hashlib
import json
import os
import queue
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from reswork.datasets.cache import IMAGES, JOURNAL, MASKS, Entry
from reswork.datasets.decoder import Decoder
from reswork.datasets.decoding import Unreadable, reason_of
from reswork.datasets.files import ZipFiles, read_below
from reswork.datasets.mask_decoding import whole_mask
from reswork.datasets.mask_values import RawMask
from reswork.datasets.progress import Ticker
from reswork.errors import InvalidSetting

CHUNK = 64  # pictures of one order
FEW = 2000  # pictures for which no processes are started
SYNC_S = 5.0  # between two notes of what is done
MOST_PROCESSES = 16
LOG = "decoding.log"  # what the processes say
ENDED = "ended the process that decoded it"


@dataclass(frozen=True)
class Source:
    """Where files lie, and how their names are written."""

    place: str
    encoding: str | None = None

    def reader(self) -> Any:
        """A function from a name to a file's content."""
        place = Path(self.place)
        if place.is_dir():
            return lambda name: read_below(place, name)
        return ZipFiles(place, self.encoding).read


@dataclass(frozen=True)
class Order:
    """A picture and the row that it fills; with a mask also that and the picture's height and width before.

    Args:
        image: name of the file.
        masks: names of the files of the mask, one, or one for each object.
        size: of the picture.
    """

    image: str
    masks: tuple[str, ...] = ()
    size: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Decoding:
    """What becomes of a list of pictures.

    Args:
        images: where they are.
        decoder: of the pictures.
        orders: one for each row.
        masks: where masks are; None: there are none.
        most: different values that one mask may hold.
    """

    images: Source
    decoder: Decoder
    orders: Sequence[Order]
    masks: Source | None = None
    most: int = 0


@dataclass
class Decoded:
    """Rows of a file.

    Args:
        images: uint8, (N, C, H, W).
        masks: uint8, (N, H, W), places in the tables; None: there are none.
        failed: of rows that could not be decoded the name and the reason.
        tables: of each row of masks its numbers, colours, and whether they are a palette.
    """

    images: "np.memmap[Any, Any]"
    masks: "np.memmap[Any, Any] | None"
    failed: dict[int, tuple[str, str]]
    tables: dict[int, tuple[list[int], list[int], bool]]

    def raw_masks(self, names: Sequence[str]) -> dict[int, RawMask]:
        """The masks of the rows that did not fail, by row; their pixels stay in the file."""
        assert self.masks is not None
        return {
            row: RawMask(names[row], self.masks[row], np.array(numbers), np.array(colours), has_palette)
            for row, (numbers, colours, has_palette) in sorted(self.tables.items())
        }


def decode_to_file(entry: Entry, signature: str, decoding: Decoding) -> Decoded:
    """Decode into files of an entry that is locked, going on with what was done before.

    Args:
        entry: of the cache.
        signature: of the files that are read.
        decoding: what to read.

    Raises:
        InvalidSetting: not enough room on the disk, or processes cannot be started.
    """
    count, size = len(decoding.orders), decoding.decoder.size
    shapes: dict[str, tuple[int, ...]] = {IMAGES: (count, decoding.decoder.channels, *size)}
    if decoding.masks is not None:
        shapes[MASKS] = (count, *size)
    bytes_of = {name: int(np.prod(shape)) for name, shape in shapes.items()}
    head = json.dumps([signature, decoding.decoder.to_dict(), bytes_of, _names_digest(decoding)])
    try:
        done = _known(entry.folder, head, bytes_of)
        if done is None:
            _begin(entry, head, bytes_of)
            done = {}
    except OSError as error:
        raise InvalidSetting(
            "cache",
            f"{entry.folder.parent} cannot take {sum(bytes_of.values()) / 1024**3:,.1f} GiB "
            f"({error.strerror or error}): free some, give a smaller size, or another place with cache='/some/folder'",
        ) from error
    starts = range(0, count, CHUNK)
    missing = [n for n in range(len(starts)) if n not in done]
    before = count - sum(min(CHUNK, count - starts[n]) for n in missing)
    if missing:
        with Ticker("Decoding", count, before) as ticker, _Journal(entry.folder, list(bytes_of)) as journal:
            answer = _replies if len(missing) * CHUNK > FEW else _in_this_process
            for number, reply in answer(entry.folder, decoding, shapes, missing):
                done[number] = reply
                journal.note(number, reply)
                ticker.advance(min(CHUNK, count - starts[number]))
    arrays = {
        name: np.memmap(entry.folder / name, np.uint8, "r+", shape=shape) for name, shape in shapes.items()
    }
    failed: dict[int, tuple[str, str]] = {}
    tables: dict[int, Any] = {}
    for reply in done.values():
        failed |= {int(row): (name, reason) for row, (name, reason) in reply["failed"].items()}
        tables |= {int(row): tuple(table) for row, table in reply["tables"].items()}
    return Decoded(arrays[IMAGES], arrays.get(MASKS), failed, tables)


def end_journal(entry: Entry) -> None:
    """From here on the files are changed in place: an interrupted entry begins anew."""
    for name in (JOURNAL, LOG):
        (entry.folder / name).unlink(missing_ok=True)


def _names_digest(decoding: Decoding) -> str:
    text = json.dumps([[order.image, order.masks] for order in decoding.orders])
    return hashlib.sha256(text.encode()).hexdigest()


def _known(folder: Path, head: str, bytes_of: Mapping[str, int]) -> dict[int, dict[str, Any]] | None:
    """What an earlier process noted of the same work; None where there is nothing to go on with."""
    try:
        lines = (folder / JOURNAL).read_text().split("\n")
    except (OSError, UnicodeDecodeError):
        return None
    if lines[0] != head or any(
        not (folder / name).exists() or (folder / name).stat().st_size != size
        for name, size in bytes_of.items()
    ):
        return None
    done = {}
    for line in lines[1:-1]:  # what follows the last end of a line was cut off
        try:
            note = json.loads(line)
            done[int(note["chunk"])] = {"failed": dict(note["failed"]), "tables": dict(note["tables"])}
        except (ValueError, KeyError, TypeError):
            return None
    return done


def _begin(entry: Entry, head: str, bytes_of: Mapping[str, int]) -> None:
    """Empty files of the right size, whose room on the disk is theirs."""
    for name in (*bytes_of, JOURNAL):
        (entry.folder / name).unlink(missing_ok=True)
    if problem := entry.room_for(sum(bytes_of.values())):
        raise InvalidSetting(
            "cache",
            f"the decoded images do not fit on the disk: {problem}; free some, give a smaller size, or another place "
            "with cache='/some/folder'",
        )
    for name, size in bytes_of.items():
        with (entry.folder / name).open("wb") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                file.truncate(size)
    (entry.folder / JOURNAL).write_text(head + "\n")


class _Journal:
    """Notes which chunks are done, after their pixels are on the disk."""

    def __init__(self, folder: Path, files: Sequence[str]) -> None:
        self._path, self._files = folder / JOURNAL, [folder / name for name in files]
        self._lines: list[str] = []
        self._written = time.monotonic()

    def __enter__(self) -> "_Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self._write()

    def note(self, number: int, reply: Mapping[str, Any]) -> None:
        self._lines.append(json.dumps({"chunk": number, **reply}))
        if time.monotonic() - self._written > SYNC_S:
            self._write()

    def _write(self) -> None:
        for path in self._files:
            with path.open("rb+") as file:
                os.fsync(file.fileno())
        with self._path.open("a") as journal:
            journal.write("".join(f"{line}\n" for line in self._lines))
        self._lines, self._written = [], time.monotonic()


# --- the processes ------------------------------------------------------------------------------


class _Ended(Exception):
    """A process ended before it answered."""


class _Process:
    """One child that decodes what it is told."""

    def __init__(self, folder: Path, job: str) -> None:
        package = str(Path(__file__).resolve().parents[2])
        paths = [package, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
        with (folder / LOG).open("ab") as log:
            self._child = subprocess.Popen(
                [sys.executable, "-P", "-c", "from reswork.datasets.decode_processes import work; work()"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"},
            )
        try:
            self.ask(job)  # "ready"
        except BaseException:
            self.close()
            raise

    def ask(self, line: str) -> Any:
        """Send a line, and wait for the answer."""
        assert self._child.stdin is not None and self._child.stdout is not None
        try:
            self._child.stdin.write(f"{line}\n".encode())
            self._child.stdin.flush()
            return json.loads(self._child.stdout.readline())
        except (OSError, ValueError) as error:
            raise _Ended from error

    def close(self) -> None:
        self._child.kill()
        self._child.communicate()


def _replies(
    folder: Path, decoding: Decoding, shapes: Mapping[str, Sequence[int]], missing: Sequence[int]
) -> Iterator[tuple[int, dict[str, Any]]]:
    """What the processes answer to each chunk, as it comes."""
    job = json.dumps(
        {
            "folder": str(folder),
            "images": asdict(decoding.images),
            "masks": None if decoding.masks is None else asdict(decoding.masks),
            "decoder": decoding.decoder.to_dict(),
            "shapes": shapes,
            "most": decoding.most,
        }
    )
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in missing:
        waiting.put(number)
    answers: queue.SimpleQueue[tuple[int, dict[str, Any]] | BaseException] = queue.SimpleQueue()
    processes: list[_Process] = []
    over: list[bool] = []  # not empty once nobody waits for answers any more

    def start() -> _Process:
        if over:
            raise _Ended
        try:
            processes.append(_Process(folder, job))
        except (_Ended, OSError) as error:
            raise InvalidSetting(
                "cache", f"a process that decodes images could not be started ({_last_line(folder)}): cache=False "
                "decodes in this one",
            ) from error  # fmt: skip
        return processes[-1]

    def serve() -> None:
        try:
            process = start()
            while True:
                try:
                    number = waiting.get_nowait()
                except queue.Empty:
                    return
                rows = _rows_of(decoding, number)
                try:
                    reply = process.ask(_lines_of(decoding, rows))
                except _Ended:
                    process, reply = _one_by_one(start, decoding, rows)
                answers.put((number, reply))
        except BaseException as error:
            answers.put(error)

    count = min(
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        MOST_PROCESSES,
    )
    pool = ThreadPoolExecutor(count, thread_name_prefix="reswork-decode")
    try:
        for _ in range(min(count, len(missing))):
            pool.submit(serve)
        for _ in missing:
            answer = answers.get()
            if isinstance(answer, BaseException):
                raise answer
            yield answer
    finally:
        over.append(True)
        while not waiting.empty():
            waiting.get()
        for process in processes:
            process.close()
        pool.shutdown(wait=True)
        for process in processes:  # one that was started meanwhile
            process.close()


def _one_by_one(start: Any, decoding: Decoding, rows: range) -> tuple[_Process, dict[str, Any]]:
    """A chunk in which a picture ended the process: that one is left out."""
    process: _Process = start()
    whole: dict[str, Any] = {"failed": {}, "tables": {}}
    for row in rows:
        try:
            reply = process.ask(_lines_of(decoding, [row]))
        except _Ended:
            reply = {"failed": {str(row): [decoding.orders[row].image, ENDED]}, "tables": {}}
            process = start()
        for part in whole:
            whole[part] |= reply[part]
    return process, whole


def _lines_of(decoding: Decoding, rows: Sequence[int]) -> str:
    return json.dumps([[row, *asdict(decoding.orders[row]).values()] for row in rows])


def _last_line(folder: Path) -> str:
    try:
        lines = (folder / LOG).read_text(errors="replace").strip().splitlines()
    except OSError:
        lines = []
    return (lines or ["it said nothing"])[-1][:200]


def work() -> None:
    """What a child does: obey lines of JSON until there are no more."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends it
    replies: IO[str] = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints is no answer
    job = json.loads(sys.stdin.readline())
    filler = _Filler(
        Path(job["folder"]),
        Decoder.from_dict(job["decoder"]),
        Source(**job["images"]),
        None if job["masks"] is None else Source(**job["masks"]),
        job["shapes"],
        job["most"],
    )
    print(json.dumps("ready"), file=replies, flush=True)
    for line in sys.stdin:
        failed: dict[int, list[str]] = {}
        tables: dict[int, list[Any]] = {}
        for row, image, masks, size in json.loads(line):
            filler.fill(row, Order(image, tuple(masks), tuple(size)), failed, tables)
        print(json.dumps({"failed": failed, "tables": tables}), file=replies, flush=True)


class _Filler:
    """Reads pictures and masks into the rows of files."""

    def __init__(
        self,
        folder: Path,
        decoder: Decoder,
        images: Source,
        masks: Source | None,
        shapes: Mapping[str, Sequence[int]],
        most: int,
    ) -> None:
        self._decoder, self._most = decoder, most
        self._image, self._mask = images.reader(), None if masks is None else masks.reader()
        self._arrays = {
            name: np.memmap(folder / name, np.uint8, "r+", shape=tuple(shape))
            for name, shape in shapes.items()
        }

    def fill(
        self, row: int, order: Order, failed: dict[int, list[str]], tables: dict[int, list[Any]]
    ) -> None:
        """One row; what cannot be read is named with its reason."""
        name = order.image
        try:
            self._arrays[IMAGES][row] = self._decoder.pixels(self._image(name))
            if self._mask is not None:
                name = order.masks[0]
                found = whole_mask(self._mask, order.masks, order.size, self._decoder.size, self._most)
                self._arrays[MASKS][row] = found.places
                tables[row] = [found.numbers.tolist(), found.colours.tolist(), found.has_palette]
        except (Unreadable, OSError) as error:
            failed[row] = [name, reason_of(error)]


def _in_this_process(
    folder: Path, decoding: Decoding, shapes: Mapping[str, Sequence[int]], missing: Sequence[int]
) -> Iterator[tuple[int, dict[str, Any]]]:
    """The same without other processes, whose start would take longer than so few pictures."""
    filler = _Filler(folder, decoding.decoder, decoding.images, decoding.masks, shapes, decoding.most)
    for number in missing:
        failed: dict[int, list[str]] = {}
        tables: dict[int, list[Any]] = {}
        for row in _rows_of(decoding, number):
            filler.fill(row, decoding.orders[row], failed, tables)
        yield number, {"failed": failed, "tables": tables}


def _rows_of(decoding: Decoding, number: int) -> range:
    return range(number * CHUNK, min((number + 1) * CHUNK, len(decoding.orders)))
