"""From an image file's bytes to pixels: one size, one number of channels, 8 bits; by several threads.

Pillow lets other threads run while it decodes. Damaged files and pixel bombs give a reason, never an
exception that ends the reading of all others.
"""

import contextlib
import io
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from reswork.datasets.progress import Ticker

if TYPE_CHECKING:
    from reswork.datasets.files import Files

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM")
EXTENSIONS = frozenset(
    (
        ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".dib", ".webp", ".tif", ".tiff",
        ".ppm", ".pgm", ".pbm", ".pnm",
    )
)  # fmt: skip
MOST_PIXELS = 64 * 1024**2  # 8192 x 8192
CHUNK = 64  # files that one thread takes at once
SIXTEEN_BITS = (0.0, 65_535.0)
BITS_PER_SAMPLE = 258  # the tag of a TIFF
ORIENTATION = 0x0112  # the exif tag; 5 to 8 swap width and height


ValueRange = tuple[float, float]


@dataclass(frozen=True)
class Header:
    """What can be known of an image before its pixels are decoded."""

    height: int
    width: int
    mode: str  # Pillow's
    has_pages: bool = False  # more than one
    is_deep_colour: bool = False  # 16 bits for each colour, of which Pillow gives the upper 8

    @property
    def is_deep(self) -> bool:
        """Whether its numbers are no bytes, so that they need a range."""
        return self.mode == "F" or self.mode.startswith("I")

    @property
    def is_grey(self) -> bool:
        """Whether it has no colours."""
        return self.mode in ("1", "L", "LA", "La", "F") or self.mode.startswith("I")

    @property
    def is_transparent(self) -> bool:
        """Whether it has an alpha channel."""
        return self.mode in ("LA", "La", "PA", "RGBA", "RGBa")


class Unreadable(Exception):
    """Why an image cannot be used."""


def headers(files: "Files", names: Sequence[str]) -> list[Header | str]:
    """Of each file its header, or the reason why it has none."""
    found: list[Header | str] = [""] * len(names)

    def read(index: int) -> None:
        try:
            with files.open(names[index]) as file:
                found[index] = header(file)
        except (Unreadable, OSError) as error:
            found[index] = reason_of(error)

    by_threads(len(names), read, "Looking at the files")
    return found


def common_range(files: "Files", names: Sequence[str]) -> ValueRange | None:
    """The lowest and the highest number in all of these deep images; None where there is no finite one."""
    found: list[ValueRange | None] = [None] * len(names)

    def read(index: int) -> None:
        with contextlib.suppress(Exception):  # `decoded` gives the reason
            with opened(files.read(names[index])) as image:
                values = np.asarray(image)
            finite = values[np.isfinite(values)]
            found[index] = (float(finite.min()), float(finite.max()))

    by_threads(len(names), read, "Finding the range of the numbers")
    known = [each for each in found if each is not None]
    return (min(low for low, _ in known), max(high for _, high in known)) if known else None


def header(source: bytes | BinaryIO) -> Header:
    """Size, as it will be shown, and mode; of a file only as much is read as that takes.

    Raises:
        Unreadable: no image of a known format, or one with too many pixels.
    """
    try:
        file = io.BytesIO(source) if isinstance(source, bytes) else source
        start = file.read(25)
        file.seek(0)
        with opened(file if start else b"") as image:
            width, height = image.size
            # Pillow decodes a whole PNG to look for exif behind its pixels: that is not worth it here
            turned = image.format != "PNG" and image.getexif().get(ORIENTATION, 1) in (5, 6, 7, 8)
            mode = "RGBA" if "transparency" in image.info and image.mode in ("P", "RGB", "L") else image.mode
            deep_colour = _has_deep_colour(image, start)
            pages = _has_pages(image)
    except Unreadable:
        raise
    except Exception as error:  # Pillow raises whatever a damaged file makes its parsers stumble over
        raise Unreadable(reason_of(error)) from error
    height, width = (width, height) if turned else (height, width)
    return Header(height, width, mode, pages, deep_colour)


def _has_deep_colour(image: Image.Image, start: bytes) -> bool:
    if image.mode not in ("RGB", "RGBA", "LA"):
        return False
    if image.format == "PNG":
        return len(start) > 24 and start[24] == 16  # bits of each channel, in the header
    tags = getattr(image, "tag_v2", {})
    return image.format == "TIFF" and max(tags.get(BITS_PER_SAMPLE, (8,))) > 8


def _has_pages(image: Image.Image) -> bool:
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:  # Pillow looks for a second page, and stumbles where the first alone could be read
        return False


def pixels(
    data: bytes, size: tuple[int, int] | None, channels: int, value_range: ValueRange | None = None
) -> np.ndarray:
    """The picture upright, scaled and cut to size, on white where it was transparent.

    Args:
        data: the file.
        size: height and width; None: its own.
        channels: 1 for grey, 3 for colour.
        value_range: numbers that become black and white where they are no bytes, as in the data set; None: 0, 65,535.

    Returns:
        uint8, (H, W) or (H, W, 3).

    Raises:
        Unreadable: damaged, truncated, of an unknown format, too large, or floating-point without a range.
    """
    try:
        with opened(data) as image:
            if size is not None:  # large JPEGs are decoded at half, a quarter ... size
                image.draft(None, (2 * max(size), 2 * max(size)))
            plain = _eight_bits(ImageOps.exif_transpose(image), "L" if channels == 1 else "RGB", value_range)
        if size is not None and plain.size != size[::-1]:
            plain = ImageOps.fit(plain, size[::-1], Image.Resampling.BICUBIC)
        return np.asarray(plain)
    except Unreadable:
        raise
    except Exception as error:  # Pillow raises whatever a damaged file makes its parsers stumble over
        raise Unreadable(reason_of(error)) from error


def opened(source: bytes | BinaryIO) -> Image.Image:
    """The image, its pixels not yet decoded."""
    if source == b"":
        raise Unreadable("empty file")
    try:
        image = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise Unreadable("a pixel bomb: more than 8192x8192 pixels") from error
    except UnidentifiedImageError as error:
        raise Unreadable("no image of a known format") from error
    if image.width * image.height > MOST_PIXELS:
        raise Unreadable(f"a pixel bomb: {image.width}x{image.height} pixels, at most 8192x8192 are read")
    return image


def scaled(values: np.ndarray, value_range: ValueRange) -> np.ndarray:
    """Numbers as bytes, uint8, the same shape: the range from 0 to 255, what lies outside of it held to its ends.

    Args:
        values: any numbers; those that are not finite become black.
        value_range: the numbers of black and of white.
    """
    low, high = value_range
    finite = np.nan_to_num(values.astype(np.float64), nan=low, posinf=high, neginf=low)
    return np.round((np.clip(finite, low, high) - low) * (255.0 / ((high - low) or 1.0))).astype(np.uint8)


def range_note(value_range: ValueRange) -> str:
    """A sentence about numbers that are no bytes."""
    low, high = value_range
    return f"The numbers {low:,.6g} to {high:,.6g}, the range of the whole set, became the bytes 0 to 255."


def _eight_bits(image: Image.Image, mode: str, value_range: ValueRange | None) -> Image.Image:
    """Any mode as ``L`` or ``RGB``."""
    if image.mode == mode and "transparency" not in image.info:
        return image
    if image.mode.startswith("I"):
        return Image.fromarray(scaled(np.asarray(image), value_range or SIXTEEN_BITS)).convert(mode)
    if image.mode == "F":
        if value_range is None:
            raise Unreadable("floating-point pixels have no fixed range")
        return Image.fromarray(scaled(np.asarray(image), value_range)).convert(mode)
    if "transparency" in image.info or image.mode in ("LA", "La", "PA", "RGBA", "RGBa"):
        ground = Image.new("RGBA", image.size, "white")
        ground.alpha_composite(image.convert("RGBA"))
        return ground.convert(mode)
    if mode == "L" and image.mode == "1":
        return image.convert("L")
    return image.convert("RGB").convert(mode)


def reason_of(error: Exception) -> str:
    """What went wrong, in a few words."""
    words = str(error) or type(error).__name__
    return "truncated" if "truncated" in words.lower() else words[:120]


def by_threads(count: int, work: Callable[[int], None], what: str) -> None:
    """Do the work for each number, and tell how far it is; an error or an interrupt ends it without waiting."""
    workers = min(os.cpu_count() or 1, 16)
    chunks = [range(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK)]

    def do(chunk: range) -> None:
        for index in chunk:
            work(index)

    pool = ThreadPoolExecutor(workers, thread_name_prefix="reswork-decode")
    try:
        with Ticker(what, count) as ticker:
            for chunk, _ in zip(chunks, pool.map(do, chunks), strict=True):
                ticker.advance(len(chunk))
    finally:
        pool.shutdown(cancel_futures=True)
