import numpy as np
import pytest
from PIL import Image, ImageFilter, ImageStat

from reswork.reporting.traits import grey, image_traits


def test_grey_brightness_and_contrast_are_pillows(images):
    found = image_traits(images)
    for row in (0, 17, 199):
        shades = Image.fromarray(images[row].transpose(1, 2, 0)).convert("L")
        assert grey(images[row : row + 1])[0] * 255 == pytest.approx(np.asarray(shades, float), abs=1)
        stat = ImageStat.Stat(shades)
        assert found["brightness"][row] * 255 == pytest.approx(stat.mean[0], abs=0.6)
        assert found["contrast"][row] * 255 == pytest.approx(stat.stddev[0], abs=0.6)


def test_a_blurred_image_is_less_sharp_and_a_darker_one_as_sharp(images):
    image = Image.fromarray(images[0].transpose(1, 2, 0))
    blurred = np.asarray(image.filter(ImageFilter.GaussianBlur(2))).transpose(2, 0, 1)
    three = np.stack([images[0], blurred, images[0] // 2])
    sharp, soft, dark = image_traits(three)["sharpness"]
    assert soft < 0.5 * sharp and dark == pytest.approx(sharp, rel=0.05)


def test_flat_and_tiny_images_have_numbers():
    for shape in ((2, 1, 2, 2), (2, 4, 8, 8)):
        assert all(np.isfinite(values).all() for values in image_traits(np.zeros(shape, np.uint8)).values())
