"""From an image file's bytes to pixels: one size, one number of channels, 8 bits; by several threads.

Pillow lets other threads run while it decodes. Damaged files and pixel bombs give a reason, never an
exception that ends the reading of all others.
"""

import io
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

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
ORIENTATION = 0x0112  # the exif tag; 5 to 8 swap width and height


@dataclass(frozen=True)
class Header:
    """What can be known of an image before its pixels are decoded."""

    height: int
    width: int
    mode: str  # Pillow's

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


def headers(files: Files, names: Sequence[str]) -> list[Header | str]:
    """Of each file its header, or the reason why it has none."""
    found: list[Header | str] = [""] * len(names)

    def read(index: int) -> None:
        try:
            found[index] = header(files.read(names[index]))
        except (Unreadable, OSError) as error:
            found[index] = reason_of(error)

    by_threads(len(names), read)
    return found


def decoded(
    files: Files, names: Sequence[str], size: tuple[int, int], channels: int
) -> tuple[np.ndarray, dict[int, str]]:
    """All images, uint8 (N, C, H, W), and why some could not be decoded; those stay black."""
    images = np.zeros((len(names), channels, *size), np.uint8)
    reasons: dict[int, str] = {}

    def read(index: int) -> None:
        try:
            values = pixels(files.read(names[index]), size, channels)
        except (Unreadable, OSError) as error:
            reasons[index] = reason_of(error)
        else:
            images[index] = values.transpose(2, 0, 1) if channels == 3 else values

    by_threads(len(names), read)
    return images, reasons


def header(data: bytes) -> Header:
    """Size, as it will be shown, and mode.

    Raises:
        Unreadable: no image of a known format, a floating-point one, or one with too many pixels.
    """
    try:
        with opened(data) as image:
            width, height = image.size
            # Pillow decodes a whole PNG to look for exif behind its pixels: that is not worth it here
            turned = image.format != "PNG" and image.getexif().get(ORIENTATION, 1) in (5, 6, 7, 8)
            mode = "RGBA" if "transparency" in image.info and image.mode in ("P", "RGB", "L") else image.mode
    except Unreadable:
        raise
    except Exception as error:  # Pillow raises whatever a damaged file makes its parsers stumble over
        raise Unreadable(reason_of(error)) from error
    return Header(width, height, mode) if turned else Header(height, width, mode)


def pixels(data: bytes, size: tuple[int, int], channels: int) -> np.ndarray:
    """The picture upright, scaled and cut to size, on white where it was transparent.

    Args:
        data: the file.
        size: height and width.
        channels: 1 for grey, 3 for colour.

    Returns:
        uint8, (H, W) or (H, W, 3).

    Raises:
        Unreadable: damaged, truncated, of an unknown format, or too large.
    """
    height, width = size
    try:
        with opened(data) as image:
            image.draft(
                None, (2 * max(size), 2 * max(size))
            )  # large JPEGs are decoded at half, a quarter ... size
            plain = _eight_bits(ImageOps.exif_transpose(image), "L" if channels == 1 else "RGB")
        if plain.size != (width, height):
            plain = ImageOps.fit(plain, (width, height), Image.Resampling.BICUBIC)
        return np.asarray(plain)
    except Unreadable:
        raise
    except Exception as error:  # Pillow raises whatever a damaged file makes its parsers stumble over
        raise Unreadable(reason_of(error)) from error


def opened(data: bytes) -> Image.Image:
    """The image, its pixels not yet decoded."""
    if not data:
        raise Unreadable("empty file")
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise Unreadable("a pixel bomb: more than 8192x8192 pixels") from error
    except UnidentifiedImageError as error:
        raise Unreadable("no image of a known format") from error
    if image.width * image.height > MOST_PIXELS:
        raise Unreadable(f"a pixel bomb: {image.width}x{image.height} pixels, at most 8192x8192 are read")
    if image.mode == "F":
        raise Unreadable("floating-point pixels have no fixed range")
    return image


def _eight_bits(image: Image.Image, mode: str) -> Image.Image:
    """Any mode as ``L`` or ``RGB``."""
    if image.mode == mode and "transparency" not in image.info:
        return image
    if image.mode.startswith("I"):
        values = np.clip(np.asarray(image).astype(np.int64), 0, 65_535)
        return Image.fromarray(((values + 128) // 257).astype(np.uint8)).convert(mode)
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


def by_threads(count: int, work: Callable[[int], None]) -> None:
    """Do the work for each number; an error or an interrupt ends it without waiting for the rest."""
    workers = min(os.cpu_count() or 1, 16)
    chunks = [range(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK)]

    def do(chunk: range) -> None:
        for index in chunk:
            work(index)

    pool = ThreadPoolExecutor(workers, thread_name_prefix="reswork-decode")
    try:
        for _ in pool.map(do, chunks):
            pass
    finally:
        pool.shutdown(cancel_futures=True)
