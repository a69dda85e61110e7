"""From a mask's file to its values: every pixel keeps exactly the number or colour that it has."""

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageOps

from reswork.datasets.decoding import Unreadable, by_threads, opened, reason_of
from reswork.datasets.files import Files, readable
from reswork.datasets.mask_values import NO_CODE, RawMask
from reswork.datasets.targets import MOST_MASK_CLASSES

GREYS = 0x010101  # a grey as a colour


def decoded_masks(
    files: Files,
    names: Sequence[Sequence[str]],
    images: Sequence[tuple[int, int]],
    size: tuple[int, int],
    most: int,
) -> list[RawMask | str]:
    """Of each image its mask, or why it cannot be used.

    Args:
        files: where they are.
        names: of the files, one for each image, or one for each of its objects.
        images: height and width of the image that each belongs to, before scaling.
        size: height and width after scaling.
        most: different values that one mask may hold.
    """
    found: list[RawMask | str] = [""] * len(names)

    def read(index: int) -> None:
        try:
            found[index] = whole_mask(files.read, names[index], images[index], size, most)
        except (Unreadable, OSError) as error:
            found[index] = reason_of(error)

    by_threads(len(names), read, "Decoding masks")
    return found


def whole_mask(
    read: Callable[[str], bytes],
    names: Sequence[str],
    image: tuple[int, int],
    size: tuple[int, int],
    most: int,
) -> RawMask:
    """The mask of an image: its file's, or the objects of several files numbered from 1.

    What is not 0 and not black in a file is its object; a pixel that several have is the last one's.

    Args:
        read: gives a file's content.
        names: of the files.
        image: as `raw_mask` takes it, as are the others.
        size: see there.
        most: see there.

    Raises:
        Unreadable: one of them is, or there are too many.
    """
    if len(names) == 1:
        return raw_mask(read(names[0]), readable(names[0]), image, size, most)
    if len(names) >= MOST_MASK_CLASSES:
        raise Unreadable(
            f"{len(names):,} files of objects, more than the {MOST_MASK_CLASSES - 1} of an image"
        )
    places = np.zeros(size, np.uint8)
    for number, name in enumerate(names, 1):
        try:
            one = raw_mask(read(name), name, image, size, most)
        except (Unreadable, OSError) as error:
            raise Unreadable(f"{readable(name)}: {reason_of(error)}") from error
        there = np.where(one.numbers == NO_CODE, one.colours, one.numbers) != 0
        places[there[one.places]] = number
    numbers = np.arange(len(names) + 1)
    return RawMask(readable(names[0]), places, numbers, numbers * GREYS, False)


def raw_mask(data: bytes, name: str, image: tuple[int, int], size: tuple[int, int], most: int) -> RawMask:
    """A mask scaled and cut as `decoding.pixels` does with its image, but each pixel from its nearest neighbour.

    Read are index and palette PNGs, grey ones of 1, 8 or 16 bits, coloured ones, and other formats without loss;
    transparent pixels count as black.

    Args:
        data: the file.
        name: for errors.
        image: height and width of its image.
        size: height and width of the result.
        most: different values that it may hold, up to 255.

    Raises:
        Unreadable: damaged, of another size than its image, JPEG, or with too many values.
    """
    try:
        with opened(data) as file:
            if file.format == "JPEG":
                raise Unreadable("a JPEG, which changes the values of a mask: save masks as PNG")
            if file.mode == "F":
                raise Unreadable("floating-point pixels are no numbers of classes")
            upright = ImageOps.exif_transpose(file)
            if (upright.height, upright.width) != image:
                raise Unreadable(
                    f"a mask of {upright.height}x{upright.width} pixels for an image of {image[0]}x{image[1]}"
                )
            palette = upright.getpalette("RGB") if upright.mode == "P" else None
            values = np.asarray(ImageOps.fit(_exact(upright), (size[1], size[0]), Image.Resampling.NEAREST))
    except Unreadable:
        raise
    except Exception as error:  # Pillow raises whatever a damaged file makes its parsers stumble over
        raise Unreadable(reason_of(error)) from error
    return _tabled(name, values.astype(np.int64), palette, most)


def _exact(image: Image.Image) -> Image.Image:
    """In a mode whose values can be taken as they are: nothing is mixed or rounded."""
    if image.mode in ("1", "L", "P", "RGB") or image.mode.startswith("I"):
        return image
    if image.mode in ("LA", "RGBA"):
        opaque = image.getchannel("A").point(lambda alpha: 255 if alpha >= 128 else 0)
        plain = image.convert(image.mode[:-1])
        return Image.composite(plain, Image.new(plain.mode, plain.size), opaque)
    return image.convert("RGB")


def _tabled(name: str, values: np.ndarray, palette: list[int] | None, most: int) -> RawMask:
    is_coloured = values.ndim == 3
    if is_coloured:
        values = values[..., 0] << 16 | values[..., 1] << 8 | values[..., 2]
    table, places = np.unique(values, return_inverse=True)
    if len(table) > most:
        raise Unreadable(
            f"{len(table):,} different {'colours' if is_coloured else 'numbers'}, more than the {most} of a mask: "
            "a photograph, soft edges or noise from compression"
        )
    if is_coloured:
        numbers, colours = np.where(table == (table & 255) * GREYS, table & 255, NO_CODE), table
    elif palette is not None:
        triples = np.zeros((256, 3), np.int64)
        triples[: len(palette) // 3] = np.reshape(palette, (-1, 3))
        numbers, colours = table, triples[table] @ np.array([1 << 16, 1 << 8, 1])
    else:
        numbers, colours = table, np.where(table <= 255, table * GREYS, NO_CODE)
    return RawMask(name, places.reshape(values.shape).astype(np.uint8), numbers, colours, palette is not None)
