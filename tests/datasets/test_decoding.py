import io
from collections.abc import Mapping

import numpy as np
import pytest
from PIL import Image

from reswork.datasets.decoder import Decoder, decoded
from reswork.datasets.decoding import Unreadable, common_range, header, headers, pixels
from tests.datasets.image_files import encoded, picture, png_of_claimed_size

COLOUR = picture(1, 6, 9)
GREY = COLOUR[..., 0]


class Memory:
    """Files in a dictionary."""

    folders: list[str] = []  # noqa: RUF012
    refused: list = []  # noqa: RUF012

    def __init__(self, contents: Mapping[str, bytes]) -> None:
        self.contents = contents
        self.names = list(contents)

    def read(self, name: str) -> bytes:
        return self.contents[name]

    def open(self, name: str) -> io.BytesIO:
        return io.BytesIO(self.contents[name])


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "WEBP"])
def test_formats_without_loss_give_the_very_pixels(kind: str) -> None:
    data = encoded(COLOUR, kind, **({"lossless": True} if kind == "WEBP" else {}))
    assert np.array_equal(pixels(data, (6, 9), 3), COLOUR)
    assert (header(data).height, header(data).width) == (6, 9)


@pytest.mark.parametrize("kind", ["JPEG", "GIF"])
def test_formats_with_loss_come_close(kind: str) -> None:
    smooth = np.linspace(0, 255, 6 * 9 * 3).reshape(6, 9, 3).astype(np.uint8)
    data = encoded(smooth, kind)
    assert abs(pixels(data, (6, 9), 3).astype(int) - smooth).max() < 40


def test_grey_stays_grey_or_becomes_colour() -> None:
    data = encoded(GREY)
    assert header(data).is_grey
    assert np.array_equal(pixels(data, (6, 9), 1), GREY)
    assert np.array_equal(pixels(data, (6, 9), 3), np.repeat(GREY[..., None], 3, 2))
    assert not header(encoded(COLOUR)).is_grey


def test_black_and_white() -> None:
    image = Image.fromarray(GREY).convert("1")
    assert set(pixels(encoded(image), (6, 9), 1).ravel().tolist()) == {0, 255}


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_keep_their_range(kind: str) -> None:
    values = np.array([[0, 257, 257 * 100, 65_535]], np.uint16)
    data = encoded(values, kind)
    assert header(data).is_grey
    assert pixels(data, (1, 4), 1).tolist() == [[0, 1, 100, 255]]
    assert pixels(data, (1, 4), 3)[0, 2].tolist() == [100, 100, 100]


def test_thirty_two_bits_are_held_to_sixteen() -> None:
    data = encoded(Image.fromarray(np.array([[-5, 0, 65_535, 2**30]], np.int32)), "TIFF")
    assert pixels(data, (1, 4), 1).tolist() == [[0, 0, 255, 255]]


def test_floats_need_a_range() -> None:
    data = encoded(Image.fromarray(np.array([[-1.0, 0.0, 1.0, np.nan, np.inf]], np.float32)), "TIFF")
    assert header(data).is_deep
    with pytest.raises(Unreadable, match="floating-point"):
        pixels(data, (1, 5), 1)
    assert pixels(data, (1, 5), 1, (-1.0, 1.0)).tolist() == [[0, 128, 255, 0, 255]]


def test_one_range_for_all_files() -> None:
    values = [np.array([[100, 4_000]], np.uint16), np.array([[7, 4_095]], np.uint16)]
    files = Memory({f"{n}.png": encoded(each) for n, each in enumerate(values)} | {"bad.png": b"no image"})
    assert common_range(files, files.names) == (7.0, 4_095.0)
    images, reasons = decoded(files, files.names, Decoder((1, 2), 1, (7.0, 4_095.0)))
    assert images[:2, 0, 0].tolist() == [[round(93 / 4_088 * 255), round(3_993 / 4_088 * 255)], [0, 255]]
    assert list(reasons) == [2]
    assert common_range(files, ["bad.png"]) is None


def test_signed_numbers_keep_their_order() -> None:
    values = np.array([[-1000, 0, 3000]], np.int32)
    data = encoded(Image.fromarray(values), "TIFF")
    assert pixels(data, (1, 3), 1, (-1000.0, 3000.0)).tolist() == [[0, 64, 255]]


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP", "PNG"])
def test_several_pages_are_known(kind: str) -> None:
    pages = [Image.fromarray(picture(n)) for n in range(3)]
    assert header(encoded(pages[0], kind, save_all=True, append_images=pages[1:])).has_pages
    assert not header(encoded(pages[0], kind)).has_pages


def test_palette_with_and_without_transparency() -> None:
    image = Image.fromarray(COLOUR).quantize(16)
    assert np.array_equal(pixels(encoded(image), (6, 9), 3), np.asarray(image.convert("RGB")))
    image.info["transparency"] = 3
    shown = pixels(encoded(image, transparency=3), (6, 9), 3)
    assert (shown[np.asarray(image) == 3] == 255).all()


def test_cmyk() -> None:
    image = Image.new("CMYK", (9, 6), (255, 0, 0, 0))  # cyan
    shown = pixels(encoded(image, "JPEG", quality=95), (6, 9), 3)
    assert abs(shown.astype(int) - [0, 255, 255]).max() < 12


def test_transparent_parts_are_laid_on_white() -> None:
    values = np.zeros((2, 2, 4), np.uint8)
    values[0, 0] = (10, 20, 30, 255)
    values[0, 1] = (0, 0, 0, 128)
    shown = pixels(encoded(values), (2, 2), 3)
    assert shown[0, 0].tolist() == [10, 20, 30]
    assert shown[0, 1].tolist() == [127, 127, 127]
    assert shown[1, 1].tolist() == [255, 255, 255]
    grey = Image.fromarray(values).convert("LA")
    assert pixels(encoded(grey), (2, 2), 1)[1, 1] == 255
    assert header(encoded(grey)).is_grey
    assert header(encoded(grey)).is_transparent


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_exif_turns_the_picture_upright(orientation: int, kind: str) -> None:
    values = np.zeros((16, 24, 3), np.uint8)
    values[:8, :8] = 255  # a white corner, top left
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(values, kind, exif=exif)
    upright = {1: values, 3: np.rot90(values, 2), 6: np.rot90(values, -1), 8: np.rot90(values)}[orientation]
    shown = pixels(data, upright.shape[:2], 3)
    assert abs(shown.astype(int) - upright).mean() < 5
    if kind != "PNG":
        assert (header(data).height, header(data).width) == upright.shape[:2]


def test_another_size_is_covered_and_cut_around_the_centre() -> None:
    values = np.zeros((20, 40, 3), np.uint8)
    values[:, 10:30] = 255
    assert (pixels(encoded(values), (10, 10), 3) > 200).all()
    assert pixels(encoded(values), (7, 30), 3).shape == (7, 30, 3)


def test_large_jpegs_are_read_at_a_smaller_scale_without_a_visible_difference() -> None:
    values = np.asarray(Image.fromarray(picture(0, 8, 8)).resize((800, 800), Image.Resampling.BICUBIC))
    shown = pixels(encoded(values, "JPEG", quality=95), (32, 32), 3).astype(int)
    slow = np.asarray(Image.fromarray(values).resize((32, 32), Image.Resampling.BICUBIC))
    assert abs(shown - slow).mean() < 4


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"not an image", "no image of a known format"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no image of a known format"),
        (png_of_claimed_size(9_000, 9_000), "pixel bomb"),
        (png_of_claimed_size(10_000, 10_000), "pixel bomb"),
        (png_of_claimed_size(100_000, 100_000), "pixel bomb"),
    ],
)
def test_refuses_what_is_no_image_or_too_large(data: bytes, words: str) -> None:
    for attempt in (lambda: header(data), lambda: pixels(data, (8, 8), 3)):
        with pytest.raises(Unreadable, match=words):
            attempt()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM"])
def test_every_truncation_gives_a_reason_or_a_picture_and_nothing_else(kind: str) -> None:
    data = encoded(picture(0, 24, 24), kind)
    refused = 0
    for length in range(0, len(data) - 40, max(1, len(data) // 60)):
        try:
            assert pixels(data[:length], (24, 24), 3).shape == (24, 24, 3)
        except Unreadable:
            refused += 1
    assert refused > 40


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM"])
def test_random_damage_gives_a_reason_or_a_picture_and_nothing_else(kind: str) -> None:
    data = encoded(picture(0, 24, 24), kind)
    random = np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(data)
        for place in random.integers(0, len(data), 8):
            damaged[place] = random.integers(256)
        for attempt in (header, lambda content: pixels(content, (24, 24), 3)):
            try:
                attempt(bytes(damaged))
            except Unreadable as error:
                assert 0 < len(str(error)) <= 200


def test_only_the_bytes_decide_not_the_name() -> None:
    files = Memory({"a.jpg": encoded(COLOUR, "PNG")})
    assert np.array_equal(decoded(files, files.names, Decoder((6, 9), 3))[0][0], COLOUR.transpose(2, 0, 1))


def test_many_files_by_threads_keep_their_order_and_their_failures() -> None:
    contents = {f"{n}.png": encoded(picture(n)) for n in range(300)}
    contents["7.png"], contents["200.png"] = b"", contents["200.png"][:60]
    files = Memory(contents)
    images, reasons = decoded(files, files.names, Decoder((8, 8), 3))
    assert sorted(reasons) == [7, 200]
    assert reasons[7] == "empty file"
    assert reasons[200] == "truncated"
    for n in set(range(300)) - {7, 200}:
        assert np.array_equal(images[n], picture(n).transpose(2, 0, 1))
    found = headers(files, files.names)
    assert found[7] == "empty file"
    assert len(found) == 300


def test_an_unexpected_error_ends_the_reading() -> None:
    class Broken(Memory):
        def open(self, name: str) -> io.BytesIO:
            raise RuntimeError("no such thing should happen")

    with pytest.raises(RuntimeError, match="no such thing"):
        headers(Broken({}), ["a"] * 1000)


def test_animations_give_their_first_picture() -> None:
    frames = [Image.new("L", (8, 8), value) for value in (0, 120, 255)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    assert pixels(buffer.getvalue(), (8, 8), 3).max() == 0
