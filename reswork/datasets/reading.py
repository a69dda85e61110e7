"""What is done with a list of picture files before and after their pixels: survey, size, and where they are kept."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from reswork.datasets.cache import CacheChoice, Entry, Kept, entry_for
from reswork.datasets.dataset import Dataset, Skipped
from reswork.datasets.decoder import Decoder
from reswork.datasets.decoding import Header, common_range, headers, range_note
from reswork.datasets.files import FolderFiles, ZipFiles, readable
from reswork.errors import InvalidSetting

AUTOMATIC_BYTES = 4 * 1024**3  # what the most common size may need; beyond, the next of these sides that fits
AUTOMATIC_SIDES = (96, 64, 32)
LARGE_PIXELS = 128**2  # of a picture; beyond, training on it whole takes minutes a step on a processor
LARGEST_SIDE = 4096
MEMORY_SHARE = 0.25  # of the memory that is free; decoded images that need more stay in a file
GIB = 1024**3


@dataclass
class Survey:
    """What is known of pictures before their pixels are decoded.

    Args:
        names: of all files.
        decoder: that gives all of them one form.
        good: which of them can be read so far, bool, (N,).
        skipped: the others, with reasons.
        notes: what will be done to the images.
        sizes: height and width before; (0, 0) where nothing could be read.
    """

    names: Sequence[str]
    decoder: Decoder
    good: np.ndarray
    skipped: list[Skipped]
    notes: list[str]
    sizes: list[tuple[int, int]]

    def fail(self, index: int, name: str, reason: str) -> None:
        """A file that could not be decoded after all."""
        self.good[index] = False
        self.skipped.append(Skipped(readable(name), reason))


def surveyed(files: FolderFiles | ZipFiles, names: Sequence[str], size: tuple[int, int] | None) -> Survey:
    """The headers of all pictures: one size, the most common one unless another is wanted, and one colour.

    Raises:
        InvalidSetting: none can be read.
    """
    found = headers(files, names)
    known = [each for each in found if isinstance(each, Header)]
    skipped = [
        Skipped(readable(name), each)
        for name, each in zip(names, found, strict=True)
        if isinstance(each, str)
    ]
    if not known:
        raise InvalidSetting(
            "path", f"none of the {len(names):,} images can be read; {first_problem(skipped)}"
        )
    channels = 1 if all(each.is_grey for each in known) else 3
    target, notes = _target_size(known, size, channels)
    deep = [
        name for name, each in zip(names, found, strict=True) if isinstance(each, Header) and each.is_deep
    ]
    value_range = common_range(files, deep) if deep else None
    notes += [range_note(value_range)] if value_range else []
    sizes = [(each.height, each.width) if isinstance(each, Header) else (0, 0) for each in found]
    good = np.array([isinstance(each, Header) for each in found])
    return Survey(
        names,
        Decoder(target, channels, value_range),
        good,
        skipped,
        notes + _mode_notes(known, channels),
        sizes,
    )


@dataclass(frozen=True)
class Keeping:
    """Where a data set of pictures is kept: in memory, in the cache besides, or in a file of the cache alone.

    Args:
        choice: what somebody asked for as ``cache=``.
        entry: in the cache.
        signature: of the files that are read.
    """

    choice: CacheChoice
    entry: Entry
    signature: str

    @classmethod
    def of(cls, choice: CacheChoice, settings: Mapping[str, object], signature: str) -> "Keeping":
        """From what was asked for.

        Raises:
            InvalidSetting: neither True, False, ``"disk"`` nor a folder.
        """
        if not isinstance(choice, bool | str | os.PathLike):
            raise InvalidSetting(
                "cache", f"cache={choice!r}: give True, False, 'disk' or the folder of decoded images"
            )
        is_place = not isinstance(choice, bool) and choice != "disk"
        place = Path(choice).expanduser().resolve() if is_place else None  # type: ignore[arg-type]
        return cls(choice, entry_for(settings, place), signature)

    def kept(self, data: Dataset) -> Dataset:
        """A data set in memory, kept in the cache besides where that is wanted; a note says where it could not be."""
        problem = self.entry.keep(data, self.signature) if self.choice else ""
        if not problem:
            return data
        note = f"The decoded images could not be cached ({problem})."
        return data._with(notes=(*data.notes, note))

    def recalled(self) -> Dataset | None:
        """The data set as it was kept; None where it has to be read."""
        kept = self.entry.recalled(self.signature) if self.choice is not False else None
        if kept is None:
            return None
        return kept.in_memory() if self.why_in_file(kept.image_bytes) is None else self.mapped(kept)

    def mapped(self, kept: Kept) -> Dataset:
        """The data set from its file, with a sentence about it."""
        data = kept.in_file()
        why = self.why_in_file(kept.image_bytes)
        return data._with(
            notes=(
                *data.notes,
                f"The decoded images, {kept.image_bytes / GIB:,.1f} GiB, stay in {kept.folder}{why}; each batch is "
                "read from there, so that training is as fast as that disk where memory holds less than all of them.",
            )
        )

    def why_in_file(self, size: int) -> str | None:
        """Whether so many bytes of images stay in a file, as the end of a sentence; None: they go into memory.

        Raises:
            InvalidSetting: they fit nowhere.
        """
        free = psutil.virtual_memory().available
        if self.choice is False:
            if 2 * size > free:  # once decoded, once by split
                raise InvalidSetting(
                    "size",
                    f"the images need {2 * size / GIB:,.1f} GiB to be read, and {free / GIB:,.1f} GiB are free; give "
                    "a smaller size, or leave cache=False out, so that they stay on disk",
                )
            return None
        if self.choice is not True:
            return ""
        if size <= MEMORY_SHARE * free:
            return None
        return (
            f", as they are more than {MEMORY_SHARE:.0%} of the {free / GIB:,.1f} GiB of memory that are free"
        )


def _target_size(
    known: Sequence[Header], size: tuple[int, int] | None, channels: int
) -> tuple[tuple[int, int], list[str]]:
    """The size of all images, and a sentence where some had another."""
    sizes = Counter((each.height, each.width) for each in known)
    common = sizes.most_common(1)[0][0]
    target, why = size or common, ""
    most = AUTOMATIC_BYTES / (len(known) * channels)
    too_many, too_large = common[0] * common[1] > most, common[0] * common[1] > LARGE_PIXELS
    if size is None and (too_many or too_large):
        side = next((side for side in AUTOMATIC_SIDES if side**2 <= most), AUTOMATIC_SIDES[-1])
        target, why = (
            (side, side),
            f" because {common[0]}x{common[1]} would need too much "
            f"{'memory' if too_many else 'time to train on'} (size=224 or another decides)",
        )
    others = len(known) - sizes[target]
    height, width = target
    changed = f"{others:,} of {len(known):,} images had another size"
    return target, [f"{changed} and were scaled and cut to {height}x{width}{why}."] if others else []


def _mode_notes(known: Sequence[Header], channels: int) -> list[str]:
    """Sentences about changed colours."""
    kinds = {
        "were grey and became colour": sum(each.is_grey for each in known) if channels == 3 else 0,
        "had transparent parts, laid on white": sum(each.is_transparent for each in known),
        "had 16 bits or more and became 8-bit": sum(each.is_deep for each in known),
        "have 16 bits for each colour, of which the upper 8 are read": sum(
            each.is_deep_colour for each in known
        ),
        "have several pages or frames, of which the first is read": sum(each.has_pages for each in known),
        "were CMYK and became RGB": sum(each.mode == "CMYK" for each in known),
    }
    return [f"{count:,} images {what}." for what, count in kinds.items() if count]


def checked_size(size: int | tuple[int, int] | None) -> tuple[int, int] | None:
    """Height and width.

    Raises:
        InvalidSetting: something else.
    """
    if size is None:
        return None
    pair = tuple(size) if isinstance(size, (tuple, list)) else (size, size)
    if len(pair) != 2 or not all(type(side) is int and 1 <= side <= LARGEST_SIDE for side in pair):
        raise InvalidSetting(
            "size", f"size={size!r}: give height and width in pixels, 1 to {LARGEST_SIDE}, or None"
        )
    return pair[0], pair[1]


def file_signature(path: Path) -> str:
    """Another one after the file was changed."""
    status = path.stat()
    return f"{status.st_size}-{status.st_mtime_ns}"


def first_problem(skipped: Sequence[Skipped]) -> str:
    """Words for the end of an error: why the first file could not be used."""
    return f"the first problem: {skipped[0]}" if skipped else "the others are empty"
