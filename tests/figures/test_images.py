import io
from base64 import b64decode

import numpy as np
import pytest
from PIL import Image

from reswork.errors import InvalidSetting
from reswork.figures import image_grid
from reswork.figures.images import _png, mosaic_of


def decoded(source: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(b64decode(source.partition(",")[2]))))


def test_png_gives_back_the_pixels():
    pixels = np.random.default_rng(0).integers(0, 256, (13, 7, 4), np.uint8)
    assert np.array_equal(decoded(_png(pixels)), pixels)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_every_picture_is_in_the_mosaic_unchanged(channels):
    images = np.random.default_rng(0).integers(0, 256, (5, channels, 8, 8), np.uint8)
    figure = image_grid(images, columns=3)
    assert len(figure.data) == 1 and figure.data[0].type == "image"
    mosaic = decoded(figure.data[0].source)
    info = mosaic_of(images, (), 3)
    for index, image in enumerate(images):
        top, left = index // 3 * info.cell[0], index % 3 * info.cell[1]
        assert info.corner(index) == (left, top)
        shown = mosaic[top : top + 8, left : left + 8]
        wanted = np.broadcast_to(image[:3] if channels >= 3 else image, (3, 8, 8)).transpose(1, 2, 0)
        assert np.array_equal(shown[..., :3], wanted)
        assert (shown[..., 3] == 255).all()


def test_gaps_are_transparent():
    info = mosaic_of(np.full((2, 1, 16, 16), 9, np.uint8), (), None)
    assert (info.pixels[:, 16, 3] == 0).all()


def test_titles_are_cut_escaped_and_above_their_pictures():
    long = "a class name that is far too long for a picture"
    notes = image_grid(
        np.zeros((3, 1, 28, 28), np.uint8), [long, "<i>$</i>", "c", "left over"]
    ).layout.annotations
    assert len(notes) == 3
    lines = notes[0].text.split("<br>")
    assert len(lines) == 2 and lines[1].endswith("…") and max(map(len, lines)) < 25
    assert notes[1].text == "&lt;i&gt;&#36;&lt;/i&gt;"
    assert notes[0].x < notes[1].x < notes[2].x and notes[0].y == notes[2].y


def test_titles_of_two_lines_have_room_and_words_are_not_torn():
    images = np.zeros((9, 1, 16, 16), np.uint8)
    one = mosaic_of(images, ("cat",) * 9, 9)
    two = mosaic_of(images, ("cat",) * 8 + ("integrated gradients",), 9)
    assert two.room > one.room > 0 and mosaic_of(images, (), 9).room == 0
    texts = [
        note.text
        for note in image_grid(images, ["integrated gradients", "caterpillars"], columns=9).layout.annotations
    ]
    assert texts == ["integrated<br>gradients", "caterpill…"]


def test_big_pictures_are_averaged_down():
    images = np.full((16, 3, 640, 480), 100, np.uint8)
    info = mosaic_of(images, (), 4)
    assert max(info.pixels.shape) <= 1_100
    assert (info.pixels[..., :3][info.pixels[..., 3] == 255] == 100).all()


def test_no_pictures():
    figure = image_grid(np.zeros((0, 3, 8, 8), np.uint8))
    assert len(figure.data) == 0 and figure.layout.annotations[0].text == "no pictures"


def test_shape_and_type_are_checked():
    with pytest.raises(InvalidSetting, match="float32"):
        image_grid(np.zeros((1, 3, 8, 8), np.float32))
    with pytest.raises(InvalidSetting, match="N, C, H, W"):
        image_grid(np.zeros((3, 8, 8), np.uint8))


def test_a_hundred_pictures_stay_light():
    images = np.random.default_rng(0).integers(0, 256, (100, 1, 28, 28), np.uint8)
    assert len(image_grid(images, ["x"] * 100).to_json()) < 200_000


def test_each_picture_says_its_name_when_clicked():
    images = np.zeros((5, 1, 8, 8), np.uint8)
    figure = image_grid(images, ["a"] * 5, columns=3, names=[f"test image {k}" for k in range(5)])
    info, cells = mosaic_of(images, ("a",) * 5, 3), figure.data[1]
    for index in range(5):
        left, top = info.corner(index)
        column = np.abs(cells.x - (left + 3.5)).argmin()
        row = np.abs(cells.y - (top + 3.5)).argmin()
        assert abs(cells.x[column] - left - 3.5) < info.cell[1] / 2
        assert cells.customdata[row][column] == f"test image {index}" and cells.z[row, column] == 0
    assert np.isnan(cells.z[1, 2])  # no picture is there


def test_titles_that_come_again_are_told_once():
    figure = image_grid(np.zeros((6, 3, 4, 4), np.uint8), ["picture", "mask"] * 3)
    assert figure.layout.meta["summary"] == "6 pictures: picture (3 times), mask (3 times)."
    listed = image_grid(np.zeros((2, 3, 4, 4), np.uint8), ["1 circle\n2 stars", "1 ring"])
    assert listed.layout.meta["summary"] == "2 pictures: 1 circle, 2 stars; 1 ring."
    many = image_grid(np.zeros((14, 1, 4, 4), np.uint8), [f"t{i}" for i in range(14)])
    assert many.layout.meta["summary"].endswith("t11 and 2 more.")
