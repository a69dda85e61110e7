import io

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance
from scipy.ndimage import gaussian_filter1d

from reswork.reporting.corruptions import (
    CORRUPTIONS,
    blur,
    brightness,
    contrast,
    jpeg,
    noise,
    rotation,
    shift,
)


def pillow(image: torch.Tensor) -> Image.Image:
    return Image.fromarray(image.permute(1, 2, 0).numpy())


def array(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


@pytest.fixture
def some(images) -> torch.Tensor:
    return torch.from_numpy(images[:4])


def near(one: torch.Tensor, other: torch.Tensor, most: int) -> bool:
    return int((one.int() - other.int()).abs().max()) <= most


def test_brightness_contrast_and_jpeg_are_pillows(some):
    for image in some:
        assert near(
            brightness(image[None], 0.5)[0], array(ImageEnhance.Brightness(pillow(image)).enhance(0.5)), 1
        )
        assert near(
            contrast(image[None], 0.4)[0], array(ImageEnhance.Contrast(pillow(image)).enhance(0.4)), 2
        )
        stream = io.BytesIO()
        pillow(image).save(stream, "JPEG", quality=30)
        assert near(jpeg(image[None], 30)[0], array(Image.open(stream)), 2)


def test_blur_is_scipys_and_rotation_pillows(some):
    values = some.numpy().astype(float)
    wanted = gaussian_filter1d(gaussian_filter1d(values, 1.2, 2, mode="mirror"), 1.2, 3, mode="mirror")
    assert np.abs(blur(some, 1.2).numpy() - wanted).mean() < 1
    turned = array(pillow(some[0]).rotate(90))
    assert near(rotation(some[:1], 90)[0], turned, 1)


def test_a_shift_moves_and_repeats_the_border(some):
    moved = shift(some, 3)
    assert torch.equal(moved[:, :, 3:, 3:], some[:, :, :-3, :-3])
    assert torch.equal(moved[:, :, 0, 3:], some[:, :, 0, :-3])


def test_noise_is_the_same_each_time_and_as_wide_as_said():
    grey = torch.full((8, 3, 32, 32), 128, dtype=torch.uint8)
    assert torch.equal(noise(grey, 16), noise(grey, 16))
    assert noise(grey, 16).float().std() == pytest.approx(16, rel=0.05)


@pytest.mark.parametrize("channels", [1, 3])
def test_each_strength_is_farther_from_the_image(some, channels):
    images = some[:, :channels]
    for corruption in CORRUPTIONS:
        worse = [corruption.apply(images, strength) for strength in corruption.strengths]
        assert all(each.shape == images.shape and each.dtype == torch.uint8 for each in worse)
        away = [float((each.float() - images.float()).abs().mean()) for each in worse]
        assert len(away) == 5 and away == sorted(away) and away[0] > 0, corruption.name
